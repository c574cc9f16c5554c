"""Who asks, and who may do what: one query for each, and for the API both at once."""

from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import Group, Permission, User
from django.db.models import Q, QuerySet
from rest_framework.authentication import TokenAuthentication
from rest_framework.authtoken.models import Token
from rest_framework.exceptions import AuthenticationFailed

from tradingdesk.statements import Param, Select, together


def _permissions(users: QuerySet) -> Select:
    """The permissions of these users (their keys), of their own and of their groups."""
    own = User.user_permissions.through.objects.filter(user__in=users)
    groups = User.groups.through.objects.filter(user__in=users)
    of_groups = Group.permissions.through.objects.filter(group__in=groups.values("group"))
    granted = Q(pk__in=own.values("permission")) | Q(pk__in=of_groups.values("permission"))
    return Select(Permission.objects.filter(granted).order_by().values_list("content_type__app_label", "codename"))


_with_key = Token.objects.filter(key=Param("key"))
_token = Select(_with_key.select_related("user"))
_permissions_of_key = _permissions(_with_key.values("user"))
_permissions_of_user = _permissions(User.objects.filter(pk=Param("user", User._meta.pk)).values("pk"))


class KeptTokenAuthentication(TokenAuthentication):
    """DRF's own tokens, found by a statement that is made once, together with what their owner may do."""

    def authenticate_credentials(self, key: str) -> tuple[User, Token]:
        with together():
            tokens, granted = _token.later(key=key), _permissions_of_key.later(key=key)
        for token in tokens():
            if not token.user.is_active:
                raise AuthenticationFailed("User inactive or deleted.")
            if not token.user.is_superuser:
                token.user._perm_cache = _names(granted())
            return token.user, token
        raise AuthenticationFailed("Invalid token.")


class OneQueryBackend(ModelBackend):
    """Django's own users and groups; a user's permissions come in one statement instead of two.

    They are asked for at every request and kept no longer: what is taken away is gone at once.
    """

    def get_all_permissions(self, user_obj, obj=None) -> set[str]:
        if user_obj.is_superuser or not user_obj.is_active or user_obj.is_anonymous or obj is not None:
            return super().get_all_permissions(user_obj, obj)
        if not hasattr(user_obj, "_perm_cache"):
            user_obj._perm_cache = _names(_permissions_of_user(user=user_obj.pk))
        return user_obj._perm_cache


def _names(granted: list[tuple[str, str]]) -> set[str]:
    return {f"{app}.{codename}" for app, codename in granted}
