"""What Django tells of an error (its page with DEBUG, its mail to the administrators), without secrets."""

from __future__ import annotations

import pprint
from typing import Any

from django.http import HttpRequest
from django.views.debug import ExceptionReporter, SafeExceptionReporterFilter

from tradingdesk.redaction.known import redact


class DiscreetFilter(SafeExceptionReporterFilter):
    """Hides what is secret by its name, with DEBUG too: form fields, headers, settings, variables marked as such."""

    def is_active(self, request: HttpRequest | None) -> bool:
        return True

    def get_post_parameters(self, request: HttpRequest | None) -> Any:
        return self._by_name(super().get_post_parameters(request))

    def get_traceback_frame_variables(self, request: HttpRequest | None, tb_frame) -> list[tuple[str, Any]]:
        """Give each variable as it may be shown: what is secret by its name is hidden, inside of mappings too.

        The reporter cuts long values off; a secret that was cut could not be found any more, so they are cleaned here.
        """
        found = super().get_traceback_frame_variables(request, tb_frame)
        return [(name, _Shown(self.cleanse_setting(name, value))) for name, value in found]

    def _by_name(self, given: Any) -> Any:
        hidden = [name for name in given if self.hidden_settings.search(name)]
        given = given.copy() if hidden else given
        for name in hidden:
            given[name] = self.cleansed_substitute
        return given


class DiscreetReporter(ExceptionReporter):
    """Django's report of an error, cleaned as a whole before anybody sees it."""

    def get_traceback_html(self) -> str:
        return redact(super().get_traceback_html())

    def get_traceback_text(self) -> str:
        return redact(super().get_traceback_text())


class _Shown:
    """A value that looks like another one without secrets."""

    def __init__(self, value: Any):
        self._value = value

    def __repr__(self) -> str:
        try:
            return redact(pprint.pformat(self._value))
        except Exception as error:
            return f"Error in formatting: {type(error).__name__}"
