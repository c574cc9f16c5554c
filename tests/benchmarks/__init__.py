"""`make bench`: how fast the desk is, as ratios to a baseline measured in the same run."""
