"""Secrets in every place that people keep them, through work and failure: nothing that is written shows one."""

from __future__ import annotations

import io
import logging
from pathlib import Path

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.core import mail
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils.log import AdminEmailHandler

from brokers.models import AccountHealth, BrokerAccount
from orders import sending, sync, sync_now
from orders.models import Order
from risk.rulebook import forget
from tests.canaries.conftest import BAD, GOOD
from tests.canaries.failing import task
from tests.canaries.places import CORES, canary, found_in
from tests.canaries.talkative import ANSWERS
from tests.orders.desk import submit
from tradingdesk.celery import app
from tradingdesk.credentials import store
from tradingdesk.fix import OrdStatus
from tradingdesk.redaction.known import remember

KEYS = ("api_key", "secret_key")
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

API = (
    "orders/",
    "executions/",
    "positions/",
    "trade-logs/",
    "brokers/",
    "portfolio/",
    "risk/exposure/",
    "risk/limits/",
)
API += ("risk/halts/", "audit/events/", "config/history/", "reconciliation/breaks/")
CONFIGURATION = """\
brokers:
  {good}:
    allocation_percent: 0.5
    api_key: "{good_api_key}"
    secret_key: "{good_secret_key}"
    base_url: "{good_url}"
  {bad}:
    adapter: alpaca
    allocation_percent: 0.5
    api_key: "{bad_api_key}"
    secret_key: "{bad_secret_key}"
    base_url: "{bad_url}"
database:
  url: "postgres://desk:{database}@db.example/desk"
risk:
  max_order_qty: 1000
"""


@pytest.fixture
def person(desk) -> Client:
    client = Client(raise_request_exception=False)
    client.force_login(User.objects.create_superuser("ann"))
    return client


def command(*arguments: str) -> str:
    """What a command says on both streams, however it ends."""
    out = io.StringIO()
    try:
        call_command(*arguments, stdout=out, stderr=out)
    except CommandError as failure:
        out.write(str(failure))
    return out.getvalue()


def tables() -> dict[str, str]:
    """Every table of the database, whole."""
    found = {}
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f'SELECT * FROM "{table}"')
            found[table] = "\n".join(map(repr, cursor.fetchall()))
    return found


def pages(client: Client) -> dict[str, str]:
    """Every list, every row's page, the API and what monitors read; of one engine, as both show what `tables` holds."""
    if connection.vendor != "sqlite":
        return {}
    urls = [f"/api/v1/{name}" for name in API] + ["/readyz", "/metrics", "/api/schema/", "/admin/"]
    for model in admin.site._registry:
        label = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        urls.append(reverse(f"{label}_changelist"))
        urls += [reverse(f"{label}_change", args=[row.pk]) for row in model._default_manager.all()[:3]]
    urls += [f"/api/v1/orders/{order.client_order_id}/" for order in Order.objects.all()]
    return {url: client.get(url).content.decode() for url in urls}


def leaks(texts: dict[str, str]) -> dict[str, set[str]]:
    return {name: shown for name, text in texts.items() if (shown := found_in(text))}


def file_of(desk, folder, database: str = "") -> str:
    """The configuration of this desk, as a file."""
    good, bad = desk
    values = {
        f"{side}_{key}": account.settings[key] for side, account in (("good", good), ("bad", bad)) for key in KEYS
    }
    urls = {"good_url": good.settings["base_url"], "bad_url": bad.settings["base_url"]}
    path = folder / "desk.yaml"
    path.write_text(CONFIGURATION.format(good=GOOD, bad=BAD, database=database or "x", **values, **urls))
    return str(path)


