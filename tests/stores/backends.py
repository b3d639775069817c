"""Backends of `keyring` for tests: in memory, and each bad in its own way."""

import time

import keyring.backend
import keyring.backends.chainer
import keyring.errors


class Killed(BaseException):
    """The process ends here."""


class Desktop(keyring.backend.KeyringBackend):
    """A keyring in memory that can be told to raise."""

    priority = 1.0

    def __init__(self) -> None:
        self.secrets: dict[tuple[str, str], str] = {}
        self.calls = 0
        self.pause = 0.0
        self.removes = True
        self.vanishing: tuple[str, str] | None = None
        self.fails_at: dict[int, BaseException] = {}
        self.always: BaseException | None = None

    def _step(self) -> None:
        self.calls += 1
        time.sleep(self.pause)
        if self.always is not None:
            raise self.always
        if self.calls in self.fails_at:
            raise self.fails_at[self.calls]

    def get_password(self, service: str, username: str) -> str | None:
        self._step()
        if self.vanishing == (service, username):
            return self.secrets.pop(self.vanishing, None)
        return self.secrets.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self._step()
        self.secrets[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        self._step()
        if (service, username) not in self.secrets or not self.removes:
            raise keyring.errors.PasswordDeleteError("not found")
        del self.secrets[service, username]


class Another(Desktop):
    """The keyring of another session."""


class Forgetful(Desktop):
    """A keyring that takes everything and keeps nothing."""

    def set_password(self, service: str, username: str, password: str) -> None:
        pass


class Dubious(Desktop):
    """One that keyring itself would not recommend."""

    priority = 0.5


class Chain(keyring.backends.chainer.ChainerBackend):
    """What keyring chooses where several backends are at hand, with those that are given."""

    priority = -1.0  # keyring itself must not choose it

    def __init__(self, *backends: keyring.backend.KeyringBackend) -> None:
        self._backends = backends

    @property
    def backends(self) -> list[keyring.backend.KeyringBackend]:
        return list(self._backends)
