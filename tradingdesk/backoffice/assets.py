"""Where the site's own style and icon are; settings name these functions."""

from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import reverse


def stylesheet(request: HttpRequest) -> str:
    """The back office's own style, beside Unfold's."""
    return static("tradingdesk/backoffice.css")


def favicon(request: HttpRequest) -> str:
    """The site's icon."""
    return static("tradingdesk/favicon.svg")


def index(request: HttpRequest) -> str:
    """What "View site" opens: the overview."""
    return reverse("admin:index")
