"""An application that may use several grants, the way django-oauth-toolkit's documentation shows it."""

from oauth2_provider.models import AbstractApplication


class Application(AbstractApplication):
    """The toolkit's own has one grant; EXBO's applications have three."""

    def allows_grant_type(self, *grant_types: str) -> bool:
        return bool({self.authorization_grant_type, self.GRANT_CLIENT_CREDENTIALS} & set(grant_types))
