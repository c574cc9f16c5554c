"""Log lines and last words without secrets, whichever logger or handler they go through."""

from __future__ import annotations

import logging
import sys
import threading
import traceback

from tradingdesk.redaction.known import holds_secret, redact

_formatter = logging.Formatter()
_make_record = logging.LogRecord


def redact_everything_said() -> None:
    """Have every log record of this process made without secrets, and the tracebacks of what nobody caught.

    Records are cleaned where they are made, so no handler has to know of it. Hooks that something else has set (a
    debugger, the test runner) stay. Again does nothing.
    """
    logging.setLogRecordFactory(_discreet_record)
    if sys.excepthook is sys.__excepthook__:
        sys.excepthook = _say_uncaught
    if threading.excepthook is threading.__excepthook__:
        threading.excepthook = _say_of_thread


class RedactingFormatter(logging.Formatter):
    """A formatter whose lines are cleaned once more as a whole, whatever a record was given after it was made."""

    def format(self, record: logging.LogRecord) -> str:
        return redact(super().format(record))


def _discreet_record(*args, **kwargs) -> logging.LogRecord:
    record = _make_record(*args, **kwargs)
    try:
        said = record.getMessage()
    except Exception:  # arguments that do not fit: logging would print them to stderr as they are
        record.msg, record.args = f"{record.msg} {record.args!r}", ()
        said = record.msg
    if holds_secret(said):
        record.msg, record.args = redact(said), ()
    if record.exc_info and record.exc_info[0] is not None:
        record.exc_text = redact(_formatter.formatException(record.exc_info))
    return record


def _say_uncaught(kind: type[BaseException], error: BaseException, trace) -> None:
    print(redact("".join(traceback.format_exception(kind, error, trace))), end="", file=sys.stderr)


def _say_of_thread(args: threading.ExceptHookArgs) -> None:
    if args.exc_type is SystemExit:
        return
    print(f"Exception in thread {args.thread.name if args.thread else '?'}:", file=sys.stderr)
    _say_uncaught(args.exc_type, args.exc_value, args.exc_traceback)
