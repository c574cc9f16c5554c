"""The kinds of admin page: what people may edit, state that only stage functions move, and facts."""

from django.contrib.admin import ShowFacets
from django.contrib.admin.utils import unquote
from django.contrib.auth import get_permission_codename
from django.db import models
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from unfold.admin import ModelAdmin

from tradingdesk.audit import trail
from tradingdesk.backoffice.lists import BoundedChangeList, BoundedPaginator
from tradingdesk.backoffice.shown import readable


class BackOfficeAdmin(ModelAdmin):
    """Base of every admin: bounded lists, search by exact and indexed terms, pages in the site's frame."""

    list_per_page = 50
    list_max_show_all = 0
    show_full_result_count = False
    show_facets = ShowFacets.NEVER
    paginator = BoundedPaginator
    list_filter_submit = True
    list_fullwidth = True
    compressed_fields = True

    def get_changelist(self, request, **kwargs):
        return BoundedChangeList

    def search_by(self, term: str) -> models.Q | None:
        """Turn a search term into an indexed condition; None leaves it to Django's `search_fields`."""
        return None

    def get_search_results(self, request, queryset, search_term):
        term = search_term.strip()
        condition = self.search_by(term) if term else None
        if condition is None:
            return super().get_search_results(request, queryset, search_term)
        return queryset.filter(condition), False

    def may(self, request: HttpRequest, action: str) -> bool:
        """Tell whether the person has this model's permission for `action` (`view`, `cancel`, ...)."""
        return request.user.has_perm(f"{self.opts.app_label}.{get_permission_codename(action, self.opts)}")

    def viewed(self, request: HttpRequest, object_id: str) -> models.Model | None:
        """Fetch the object a page of its own is about."""
        return self.get_object(request, unquote(object_id))

    def page(self, request: HttpRequest, template: str, *, title: str, status: int = 200, **context) -> HttpResponse:
        """Render a page of this model's in the site's frame."""
        request.current_app = self.admin_site.name
        frame = {**self.admin_site.each_context(request), "title": title, "content_title": title, "is_fullwidth": "1"}
        return TemplateResponse(request, template, {**frame, "media": self.media, **context}, status=status)


class ReadOnlyAdmin(BackOfficeAdmin):
    """State of the desk: shown, searched and filtered; only stage functions move it."""

    note = ""
    change_form_outer_before_template = "admin/desk/note.html"

    def has_add_permission(self, request) -> bool:
        return False

    def has_change_permission(self, request, obj=None) -> bool:
        return False

    def has_delete_permission(self, request, obj=None) -> bool:
        return False

    def has_view_permission(self, request, obj=None) -> bool:
        return self.may(request, "view")

    def get_fields(self, request, obj=None):
        return self.fields or [readable(field) for field in self.opts.fields]


class AppendOnlyAdmin(ReadOnlyAdmin):
    """Facts (`tradingdesk.facts.Fact`): nobody adds, changes or deletes one by hand."""

    actions = None
    note = "This is a fact: it was written once and cannot be changed."


class AuditedAdmin(BackOfficeAdmin):
    """What people do edit by hand. Each change is an event of the trail, in place of Django's own log of changes."""

    def shown_as(self, obj: models.Model) -> str:
        """Name the object in the trail; a model whose text is a secret overrides it."""
        return str(obj)

    def log_addition(self, request, obj, message):
        self.record_change(request, obj, "added", message)

    def log_change(self, request, obj, message):
        self.record_change(request, obj, "changed", message)

    def log_deletions(self, request, queryset):
        for obj in queryset:
            self.record_change(request, obj, "deleted")

    def record_change(self, request: HttpRequest, obj: models.Model, what: str, message: object = None) -> None:
        """Write to the trail that a person added, changed or deleted the object; call it in that transaction."""
        trail.record(
            trail.event(
                f"{self.opts.model_name}.{what}",
                actor=request.user.get_username(),
                entity=self.opts.model_name,
                entity_key=str(obj.pk)[:80],
                after={"name": self.shown_as(obj), "changes": message or []},
            )
        )
