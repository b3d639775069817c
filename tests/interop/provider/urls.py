"""EXBO's three paths, with the toolkit's views behind two of them."""

from uuid import UUID

from django.contrib.auth.views import LoginView
from django.http import HttpRequest, JsonResponse
from django.urls import include, path
from oauth2_provider.views import AuthorizationView, TokenView


def user(request: HttpRequest) -> JsonResponse:
    """Who the bearer token belongs to, in EXBO's words; the toolkit's middleware has checked the token."""
    if not request.user.is_authenticated or "HTTP_AUTHORIZATION" not in request.META:
        return JsonResponse({"message": "Unauthenticated."}, status=401, headers={"WWW-Authenticate": "Bearer"})
    known = request.user
    return JsonResponse(
        {
            "id": known.pk,
            "uuid": str(UUID(int=known.pk)),
            "login": known.get_username(),
            "display_login": known.get_full_name() or None,
            "distributor": "exbo",
            "distributor_id": None,
        }
    )


toolkit = (
    [
        path("authorize", AuthorizationView.as_view(), name="authorize"),
        path("token", TokenView.as_view(), name="token"),
    ],
    "oauth2_provider",
)

urlpatterns = [
    path("oauth/", include(toolkit)),
    path("oauth/user", user),
    path("login", LoginView.as_view(template_name="provider/login.html")),
]
