"""Bringing the book back over the brokers: what to move, what it costs, who approved it, and the orders that do it."""
