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


def primary_colours(request: HttpRequest) -> dict[str, str]:
    """The shades of blue that links, buttons and bars have, from light to dark."""
    return {
        "50": "oklch(97% .014 254.604)",
        "100": "oklch(93.2% .032 255.585)",
        "200": "oklch(88.2% .059 254.128)",
        "300": "oklch(80.9% .105 251.813)",
        "400": "oklch(70.7% .165 254.624)",
        "500": "oklch(62.3% .214 259.815)",
        "600": "oklch(54.6% .245 262.881)",
        "700": "oklch(48.8% .243 264.376)",
        "800": "oklch(42.4% .199 265.638)",
        "900": "oklch(37.9% .146 265.522)",
        "950": "oklch(28.2% .091 267.935)",
    }
