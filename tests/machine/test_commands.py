"""Short commands to look: bounded in time and in what they print, whatever they leave behind."""

from __future__ import annotations

import subprocess
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


WITHOUT_PIDFD = """
import ctypes, struct, sys
call = ctypes.CDLL(None, use_errno=True).prctl
# The number of the call; 434 is pidfd_open on every architecture: ENOSYS for it, all else is allowed.
rows = (0x20, 0, 0, 0), (0x15, 0, 1, 434), (6, 0, 0, 0x00050026), (6, 0, 0, 0x7FFF0000)
rules = b"".join(struct.pack("=HBBI", *row) for row in rows)
program = struct.pack("@HP", 4, ctypes.addressof(kept := ctypes.create_string_buffer(rules, len(rules))))
assert not call(38, 1, 0, 0, 0) and not call(22, 2, ctypes.c_char_p(program), 0, 0)
import os
try:
    os.pidfd_open(os.getpid())
    raise SystemExit("it has pidfds")
except OSError:
    pass
from bringup.machine.commands import run_bounded
python = sys.executable, "-I", "-S", "-c"
environment = {"PATH": "/usr/bin:/bin"}
assert run_bounded((*python, "print(7)"), environment=environment, timeout_s=40) == "7\\n"
assert run_bounded((*python, "import time; time.sleep(600)"), environment=environment, timeout_s=0.1) is None
left = "import subprocess; subprocess.Popen(['sleep', '600']); print('left', flush=True)"
assert run_bounded((*python, left), environment=environment, timeout_s=40) == "left\\n"
silent = "import os; os.close(1); os.close(2)"
assert run_bounded((*python, silent), environment=environment, timeout_s=40) == ""
"""
"""Runs where the kernel says that it has no pidfds, as those before Linux 5.3 do."""


@pytest.mark.timeout(120)
def test_the_end_is_seen_where_the_kernel_has_no_pidfds() -> None:
    done = subprocess.run([sys.executable, "-c", WITHOUT_PIDFD], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
