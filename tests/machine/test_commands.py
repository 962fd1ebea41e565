"""Short commands to look: bounded in time and in what they print, whatever they leave behind."""

from __future__ import annotations

import sys

import pytest

from bringup.machine.commands import run_bounded

ENVIRONMENT = {"PATH": "/usr/bin:/bin"}


def python(code: str) -> tuple[str, ...]:
    return (sys.executable, "-I", "-c", code)


@pytest.mark.timeout(60)
def test_a_child_that_keeps_the_pipe_open_is_not_waited_for() -> None:
    left_behind = "import subprocess; subprocess.Popen(['sleep', '600']); print('done', flush=True)"
    assert run_bounded(python(left_behind), environment=ENVIRONMENT, timeout_s=40) == "done\n"


@pytest.mark.timeout(60)
def test_what_prints_without_end_is_ended() -> None:
    assert run_bounded(("/usr/bin/yes",), environment=ENVIRONMENT, timeout_s=600) is None


def test_last_words_of_a_failed_command() -> None:
    code = "import sys; print('out', flush=True); print('err', file=sys.stderr); sys.exit(3)"
    assert run_bounded(python(code), environment=ENVIRONMENT, timeout_s=40) is None
    words = run_bounded(python(code), environment=ENVIRONMENT, timeout_s=40, may_fail=True)
    assert words == "out\nerr\n"
    assert run_bounded(("/nowhere/program",), environment={}, timeout_s=1) is None