def test_broker_that_repeats_the_keys_is_not_repeated(desk, talkative, said, person):
    printed = []
    for manner in ANSWERS:
        talkative.manner, asked = manner, talkative.asked
        lost = submit(broker_name=BAD, order_qty="1")
        sending.send_request(lost.requests.get().pk)
        assert talkative.asked > asked
        printed += [command("check_brokers"), command("sync_broker", BAD)]
        sync._readers.clear()
        AccountHealth.objects.all().delete()  # or the breaker would have no more orders sent there
    assert Order.objects.exclude(text="").count() >= 2
    assert leaks({"printed": "\n".join(printed), "log": said.text, **tables(), **pages(person)}) == {}
    for written in (printed[0], said.text, tables()["orders"], tables()["audit_events"]):
        assert "***" in written


def test_good_account_trades_and_nothing_shows_its_keys(desk, said, person, sandbox):
    order = submit(broker_name=GOOD, order_qty="10", ord_type="market", price=None)
    sending.send_request(order.requests.get().pk)
    assert sync_now.sync_now(GOOD)
    assert Order.objects.get(pk=order.pk).status == OrdStatus.FILLED
    shown = leaks(
        {"check": command("check_brokers"), "log": said.text, "sandbox": sandbox.log, **tables(), **pages(person)}
    )
    assert shown == {}


def test_configuration_is_loaded_kept_and_shown_without_secrets(desk, tmp_path, said, person, keeper):
    path = file_of(desk, tmp_path, database=CORES["database"])
    printed = [command("load_config", path, "--dry-run"), command("load_config", path)]
    assert "version 1 is in force" in printed[1]
    texts = {"printed": "\n".join(printed), "log": said.text, **tables(), **pages(person)}
    assert leaks(texts) == {}
    assert "postgres://desk:***@db.example/desk" in printed[0]


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ('api_key: "{reference}"', "api_key: {secret}"),
        ('api_key: "{reference}"', "api_key: [{secret}]"),
        ("base_url:", "base_url: http://ann:{secret}@x\n    data_url:"),
        ("database:\n", "database: postgres://desk:{secret}@db.example/desk\nother:\n"),
        ("risk:\n", "risk: [postgres://desk:{secret}@db.example/desk\n"),
    ],
)
def test_mistake_in_the_file_is_told_without_the_secret_in_it(desk, tmp_path, said, right, wrong):
    path = tmp_path / "desk.yaml"
    text = Path(file_of(desk, tmp_path)).read_text()
    right = right.format(reference=desk[0].settings["api_key"])
    assert right in text
    path.write_text(text.replace(right, wrong.format(secret=CORES["typed"]), 1))
    printed = command("load_config", str(path))
    assert "desk.yaml:" in printed
    assert leaks({"printed": printed, "log": said.text, **tables()}) == {}


@pytest.fixture
def fails(settings):
    """A desk with a view that fails, whose settings hold passwords as a real one's do."""
    urls = {
        "REDIS_URL": f"redis://:{CORES['redis']}@127.0.0.1:1/0",
        "DATABASE_URL": f"postgres://x:{CORES['database']}@h/d",
    }
    settings.ROOT_URLCONF = "tests.canaries.failing"
    settings.REDIS_URL, settings.DATABASE_URL = urls.values()
    settings.CELERY_BROKER_URL = urls["REDIS_URL"]
    settings.SECRET_KEY = canary("django")
    settings.SOMETHING_ELSE = {"nested": [*urls, canary("django")]}
    settings.ADMINS = [("ann", "ann@example.org")]
    remember(canary("django"))


@pytest.mark.usefixtures("fails")
@pytest.mark.parametrize("debug", [True, False])
@pytest.mark.parametrize("path", ["/fail/", "/api/v1/fail/"])
@pytest.mark.parametrize("accept", ["text/html", "text/plain"])
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_error_page_log_and_mail_show_no_secret(debug, path, accept, desk, person, settings, said):
    settings.DEBUG = debug
    mailer = AdminEmailHandler(include_html=True)
    logging.getLogger("django.request").addHandler(mailer)
    try:
        query = {"password": canary("typed"), "api_key": canary("typed")}
        answer = person.post(path, query, headers={"accept": accept, "X-Api-Key": canary("typed")})
    finally:
        logging.getLogger("django.request").removeHandler(mailer)
    (report,) = mail.outbox
    html, _ = report.alternatives[0]
    texts = {
        "page": answer.content.decode(),
        "log": said.text,
        "mail": report.body,
        "html": html,
        "subject": report.subject,
    }
    assert answer.status_code == 500
    assert leaks(texts) == {}
    assert "RuntimeError" in report.body
    assert ("RuntimeError" in texts["page"]) == debug


