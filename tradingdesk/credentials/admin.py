"""Credentials in the back office: written, replaced and removed with a reason; no page shows a value."""

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import path, reverse

from tradingdesk.backoffice import shown
from tradingdesk.backoffice.admins import ReadOnlyAdmin
from tradingdesk.backoffice.forms import ReasonForm, carry_out
from tradingdesk.credentials.forms import CredentialForm
from tradingdesk.credentials.models import Credential
from tradingdesk.credentials.store import remove_credential, set_credential

SHOWN = (
    "name",
    "reference",
    shown.column("set_at", "set (UTC)", show=shown.stamp),
    "set_by",
    shown.column("encrypted_at", "encrypted (UTC)", show=shown.stamp),
)
LIST = "admin:tradingdesk_credential_changelist"


@admin.register(Credential)
class CredentialAdmin(ReadOnlyAdmin):
    """Which credentials are in the database, when they were set and by whom."""

    note = "The value is encrypted and cannot be shown."
    list_display = fields = SHOWN
    search_fields = ("name",)
    sortable_by = ()

    @admin.display(description="in the configuration")
    def reference(self, credential: Credential) -> str:
        return f"${{db:{credential.name}}}"

    def has_add_permission(self, request) -> bool:
        return self.may(request, "add")

    def get_urls(self):
        remove = self.admin_site.admin_view(self.remove_view)
        return [path("<path:object_id>/remove/", remove, name="tradingdesk_credential_remove"), *super().get_urls()]

    def add_view(self, request, form_url="", extra_context=None) -> HttpResponse:
        if not self.may(request, "add"):
            raise PermissionDenied
        return self._ask(request, CredentialForm(request.POST or None), title="Keep a credential", button="Keep it")

    def change_view(self, request, object_id, form_url="", extra_context=None) -> HttpResponse:
        credential = self.viewed(request, object_id)
        if credential is None or not self.may(request, "change"):
            return super().change_view(request, object_id, form_url, extra_context)
        form = CredentialForm(request.POST or None, of=credential)
        lead = f"Set by {credential.set_by} at {shown.stamp(credential.set_at)} UTC. The value itself cannot be shown."
        remove = reverse("admin:tradingdesk_credential_remove", args=[credential.pk])
        context = {"danger_url": remove if self.may(request, "delete") else "", "danger": "Remove this credential"}
        return self._ask(request, form, title=f"Replace {credential}", button="Replace it", lead=lead, **context)

    def remove_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Take one credential away."""
        if not self.may(request, "delete"):
            raise PermissionDenied
        credential = self.viewed(request, object_id)
        if credential is None:
            return redirect(LIST)
        form, actor = ReasonForm(request.POST or None), request.user.get_username()
        if request.method == "POST" and form.is_valid():
            removed = carry_out(form, lambda: remove_credential(name=credential.name, actor=actor, **form.cleaned_data))
            if removed is not None:
                return self._done(request, f"{removed.name} is removed.")
        lead = "Accounts that refer to it are not sent to until it is set again."
        return self._page(request, form, title=f"Remove {credential}", button="Remove it", lead=lead)

    def _ask(self, request: HttpRequest, form: CredentialForm, **context) -> HttpResponse:
        if request.method == "POST" and form.is_valid():
            actor = request.user.get_username()
            kept = carry_out(form, lambda: set_credential(**form.credential(), actor=actor))
            if kept is not None:
                return self._done(request, f"{kept.name} is kept. Refer to it as {self.reference(kept)}")
        return self._page(request, form, **context)

    def _done(self, request: HttpRequest, message: str) -> HttpResponse:
        self.message_user(request, message)
        return redirect(LIST)

    def _page(self, request: HttpRequest, form, **context) -> HttpResponse:
        return self.page(request, "admin/desk/form.html", form=form, back=reverse(LIST), **context)
