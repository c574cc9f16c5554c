"""Who asks, and who may do what: with one query each."""

from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import User
from django.db import connection
from rest_framework.authentication import TokenAuthentication
from rest_framework.authtoken.models import Token
from rest_framework.exceptions import AuthenticationFailed

from tradingdesk.statements import Param, Select

_token_of_key = Select(Token.objects.select_related("user").filter(key=Param("key")))
# Written out because every request of the API asks it: through the ORM it costs five times as much.
_PERMISSIONS_OF_USER = """
    SELECT model.app_label, permission.codename
    FROM auth_permission permission JOIN django_content_type model ON model.id = permission.content_type_id
    WHERE permission.id IN (
        SELECT permission_id FROM auth_user_user_permissions WHERE user_id = %s
        UNION
        SELECT granted.permission_id FROM auth_user_groups member
        JOIN auth_group_permissions granted ON granted.group_id = member.group_id WHERE member.user_id = %s)
"""


class KeptTokenAuthentication(TokenAuthentication):
    """DRF's own tokens, found by a statement that is made once."""

    def authenticate_credentials(self, key: str) -> tuple[User, Token]:
        token = _token_of_key.first(key=key)
        if token is None:
            raise AuthenticationFailed("Invalid token.")
        if not token.user.is_active:
            raise AuthenticationFailed("User inactive or deleted.")
        return token.user, token


class OneQueryBackend(ModelBackend):
    """Django's own users and groups; a user's permissions come in one statement instead of two.

    They are asked for at every request and kept no longer: what is taken away is gone at once.
    """

    def get_all_permissions(self, user_obj, obj=None) -> set[str]:
        if user_obj.is_superuser or not user_obj.is_active or user_obj.is_anonymous or obj is not None:
            return super().get_all_permissions(user_obj, obj)
        if not hasattr(user_obj, "_perm_cache"):
            with connection.cursor() as cursor:
                cursor.execute(_PERMISSIONS_OF_USER, [user_obj.pk, user_obj.pk])
                user_obj._perm_cache = {f"{app}.{codename}" for app, codename in cursor}
        return user_obj._perm_cache
