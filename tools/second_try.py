"""A second try, alone, for the few tests that failed in a whole run.

`python -m tools.second_try EXIT_STATUS`, from `scripts/test`. Thousands of tests with real processes
share a busy machine, and now and then one loses a race that is its own. At most three such tests get one
more try. Those that pass are named as raced, to be mended; one that fails again, or a run that ended for
another reason than a failed test, keeps its exit status.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

MOST = 3
TESTS_FAILED = 1  # pytest's exit status
FAILED = Path(".pytest_cache/v/cache/lastfailed")


def second_try(status: int, folder: Path) -> int:
    """The exit status of the run after the second try of its failed tests."""
    file = folder / FAILED
    failed = list(json.loads(file.read_text())) if file.is_file() else []
    if status != TESTS_FAILED or not 0 < len(failed) <= MOST:
        return status
    print(f"\nsecond try, alone: {', '.join(failed)}", flush=True)
    again = subprocess.run([sys.executable, "-m", "pytest", "--no-header", *failed], cwd=folder).returncode
    if again == 0:
        print(f"RACED (passed alone, mend the test): {', '.join(failed)}")
    return again


if __name__ == "__main__":
    sys.exit(second_try(int(sys.argv[1]), Path.cwd()))
