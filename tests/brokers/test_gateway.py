"""One connection a process to each account, each call measured."""

import os
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest

from brokers import gateway, health
from brokers.adapters.alpaca.adapter import Adapter
from brokers.gateway import close_gateways, gateway_for
from brokers.messages import NotSupported, OrderRefused, OutcomeUnknown, TryLater
from tests.brokers.alpaca_samples import ORDER_ID, market_order, new_order, raw_order
from tests.brokers.scripted_broker import Answer, scripted_broker


@pytest.fixture
def broker():
    with scripted_broker() as broker:
        yield broker


@pytest.fixture
def account(broker, monkeypatch):
    monkeypatch.setenv("DESK_TEST_SECRET", "a-secret")
    settings = {"api_key": "a-key", "secret_key": "${DESK_TEST_SECRET}", "base_url": broker.url}
    yield SimpleNamespace(broker_name="alpaca_margin", adapter="alpaca", settings=settings, paper_trading=True)
    close_gateways()


@pytest.fixture(autouse=True)
def recorded(monkeypatch):
    calls = []
    monkeypatch.setattr(health, "record", lambda broker_name, **facts: calls.append((broker_name, facts)))
    return calls


def test_account_has_one_gateway_even_when_threads_ask_at_once(account):
    with ThreadPoolExecutor(8) as pool:
        gateways = list(pool.map(lambda _: gateway_for(account), range(32)))
    assert len(set(gateways)) == 1
    assert (gateways[0].broker_name, gateways[0].label) == ("alpaca_margin", "Alpaca")
    assert gateways[0].capabilities is Adapter.capabilities


def test_rotated_secret_gives_a_new_gateway(account, monkeypatch, broker):
    before = gateway_for(account)
    monkeypatch.setenv("DESK_TEST_SECRET", "another")
    after = gateway_for(account)
    assert after is not before
    broker.will_answer(Answer(200, raw_order()))
    after.read_order(ORDER_ID)
    assert broker.asked[0].headers["APCA-API-SECRET-KEY"] == "another"


def test_changed_settings_give_a_new_gateway_and_another_account_has_its_own(account):
    before = gateway_for(account)
    other = SimpleNamespace(**{**vars(account), "broker_name": "alpaca"})
    assert gateway_for(other) is not before
    account.settings = account.settings | {"feed": "sip"}
    assert gateway_for(account) is not before


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"adapter": "alpcaa"}, "no broker adapter is called 'alpcaa'"),
        ({"settings": {"api_key": "a-key", "secret_key": "${DESK_TEST_ABSENT}"}}, "secret_key: set DESK_TEST_ABSENT"),
        ({"settings": {"api_key": "a-key"}}, "secret_key: set it"),
        ({"settings": {"api_key": "a-key", "secret_key": "b", "base_url": "nonsense"}}, "base_url: give a URL"),
    ],
)
def test_account_that_is_not_configured_is_for_later_and_unhealthy(account, recorded, changes, text):
    with pytest.raises(TryLater, match=text) as caught:
        gateway_for(SimpleNamespace(**{**vars(account), **changes}))
    assert caught.value.code == "NOT_CONFIGURED"
    assert [(name, facts["operation"], facts["ok"]) for name, facts in recorded] == [
        ("alpaca_margin", "connect", False)
    ]


def test_account_works_as_soon_as_its_secret_is_there(account, monkeypatch):
    monkeypatch.delenv("DESK_TEST_SECRET")
    with pytest.raises(TryLater):
        gateway_for(account)
    monkeypatch.setenv("DESK_TEST_SECRET", "a-secret")
    assert gateway_for(account).adapter.settings["secret_key"] == "a-secret"


def test_account_says_whether_it_is_paper_whatever_the_settings_say(account):
    account.paper_trading, account.settings = False, account.settings | {"paper_trading": True}
    assert gateway_for(account).adapter.settings["paper_trading"] is False


def test_answered_call_is_recorded_as_healthy(account, broker, recorded):
    broker.will_answer(Answer(200, raw_order()))
    assert gateway_for(account).submit(new_order()).broker_order_id == ORDER_ID
    ((broker_name, facts),) = recorded
    assert (broker_name, facts["operation"], facts["ok"], facts["error"]) == ("alpaca_margin", "submit", True, "")
    assert facts["seconds"] > 0


@pytest.mark.parametrize(
    ("answer", "error", "ok"),
    [
        (Answer(403, {"message": "insufficient buying power"}), OrderRefused, True),
        (Answer(403, {"message": "forbidden."}), OrderRefused, False),
        (Answer(429, {"message": "rate limit exceeded"}), TryLater, False),
        (Answer(500), OutcomeUnknown, False),
    ],
)
def test_failed_call_is_recorded_and_raised(account, broker, recorded, answer, error, ok):
    broker.will_answer(answer)
    with pytest.raises(error) as caught:
        gateway_for(account).submit(new_order())
    assert [facts["ok"] for _, facts in recorded] == [ok]
    assert recorded[0][1]["error"] == caught.value.explained


def test_order_that_was_not_sent_says_nothing_about_the_broker(account, recorded):
    with pytest.raises(NotSupported):
        gateway_for(account).submit(market_order(extended_hours=True))
    assert recorded == []


def test_mistake_of_an_adapter_is_an_unknown_outcome(account, monkeypatch, recorded):
    monkeypatch.setattr(Adapter, "submit", lambda self, order: {}["bid"])
    with pytest.raises(OutcomeUnknown, match="Alpaca adapter failed in submit: KeyError"):
        gateway_for(account).submit(new_order())
    assert recorded[0][1]["ok"] is False


def test_answer_is_kept_when_it_cannot_be_recorded(account, broker, monkeypatch, caplog):
    monkeypatch.setattr(health, "record", lambda *args, **facts: {}["no database"])
    broker.will_answer(Answer(200, raw_order()))
    assert gateway_for(account).submit(new_order()).broker_order_id == ORDER_ID
    assert "health of alpaca_margin could not be recorded" in caplog.text


@pytest.mark.parametrize(
    ("method", "arguments"),
    [("executions", {"after": None, "after_id": "x"}), ("quotes", {"symbols": ["IBM"]}), ("instruments", {})],
)
def test_arguments_reach_the_adapter(account, monkeypatch, method, arguments):
    seen = []
    monkeypatch.setattr(Adapter, method, lambda self, *args, **kwargs: seen.append((args, kwargs)) or [])
    assert getattr(gateway_for(account), method)(**arguments) == []
    assert [*seen[0][0], *seen[0][1].values()] == (list(arguments.values()) or [None])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_child_process_makes_its_own_connections(account):
    parents = gateway_for(account)
    child = os.fork()
    if child == 0:
        os._exit(0 if not gateway._gateways and gateway_for(account) is not parents else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert gateway_for(account) is parents


def test_secrets_are_not_shown(account):
    shown = repr(gateway_for(account))
    assert "a-secret" not in shown
    assert "a-key" not in shown
