"""Comparing the desk with its brokers: what can be mended is, the rest waits for people as breaks.

`run.reconcile_account` reads (`reading`), mends what is safe, compares (`compare`, pure) and keeps the breaks
(`breaks`); `resolution.resolve_break` ends one by a person's decision.
"""
