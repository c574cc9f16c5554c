"""A configuration file of the test's own."""

from pathlib import Path

import pytest

FILE = """\
brokers:
  alpaca:
    allocation_percent: 0.7
    api_key: "${ALPACA_API_KEY}"
    secret_key: "${ALPACA_SECRET_KEY}"
    base_url: "http://127.0.0.1:1"
  alpaca_margin:
    adapter: alpaca
    enabled: false
    allocation_percent: 0.3
    api_key: "${MISSING_API_KEY}"
    secret_key: "${MISSING_SECRET_KEY}"
risk:
  max_order_qty: 100
  max_order_notional: 50000
  max_broker_allocation: 0.8
  min_broker_diversification: 2
  restricted_symbols: [XYZ]
  accounts:
    alpaca: {max_order_qty: 50}
  symbols:
    IBM: {max_order_notional: 20000.5}
"""


class ConfigurationFile:
    """A file to load: `text` as written, changed by `replace`."""

    def __init__(self, path: Path):
        self.path = path
        self.write(FILE)

    def __fspath__(self) -> str:
        return str(self.path)

    def write(self, text: str) -> "ConfigurationFile":
        """Put other text in it."""
        self.path.write_text(text)
        return self

    def replace(self, old: str, new: str) -> "ConfigurationFile":
        """Change what is written in it, everywhere."""
        text = self.path.read_text()
        assert old in text
        return self.write(text.replace(old, new))


@pytest.fixture
def file(tmp_path, monkeypatch) -> ConfigurationFile:
    """A sound file, named desk.yaml in the folder at hand, with the secrets that it refers to."""
    monkeypatch.setenv("ALPACA_API_KEY", "key-of-the-test")
    monkeypatch.setenv("ALPACA_SECRET_KEY", "secret-of-the-test")
    monkeypatch.chdir(tmp_path)
    return ConfigurationFile(Path("desk.yaml"))
