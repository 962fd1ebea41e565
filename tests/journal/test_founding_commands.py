"""The founding morning by the commands alone, on a made machine: nothing of it is noted by hand.

Evening, upgrade at 06:41 by unattended-upgrades, nvidia-smi fails, doctor, log since-it-worked, fix, log
export.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from tests.cases._make.driver_answers import refuse_nvml, start_cuda
from tests.cases._make.machine import Made
from tests.cases._make.machines import NEW, NIGHT, morning
from tests.cases._make.user_machines import SYSTEM_PATH, packages, working
from tests.journal.days import Days, in_one_line

MISMATCH = "driver-library-mismatch"
AT_0641 = NIGHT.replace("06:32:11", "06:41:03").replace("06:34:40", "06:43:12")
REFUSED = "Failed to initialize NVML: Driver/library version mismatch\nNVML library version: 570.172"

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="not root")


def with_log(made: Made, text: str) -> Made:
    made.text("/var/log/apt/history.log", text)
    return made


@pytest.fixture
def days(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Days:
    one = Days(tmp_path, monkeypatch)
    one.state("evening", with_log(working(), AT_0641.partition("Start-Date: 2025-07-15")[0]))
    broken = with_log(morning(), AT_0641)
    broken.environment["PATH"] = SYSTEM_PATH
    broken.text("/var/lib/dpkg/status", packages(NEW))
    broken.command(("nvidia-smi",), REFUSED, exit_code=18)
    refuse_nvml(broken, 18, "Driver/library version mismatch")
    start_cuda(broken, 803, "CUDA_ERROR_SYSTEM_DRIVER_MISMATCH")
    one.state("morning", broken)
    one.state("cured", with_log(working(version=NEW), AT_0641))
    one.be("evening", "2025-07-14 21:03")
    one.says("doctor", code=0)
    one.at("2025-07-14 23:10")
    one.says("doctor", code=0)
    return one


def find_the_cause(days: Days) -> None:
    """The morning up to the cure: the alarm of the upgrade itself, the root cause, and what changed."""
    days.be("morning", "2025-07-15 06:43")
    alarm = days.says("watch", "--after-upgrade", code=1)
    assert "Restart before the next GPU program" in alarm
    days.at("2025-07-15 08:12")
    verdict = in_one_line(days.says("doctor", code=1))
    assert MISMATCH in verdict
    assert "loaded module 570.169, libraries 570.172.08" in verdict
    since = days.says("log", "since-it-worked", code=0)
    assert "then  2025-07-14 21:03" in since
    first = in_one_line(since.partition("1. ")[2].partition("2. ")[0])
    assert first.startswith(
        "2025-07-15 06:41 upgrade libnvidia-compute-570 570.169-0ubuntu0.24.04.1 -> 570.172.08"
    )
    assert "(unattended: /usr/bin/unattended-upgrade)" in first
    assert f"the evidence of {MISMATCH} names it" in first
    # Of a record only what differs, and the lost card in one line.
    assert "kernel dkms: nvidia, version 570.169 -> 570.172.08" in since
    assert re.search(r"nvml cards\[0\] \(\w+, \w+ and \d+ more\): no longer seen", in_one_line(since))


def check_export(days: Days, *, cured_at: str) -> str:
    document = days.says("log", "export", code=0)
    assert document.index("## Learning") < document.index("## Debug")
    entry = document.partition("## Debug")[2]
    title = "1. **15/7/25** The loaded NVIDIA kernel module and the driver's libraries are of different"
    for words in (
        title,
        "loaded module 570.169, libraries 570.172.08",
        "2025-07-15 06:41 upgrade libnvidia-compute-570",
        "(unattended: /usr/bin/unattended-upgrade)",
        "**Reason**: The module in the kernel and the libraries on the disk must be of exactly one",
        "**Solution**",
        f"Gone on {cured_at}.",
    ):
        assert words in entry, entry
    assert entry.index(title) < entry.index("**Reason**") < entry.index("**Solution**")
    assert days.says("log", "verify", code=0)
    return entry


def test_the_morning_that_ends_with_a_restart(days: Days) -> None:
    days.program("systemctl", becomes="cured", only_with="reboot")
    days.program("nvidia-smi", prints="570.172.08")
    find_the_cause(days)
    days.at("2025-07-15 08:17")
    person = days.walks("fix", MISMATCH, answers=[b"yes\n"], code=0)
    assert days.ran == ["systemctl reboot"]
    assert "$ systemctl reboot" in person.text
    assert "Once it has restarted, bringup doctor says whether the fault is gone." in in_one_line(person.text)
    days.restarted()
    days.at("2025-07-15 08:20")
    assert "No fault found on this machine." in days.says("doctor", code=0)
    timeline = days.says("log", "--last", "20", code=0)
    order = ("fault-opened", "fix", "fault-closed")
    places = [re.search(rf"  {kind} ", timeline) for kind in order]
    assert all(places), timeline
    assert [place.start() for place in places if place] == sorted(place.start() for place in places if place)
    assert (
        "step 1 of driver-library-mismatch: systemctl reboot; exit code 0; the look after the restart"
        in timeline
    )
    entry = check_export(days, cured_at="2025-07-15 08:20")
    assert "- step 1: `systemctl reboot`\n" in entry
    assert "still there" not in entry


def test_the_morning_that_ends_without_a_restart(days: Days) -> None:
    unloaded = with_log(working(version=NEW), AT_0641)
    for path in [
        path for path in unloaded.files if path.startswith(("/proc/driver/nvidia", "/sys/module/nvidia"))
    ]:
        del unloaded.files[path]
    days.state("unloaded", unloaded)
    days.program("kill")
    days.program("systemctl")
    days.program("modprobe", becomes="unloaded", only_with="-r*")
    days.program("modprobe", becomes="cured", only_with="nvidia")
    days.program("nvidia-smi", prints="570.172.08")
    find_the_cause(days)
    days.at("2025-07-15 08:17")
    person = days.walks("fix", MISMATCH, answers=[b"\n", *[b"yes\n"] * 13], code=0)
    assert days.ran[0] == "kill 30211"
    assert "modprobe -r nvidia_drm nvidia_modeset nvidia_uvm nvidia" in days.ran
    assert days.ran.index("modprobe nvidia") < days.ran.index("modprobe nvidia_uvm")
    assert "systemctl reboot" not in days.ran
    assert person.text.endswith("The fault is gone.\n")
    entry = check_export(days, cured_at="2025-07-15 08:17")
    assert "- step 7: `modprobe nvidia`; the fault was gone after it\n" in entry


def test_a_walk_that_nobody_says_yes_to_changes_and_keeps_nothing(days: Days) -> None:
    days.program("systemctl", becomes="cured", only_with="reboot")
    find_the_cause(days)
    person = days.walks("fix", MISMATCH, answers=[b"no\n"], code=1)
    assert days.ran == []
    assert "Nothing was run." in person.text
    assert "  fix " not in days.says("log", code=0)
    assert MISMATCH in days.says("doctor", code=1)


def test_when_it_comes_back_the_page_says_what_had_been_done_each_time(days: Days) -> None:
    days.program("systemctl", becomes="cured", only_with="reboot")
    find_the_cause(days)
    days.at("2025-07-15 08:17")
    days.walks("fix", MISMATCH, answers=[b"yes\n"], code=0)
    days.restarted()
    days.at("2025-07-15 08:20")
    days.says("doctor", code=0)
    days.be("morning", "2025-07-16 07:00")
    page = in_one_line(days.says("doctor", code=1))
    assert (
        "the second time since 2025-07-15; on 2025-07-15 it came with: upgrade libnvidia-compute-570" in page
    )
    assert "(unattended: /usr/bin/unattended-upgrade)" in page
    assert "on 2025-07-16 it came with: kernel loaded_driver: version 570.172.08 -> 570.169" in page
    assert "go on with step 2" in page
