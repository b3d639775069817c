"""The Django application."""

from django.apps import AppConfig


class ProviderConfig(AppConfig):
    name = "provider"
    default_auto_field = "django.db.models.AutoField"
