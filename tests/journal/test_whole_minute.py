"""Promise 28: the lock was held for a whole minute, and nothing is lost. The last file of this folder."""

from __future__ import annotations

import time

from tests.journal.conftest import Held
from tests.stubs.command_line import run_cli


def test_a_lock_that_was_held_for_a_whole_minute_lost_nothing(held: Held) -> None:
    """Most of the minute went by with the tests before this one."""
    time.sleep(max(0.0, 60.0 - (time.monotonic() - held.since_s)))
    for words in (("doctor",), ("log",), ("log", "add", "--symptom", "after a minute")):
        done = run_cli(held.home, *words)
        assert done.returncode == held.codes.get(words, 0), (words, done.stderr)
        assert done.stderr.count("warning:") <= 1, (words, done.stderr)
    assert held.holder.poll() is None
    held.release()
    done = run_cli(held.home, "log")
    assert (done.returncode, done.stderr) == (0, "")
    texts = ("before it was held", "while it was held", "12 GiB", "after a minute")
    places = [done.stdout.index(text) for text in texts]
    assert places == sorted(places)
    assert run_cli(held.home, "log", "verify").returncode == 0
