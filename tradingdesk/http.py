"""What every endpoint shares: permissions and one form for errors."""

from rest_framework.permissions import DjangoModelPermissions
from rest_framework.views import exception_handler as drf_handler


class DeskPermissions(DjangoModelPermissions):
    """Ask for the model's `view` permission to read, and its own to write."""

    perms_map = {**DjangoModelPermissions.perms_map, "GET": ["%(app_label)s.view_%(model_name)s"]}


def exception_handler(exc, context):
    """Answer in the desk's error form."""
    return drf_handler(exc, context)
