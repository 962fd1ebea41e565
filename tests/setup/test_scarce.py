"""`bringup setup` where there is really little: 200 MiB of disk, a gigabyte of memory."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from tests.setup.conftest import Changed
from tests.store.test_disk import needs_mount
from tests.stubs.command_line import Home, argv

from bringup.actions.configuration import Configuration
from bringup.actions.setting_up.choice import Method, SetupWishes
from bringup.actions.setting_up.request import SetupRequest
from bringup.actions.setting_up.setup import plan_setup
from bringup.actions.setting_up.source import SourceWishes
from bringup.actions.surroundings import Surroundings
from bringup.engine.source_build import Backend
from bringup.machine.folders import Folders

# A machine of 1 GB: made.
MEMINFO = """MemTotal:        1000000 kB
MemFree:          200000 kB
MemAvailable:     600000 kB
SwapTotal:             0 kB
SwapFree:              0 kB
"""


@needs_mount
@pytest.mark.parametrize("method", ["source", "wheel"])
def test_200_mib_of_disk(tmp_path: Path, small_model: Path, method: str) -> None:
    """Refused before anything is fetched, with what is free and what it takes; nothing is left behind."""
    if shutil.which("cmake") is None or shutil.which("ninja") is None:
        pytest.skip("no cmake and ninja")
    home = Home(tmp_path)
    home.state.mkdir(parents=True)
    words = argv("setup", "--method", method, "--backend", "cpu", "--proof-model", str(small_model))
    place = home.state
    script = f'mount -t tmpfs -o size=200m none {place}; "$@"; code=$?; ls {place}/build-work; exit $code'
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", script, "sh", *words],
        env=home.environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 1, done.stderr
    assert "[disk-full]" in done.stderr and "200 MiB are free" in done.stderr
    assert "XDG_STATE_HOME" in done.stderr and done.stdout == ""


@pytest.mark.parametrize(("backend", "archs"), [(Backend.CPU, ()), (Backend.CUDA, ("86",))])
def test_a_gigabyte_of_memory(tmp_path: Path, backend: Backend, archs: tuple[str, ...]) -> None:
    """One compiler could eat it all: said before the build, and with the fault in which it would end."""
    machine = Changed(texts={"/proc/meminfo": MEMINFO})
    ours = Folders(str(tmp_path / "configuration"), str(tmp_path / "cache"), str(tmp_path))
    request = SetupRequest(SetupWishes(backend, Method.SOURCE, archs), SourceWishes())
    plan = plan_setup(request, Surroundings(machine, ours, Configuration()))
    (found,) = [one for one in plan.missing if one.fault == "build-out-of-memory"]
    assert "585 MiB of memory are free" in found.what and "swap" in found.hint
    assert plan.job is not None and plan.job.n_jobs == 1
