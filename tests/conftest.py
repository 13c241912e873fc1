"""How all tests run: properties are seeded, and a busy machine is no failure."""

from hypothesis import HealthCheck, settings

settings.register_profile(
    "zhiyin",
    derandomize=True,
    deadline=None,
    database=None,
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
settings.load_profile("zhiyin")
