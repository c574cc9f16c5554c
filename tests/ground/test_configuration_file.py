"""What is wrong in a configuration file is told with its line, and nothing of the file is taken."""

import pytest

from tests.ground.conftest import FILE
from tradingdesk.audit.models import AuditEvent
from tradingdesk.config.document import ConfigurationError, read_document
from tradingdesk.config.models import ConfigurationRecord
from tradingdesk.config.record import load, plan

WRONG = {
    "wrong type of a share": (
        "allocation_percent: 0.7",
        "allocation_percent: x",
        ["desk.yaml:3: brokers.alpaca.allocation_percent: found 'x', expected a number from 0 to 1"],
    ),
    "share above 1": (
        "allocation_percent: 0.7",
        "allocation_percent: 1.7",
        ["desk.yaml:3: brokers.alpaca.allocation_percent: found 1.7, expected a number from 0 to 1"],
    ),
    "share without a value": (
        "allocation_percent: 0.7",
        "allocation_percent:",
        ["desk.yaml:3: brokers.alpaca.allocation_percent: found nothing, expected a number from 0 to 1"],
    ),
    "number that is none": (
        "allocation_percent: 0.7",
        "allocation_percent: .nan",
        ["desk.yaml:3: brokers.alpaca.allocation_percent: found .nan, expected a number"],
    ),
    "missing share": ("    allocation_percent: 0.7\n", "", ["desk.yaml:2: brokers.alpaca.allocation_percent: missing"]),
    "shares that do not add up": (
        "allocation_percent: 0.7",
        "allocation_percent: 0.6",
        ["desk.yaml:1: brokers: allocation_percent of all accounts, disabled ones too, adds up to 0.9, expected 1"],
    ),
    "shares that add up only as floats": (
        "allocation_percent: 0.7",
        "allocation_percent: 0.7000000000000000001",
        ["desk.yaml:1: brokers: allocation_percent of all accounts, disabled ones too, adds up to 1.0000000000000000"],
    ),
    "flag that is text": (
        "enabled: false",
        'enabled: "no"',
        ["desk.yaml:9: brokers.alpaca_margin.enabled: found 'no', expected true or false"],
    ),
    "missing secret of an enabled account": (
        "${ALPACA_API_KEY}",
        "${NO_SUCH_KEY}",
        ["desk.yaml:4: brokers.alpaca.api_key: set NO_SUCH_KEY in the environment, or NO_SUCH_KEY_FILE to a file"],
    ),
    "secret in the file": (
        '"${ALPACA_SECRET_KEY}"',
        "abc123",
        ['desk.yaml:5: brokers.alpaca.secret_key: expected a reference such as "${SECRET_KEY}": secrets stay out'],
    ),
    "setting the adapter does not have": (
        "base_url:",
        "base_ural:",
        ["desk.yaml:6: brokers.alpaca.base_ural: not a setting of alpaca"],
    ),
    "setting the adapter does not take": (
        "http://127.0.0.1:1",
        "nowhere",
        ["desk.yaml:6: brokers.alpaca.base_url: give a URL"],
    ),
    "unknown adapter": (
        "adapter: alpaca",
        "adapter: allpaca",
        ["desk.yaml:8: brokers.alpaca_margin.adapter: found 'allpaca', expected one of alpaca"],
    ),
    "account that is no adapter and names none": (
        "    adapter: alpaca\n",
        "",
        ["desk.yaml:7: brokers.alpaca_margin.adapter: found 'alpaca_margin', expected one of alpaca"],
    ),
    "account with a wrong name": (
        "  alpaca:\n    alloc",
        "  Al Paca:\n    alloc",
        ["desk.yaml:2: brokers.Al Paca: found 'Al Paca', expected a name of a to z, 0 to 9 and _"],
    ),
    "account that is no mapping": (
        FILE[FILE.index("    adapter: alpaca\n") : FILE.index("risk:")],
        "    yes\n",
        ["desk.yaml:7: brokers.alpaca_margin: found true, expected a mapping"],
    ),
    "unknown section": (
        "risk:\n",
        "risks:\n",
        ["desk.yaml:13: risks: unknown key; known are brokers, database, risk, rebalancing, halt_triggers, schedule"],
    ),
    "unknown control": (
        "max_order_qty: 100",
        "max_order_quantity: 100",
        ["desk.yaml:14: risk.max_order_quantity: unknown key; known are max_order_qty, max_order_notional"],
    ),
    "control that an account cannot have": (
        "{max_order_qty: 50}",
        "{min_broker_diversification: 50}",
        ["desk.yaml:20: risk.accounts.alpaca.min_broker_diversification: unknown key; known are max_order_qty"],
    ),
    "limits of an account that there is not": (
        "    alpaca: {max",
        "    alpacca: {max",
        ["desk.yaml:20: risk.accounts.alpacca: no account is called 'alpacca'; there are: alpaca, alpaca_margin"],
    ),
    "negative limit": (
        "max_order_qty: 100",
        "max_order_qty: -1",
        ["desk.yaml:14: risk.max_order_qty: found -1, expected a number of 0 or more"],
    ),
    "limit that is text": (
        "max_order_qty: 100",
        'max_order_qty: "100"',
        ["desk.yaml:14: risk.max_order_qty: found '100', expected a number of 0 or more"],
    ),
    "limit that is a flag": (
        "max_order_qty: 100",
        "max_order_qty: yes",
        ["desk.yaml:14: risk.max_order_qty: found true, expected a number of 0 or more"],
    ),
    "share of the firm above 1": (
        "max_broker_allocation: 0.8",
        "max_broker_allocation: 80",
        ["desk.yaml:16: risk.max_broker_allocation: found 80, expected a number from 0 to 1"],
    ),
    "half a broker": (
        "min_broker_diversification: 2",
        "min_broker_diversification: 1.5",
        ["desk.yaml:17: risk.min_broker_diversification: found 1.5, expected a whole number of 0 or more"],
    ),
    "hard that is no flag": (
        "min_broker_diversification: 2",
        "min_broker_diversification: {value: 2, hard: very}",
        ["desk.yaml:17: risk.min_broker_diversification: found a mapping, expected a whole number of 0 or more"],
    ),
    "restricted thing that is no symbol": (
        "[XYZ]",
        "[XYZ, x y]",
        ["desk.yaml:18: risk.restricted_symbols.1: found 'x y', expected a symbol such as \"IBM\""],
    ),
    "restricted symbols that are no list": (
        "[XYZ]",
        "XYZ",
        ["desk.yaml:18: risk.restricted_symbols: found 'XYZ', expected a list"],
    ),
    "key given twice": (
        "  max_order_notional: 50000\n",
        "  max_order_qty: 7\n",
        ["desk.yaml:15: risk.max_order_qty: given twice; first on line 14"],
    ),
    "two mistakes": (
        "max_order_qty: ",
        "max_order_qty: much ",
        [
            "desk.yaml:14: risk.max_order_qty: found 'much 100', expected a number of 0 or more",
            "desk.yaml:20: risk.accounts.alpaca.max_order_qty: found 'much 50', expected a number of 0 or more",
        ],
    ),
}


