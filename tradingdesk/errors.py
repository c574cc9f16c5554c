"""What the desk says when it will not do something: a code, what was found, and the field."""

from tradingdesk.redaction.known import redact


class DeskError(Exception):
    """A request that was not carried out; nothing was stored. `code` is for programs, `detail` for people."""

    http_status = 400

    def __init__(self, code: str, detail: str, field: str = ""):
        detail = redact(detail)
        super().__init__(f"{code}: {detail}")
        self.code, self.detail, self.field = code, detail, field


class InvalidInput(DeskError):
    """The input is wrong; `field` names what and `detail` says how to mend it."""


class NotFound(DeskError):
    """There is no such thing."""

    http_status = 404


class Conflict(DeskError):
    """It does not go with what is already there."""

    http_status = 409


def require_reason(reason: str, what: str = "") -> None:
    """Refuse what nobody says why for; `what` ends the sentence "say why".

    Raises:
        InvalidInput: there is no reason.
    """
    if not reason.strip():
        raise InvalidInput("REASON_REQUIRED", f"say why {what}".strip(), "reason")
