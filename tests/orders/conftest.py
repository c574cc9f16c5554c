"""Settings of the property tests: the same examples on every run, and no wall times."""

from hypothesis import HealthCheck, settings

settings.register_profile(
    "desk", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.differing_executors]
)
settings.load_profile("desk")
