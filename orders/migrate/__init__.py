"""Moving a legacy single-broker database into one account of the desk: all of it or nothing, and nothing disappears.

`values` and `mapping` are the rules, one for each kind of dirty data, as functions of values. `source` reads, `writing`
writes, `run` is the one transaction around both, `validation` compares what came of it with what was read.
"""
