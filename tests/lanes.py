"""A whole run in two lanes at once: what starts engines and servers, and beside it what does not.

A test with real processes needs this machine as it is: free ports, memory, processes that end in time. All
such tests share one lane and run one after another, in the order of a run without lanes. The other modules
(they compute, or run short commands in homes of their own) go to whichever lane is free, one at a time.
"""

from __future__ import annotations

from xdist.scheduler import LoadScopeScheduling

ONE_AFTER_ANOTHER = "one after another"
BESIDE = (
    "tests/doctor/",
    "tests/explain/",
    "tests/faces/",
    "tests/faults/",
    "tests/fuzz/",
    "tests/machine/test_re",
    "tests/machine/test_rooted.py",
    "tests/machine/test_unpack.py",
    "tests/model/",
    "tests/plan/",
    "tests/planning/",
    "tests/project/",
    "tests/stack/",
    "tests/test_",
)
"""Folders and modules that may run beside any other test."""

NOT_BESIDE = (
    "tests/planning/test_own_runs.py",
    "tests/project/test_no_call_home.py",
    "tests/stack/test_nvml.py",
)
TOGETHER = ("tests/fix/", "tests/journal/", "tests/setup/", "tests/store/")
"""Folders that may run beside others as a whole: their modules share what they set up, and their order."""


class Lanes(LoadScopeScheduling):
    """Hands out units as `unit_of` names them, in the order in which they were collected."""

    def _split_scope(self, nodeid: str) -> str:
        """The unit that a test belongs to."""
        return unit_of(nodeid)


def unit_of(nodeid: str) -> str:
    """What a test belongs to: its module, its folder, or the lane of those that may not run beside others."""
    module = nodeid.partition("::")[0]
    if module.startswith(BESIDE) and module not in NOT_BESIDE:
        return module
    return next((folder for folder in TOGETHER if module.startswith(folder)), ONE_AFTER_ANOTHER)


def turn_of(nodeid: str) -> int:
    """The longest units come first, so that no lane waits at the end."""
    unit = unit_of(nodeid)
    return 0 if unit == ONE_AFTER_ANOTHER else 1 if unit in TOGETHER else 2
