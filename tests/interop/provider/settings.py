"""Settings of the site. Everything that is not said here is Django's and the toolkit's default."""

import os
from pathlib import Path

FOLDER = Path(os.environ["PROVIDER_FOLDER"])

SECRET_KEY = "only-for-tests-on-this-machine"
ALLOWED_HOSTS = ["127.0.0.1"]
ROOT_URLCONF = "provider.urls"
USE_TZ = True
LOGIN_URL = "/login"

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "oauth2_provider",
    "provider",
]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "oauth2_provider.middleware.OAuth2TokenMiddleware",
]
AUTHENTICATION_BACKENDS = ["django.contrib.auth.backends.ModelBackend", "oauth2_provider.backends.OAuth2Backend"]
TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}]

DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": FOLDER / "provider.sqlite3",
        "OPTIONS": {"timeout": 20},
    }
}
# Tables are made at once, which is what a fresh database and an application model of one's own need.
MIGRATION_MODULES = dict.fromkeys(("auth", "contenttypes", "sessions", "oauth2_provider", "provider"))
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # the suite need not wait for a good one

OAUTH2_PROVIDER_APPLICATION_MODEL = "provider.Application"
OAUTH2_PROVIDER = {
    "PKCE_REQUIRED": True,
    "ROTATE_REFRESH_TOKEN": True,
    "SCOPES": {"profile": "See who you are"},
    "DEFAULT_SCOPES": ["profile"],
}