@pytest.mark.django_db
@pytest.mark.parametrize("what", WRONG)
def test_mistake_is_told_with_its_line_and_the_configuration_in_force_stays(file, what):
    in_force = load(file, actor="ann")
    events = AuditEvent.objects.count()
    old, new, lines = WRONG[what]
    file.replace(old, new)
    with pytest.raises(ConfigurationError) as error:
        load(file, actor="ann")
    told = error.value.detail.splitlines()
    assert len(told) == len(lines), error.value.detail
    for line, beginning in zip(told, lines, strict=True):
        assert line.startswith(beginning)
    assert ConfigurationRecord.objects.get() == in_force
    assert AuditEvent.objects.count() == events


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "desk.yaml: found nothing, expected sections such as brokers: and risk:"),
        ("# only a remark\n", "desk.yaml: found nothing, expected sections such as brokers: and risk:"),
        ("- alpaca\n", "desk.yaml: found a list, expected sections such as brokers: and risk:"),
        ("brokers: [\n", "desk.yaml:2: not YAML: expected the node content, but found '<stream end>'"),
        ("risk:\n\tmax_order_qty: 1\n", "desk.yaml:2: not YAML: found character '\\t' that cannot start any token"),
        ("risk: &a {}\nbrokers: *a\n", "desk.yaml:2: not YAML: aliases are not used here; write the value again"),
        ("risk: 1\n---\nrisk: 2\n", "desk.yaml:2: not YAML: but found another document"),
        ("? [a, b]\n: 1\n", "desk.yaml:1: a key is one word"),
        ("risk: \x00\n", "desk.yaml: not YAML: "),
    ],
)
def test_file_that_holds_no_sections_is_refused(file, text, told):
    with pytest.raises(ConfigurationError) as error:
        read_document(file.write(text))
    assert error.value.detail.startswith(told)


def test_file_that_is_not_text_is_refused(file):
    file.path.write_bytes(b"risk: \xff\xfe\n")
    with pytest.raises(ConfigurationError, match=r"desk\.yaml: not YAML"):
        read_document(file)


def test_absent_file_is_refused(file):
    with pytest.raises(ConfigurationError, match=r"nowhere\.yaml: cannot be read: No such file"):
        read_document("nowhere.yaml")


def test_tags_build_no_objects(file):
    document = read_document(file.write("risk: !!python/object/apply:os.getcwd []\n"))
    assert document.data == {"risk": []}


@pytest.mark.django_db
def test_no_message_shows_a_secret(file):
    file.replace('"${ALPACA_SECRET_KEY}"', "hunter2").replace("base_url:", "base_ural:")
    with pytest.raises(ConfigurationError) as error:
        plan(file)
    assert "hunter2" not in error.value.detail
    assert "of-the-test" not in error.value.detail


@pytest.mark.django_db
def test_disabled_account_may_lack_its_secrets_and_is_checked_once_it_has_them(file, monkeypatch):
    plan(file)
    monkeypatch.setenv("MISSING_API_KEY", "key")
    monkeypatch.setenv("MISSING_SECRET_KEY", "secret")
    file.replace("    enabled: false\n", "    enabled: false\n    feed: none_such\n")
    with pytest.raises(ConfigurationError, match=r"desk\.yaml:10: brokers.alpaca_margin.feed: use one of"):
        plan(file)
