"""One suite for every adapter, each against its own sandbox; `brokers/adapters/README.md` tells how to join."""
