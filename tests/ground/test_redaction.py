"""Secrets that a process knows are masked in every spelling, in whatever it logs; other texts stay as they are."""

import html
import json
import logging
import subprocess
import sys
from urllib.parse import quote, quote_plus

import pytest
from django.template import Context, Template
from hypothesis import given
from hypothesis import strategies as st

from tests.environment import ROOT, desk_env
from tradingdesk.redaction import known
from tradingdesk.redaction.known import MASK, holds_secret, is_telling, redact, redacted, remember


@pytest.fixture(autouse=True)
def _forgotten(monkeypatch):
    """Have other tests not look for what these made up."""
    monkeypatch.setattr(known, "_values", frozenset())
    monkeypatch.setattr(known, "_secrets", ())


SECRETS = ["Kx9-plain_Value.7", "a'b\"c\\d&e<f>g%h i+j", "Пароль-секрет-1", "tab\tand 'quote", "emoji😀secret1"]
SPELLINGS = {
    "as it is": str,
    "repr": repr,
    "repr of a repr": lambda text: repr([repr({"x": text})]),
    "bytes": lambda text: repr(text.encode("ascii", "ignore")) if text.isascii() else text,
    "JSON": json.dumps,
    "JSON in JSON": lambda text: json.dumps([json.dumps({"k": text})]),
    "JSON, not ASCII": lambda text: json.dumps(text, ensure_ascii=False),
    "HTML": html.escape,
    "repr in HTML": lambda text: html.escape(repr(text)),
    "HTML in HTML": lambda text: html.escape(html.escape(text)),
    "path": lambda text: quote(text, safe=""),
    "query": quote_plus,
    "path in a path": lambda text: quote(quote(text, safe=""), safe=""),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("secret", SECRETS)
def test_secret_is_masked_in_every_spelling(secret, spelling):
    remember(secret)
    spelled = SPELLINGS[spelling](secret)
    clean = redact(f"before {spelled} after")
    assert MASK in clean
    assert clean.startswith("before ")
    assert clean.endswith(" after")
    assert not any(part in clean for part in (spelled, secret[:6], secret[-6:]))


@given(secret=st.text(min_size=8, max_size=40), how=st.sampled_from(sorted(SPELLINGS)))
def test_any_secret_is_found_in_any_spelling(secret, how):
    known._values, known._secrets = frozenset(), ()
    remember(secret)
    if is_telling(secret.strip()) and secret == secret.strip() and secret.isprintable():
        assert holds_secret(f"x{SPELLINGS[how](secret)}x")


@pytest.mark.parametrize("value", ["", "short", "postgres", "password", "       "])
def test_short_and_common_values_are_not_looked_for(value):
    remember(value)
    text = f"the {value} of postgres is short: a password "
    assert redact(text) == text


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("postgres://desk:desk@h/d", "postgres://desk:***@h/d"),
        ("redis://:x@h:1/0 and amqp://a:b@c", "redis://:***@h:1/0 and amqp://a:***@c"),
        ("postgres://desk:${PASSWORD}@h/d", "postgres://desk:${PASSWORD}@h/d"),
        ("http://127.0.0.1:8000/x?y=a@b", "http://127.0.0.1:***@b"),
        ("see http://127.0.0.1:8000/x, then write to a@b", "see http://127.0.0.1:8000/x, then write to a@b"),
        ('{"url": "http://127.0.0.1:8000", "to": "a@b"}', '{"url": "http://127.0.0.1:8000", "to": "a@b"}'),
    ],
)
def test_password_of_a_url_is_masked_whatever_it_is(text, clean):
    assert redact(text) == clean


def test_half_of_a_character_in_the_environment_is_no_obstacle():
    remember("Broken-\udc80-Secret")
    assert redact("it is Broken-\udc80-Secret") == "it is ***"


def test_json_value_is_cleaned_in_depth_and_left_alone_where_it_holds_nothing():
    remember("Deep-Secret-42")
    value = {"a": [1, None, {"b": "it is Deep-Secret-42"}], "Deep-Secret-42": True}
    assert redacted(value) == {"a": [1, None, {"b": "it is ***"}], "***": True}
    clean = {"a": [1, 2.5, "x"]}
    assert redacted(clean) is clean
    assert redacted(None) is None


def test_log_record_is_clean_before_any_handler_sees_it(caplog):
    remember("Logged-Secret-42")
    log = logging.getLogger("of.the.test")
    log.warning("keys are %s", {"key": "Logged-Secret-42"})
    log.warning("does not fit %d", "Logged-Secret-42")
    log.warning("untouched %s", 7)
    first, second, third = caplog.records
    assert first.getMessage() == "keys are {'key': '***'}"
    assert second.getMessage() == "does not fit %d ('***',)"
    assert (third.msg, third.args) == ("untouched %s", (7,))


def test_traceback_in_the_log_is_clean(caplog):
    remember("Traced-Secret-42")
    try:
        try:
            raise ValueError("Traced-Secret-42")
        except ValueError as error:
            raise RuntimeError("behind it") from error
    except RuntimeError:
        logging.getLogger("of.the.test").exception("failed")
    assert "ValueError: ***" in caplog.text
    assert "behind it" in caplog.text
    assert "Traced-Secret-42" not in caplog.text


LAST_WORDS = """
import threading
from tradingdesk import settings
from tradingdesk.redaction.known import remember
remember("Spoken-Secret-42")
def fail():
    raise ValueError("Spoken-Secret-42")
thread = threading.Thread(target=fail)
thread.start()
thread.join()
fail()
"""


@pytest.mark.slow
def test_last_words_of_threads_and_processes_are_clean(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", LAST_WORDS], cwd=ROOT, env=desk_env(tmp_path), capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1
    assert done.stderr.count("ValueError: ***") == 2
    assert "Exception in thread" in done.stderr
    assert "Spoken-Secret-42" not in done.stderr.replace('"Spoken-Secret-42"', "")


@pytest.mark.parametrize("text", ["http://127.0.0.1:8000/xxxxxxxxxx" * 5000, "\\" * 200_000, "&amp;" * 50_000])
def test_long_text_without_a_space_is_no_obstacle(text):
    remember("'Quoted-Secret-42'")
    assert redact(text) == text


def test_templates_do_not_tell_of_what_a_page_does_not_have_even_at_debug(caplog):
    caplog.set_level(logging.DEBUG)
    Template("{{ account.settings.key }}").render(Context({"account": {"settings": {"secret": "Kx9-plain_Value.7"}}}))
    assert [record for record in caplog.records if record.name == "django.template"] == []
