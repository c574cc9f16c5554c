"""Users, groups and API tokens in the site's look; a token's key is shown once, to the person who makes it."""

from django.contrib import admin, messages
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group, User
from rest_framework.authtoken.admin import TokenAdmin, TokenChangeList
from rest_framework.authtoken.models import Token, TokenProxy
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm
from unfold.views import ChangeList

from tradingdesk.backoffice.admins import AuditedAdmin

SHOWN_OF_A_KEY = 4

for _model in (User, Group, TokenProxy):
    admin.site.unregister(_model)


@admin.register(User)
class DeskUserAdmin(UserAdmin, AuditedAdmin):
    """People and programs that may sign in."""

    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    list_display = ("username", "email", "is_active", "is_staff", "is_superuser", "in_groups", "last_login")

    def get_queryset(self, request):
        return super().get_queryset(request).prefetch_related("groups")

    @admin.display(description="groups")
    def in_groups(self, user: User) -> str:
        return ", ".join(sorted(group.name for group in user.groups.all()))


@admin.register(Group)
class DeskGroupAdmin(GroupAdmin, AuditedAdmin):
    """What people of one task may do."""


class DeskTokenChangeList(TokenChangeList, ChangeList):
    """Link each row by its user: the key of the table is the secret itself."""


@admin.register(TokenProxy)
class DeskTokenAdmin(TokenAdmin, AuditedAdmin):
    """Tokens for programs, one a user; to change one, delete it and add another."""

    list_display = ("user", "masked_key", "created")
    list_filter = ()
    list_select_related = ("user",)
    autocomplete_fields = ("user",)

    def has_change_permission(self, request, obj=None) -> bool:
        return False

    def get_changelist(self, request, **kwargs):
        return DeskTokenChangeList

    def get_object(self, request, object_id, from_field=None):
        """Fetch a token with its key masked: pages name it in their titles."""
        token = super().get_object(request, object_id, from_field)
        if token is not None:
            token.key = _masked(token.key)
        return token

    def delete_model(self, request, obj):
        Token.objects.filter(user_id=obj.user_id).delete()

    def save_model(self, request, obj, form, change):
        super().save_model(request, obj, form, change)
        messages.warning(request, f"The key of {obj.user}, shown only now: {obj.key}")

    def shown_as(self, obj) -> str:
        return f"token of {obj.user}"

    @admin.display(description="key")
    def masked_key(self, token: TokenProxy) -> str:
        return _masked(token.key)


def _masked(key: str) -> str:
    return key[:SHOWN_OF_A_KEY] + "…"
