"""Which pages the back office has: of every model, and of every model of the desk."""

from django.apps import apps
from django.contrib import admin
from django.urls import reverse

MODELS = sorted(admin.site._registry, key=lambda model: model._meta.label)
OURS = [
    model for app in ("tradingdesk", "brokers", "risk", "orders") for model in apps.get_app_config(app).get_models()
]


def named(models: list) -> dict:
    return {"argvalues": models, "ids": [model._meta.label for model in models]}


def url(model, page: str, *args) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}", args=args)
