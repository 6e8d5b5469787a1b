"""How long the fuzz tests search: briefly and equally in every run of the suite, or `RAVEL_FUZZ=N`
times as long with other examples each time, as in RAVEL_FUZZ=50 python -m pytest tests/fuzz."""

import os

from hypothesis import HealthCheck, settings

TIMES = int(os.environ.get("RAVEL_FUZZ", "1"))
settings.register_profile(
    "ravel",
    derandomize=TIMES == 1,
    database=None,
    deadline=None,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
)
settings.load_profile("ravel")