@pytest.mark.usefixtures("fails")
@pytest.mark.parametrize("debug", [True, False])
def test_value_typed_into_the_back_office_is_not_shown_when_that_fails(
    debug, desk, person, settings, said, monkeypatch
):
    settings.DEBUG = debug

    def fails(name: str, value: str) -> str:
        raise RuntimeError(f"no room for {value}", [value])

    monkeypatch.setattr(store.keys, "encrypt", fails)
    typed = {"name": "x", "secret": canary("typed"), "reason": "new"}
    answer = person.post(reverse("admin:tradingdesk_credential_add"), typed)
    assert answer.status_code == 500
    assert leaks({"page": answer.content.decode(), "log": said.text, **tables()}) == {}
    assert "no room for ***" in said.text


def test_task_that_fails_shows_no_secret_and_keeps_no_result(desk, said, caplog):
    logging.getLogger("celery").setLevel(logging.DEBUG)
    outcome = task.apply()
    assert outcome.failed()
    assert "about to fail in task" in said.text
    assert leaks({"log": said.text, **tables()}) == {}
    assert app.conf.task_ignore_result
    assert type(app.backend).__name__ == "DisabledBackend"


@pytest.mark.parametrize("missing", ["value", "key", "wrong key"])
def test_account_without_its_secret_is_not_sent_to_and_the_other_trades_on(
    missing, desk, keeper, monkeypatch, said, talkative, person
):
    if missing != "value" and keeper.place != "database":
        pytest.skip("only the database needs a key")
    good, bad = desk
    said_of = break_secret(missing, keeper, good, bad, monkeypatch)
    asked = talkative.asked
    order = submit(broker_name=BAD, order_qty="1")
    sending.send_request(order.requests.get().pk)
    assert talkative.asked == asked
    assert Order.objects.get(pk=order.pk).status == OrdStatus.PENDING
    assert f"{BAD}: not configured: secret_key: {said_of}" in command("check_brokers")
    forget()
    fine = submit(order_qty="1", ord_type="market", price=None)
    assert fine.account_id == GOOD
    sending.send_request(fine.requests.get().pk)
    assert sync_now.sync_now(GOOD)
    assert Order.objects.get(pk=fine.pk).status == OrdStatus.FILLED
    assert leaks({"log": said.text, **tables(), **pages(person)}) == {}


def break_secret(missing: str, keeper, good: BrokerAccount, bad: BrokerAccount, monkeypatch) -> str:
    """Take the bad account's secret away; what has to be said of it. The good one's is in the environment."""
    name = f"{BAD}_SECRET_KEY".upper()
    for key in KEYS:
        monkeypatch.setenv(f"GOOD_{key}".upper(), canary(key))
        good.settings[key] = f"${{GOOD_{key.upper()}}}"
    bad.settings["api_key"] = "${GOOD_API_KEY}"
    good.save(), bad.save()
    if missing == "key":
        monkeypatch.delenv(store.keys.VARIABLE)
        return "set DESK_CREDENTIAL_KEY in the environment, or DESK_CREDENTIAL_KEY_FILE to a file that holds it"
    if missing == "wrong key":
        monkeypatch.setenv(store.keys.VARIABLE, store.keys.new_key())
        return f"credential {name} cannot be read with DESK_CREDENTIAL_KEY: give the key it was set with"
    if keeper.place == "database":
        store.remove_credential(name=name, actor="ann", reason="gone")
        return f"no credential {name} is in the database: `manage.py set_credential {name}`"
    monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv(f"{name}_FILE", raising=False)
    return f"set {name} in the environment, or {name}_FILE to a file that holds it"
