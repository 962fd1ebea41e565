"""What the system wrote down itself, from its own logs.

logs/debian-*.log are of a real upgrade of Debian's NVIDIA packages, 535.261.03 to 535.309.01, by apt and dpkg
into a private tree (only its path was replaced). The lines of dnf, pacman and zypper here are in the form
that public reports show, and the machines around them are made; what the real ones wrote is read in
test_recorded_package_logs.py.
"""

from __future__ import annotations

import gzip
import json
import lzma
import os
import struct
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bringup.actions.log.timeline import Item, merge, moment_of, outside_items
from bringup.machine.recorded import RecordedMachine
from bringup.reading import Known
from bringup.stack import outside
from bringup.stack.changes import read_all_changes
from bringup.stack.package_change import TOLD, PackageChange
from bringup.stack.package_logs import (
    parse_apt_history,
    parse_dnf_log,
    parse_dpkg_log,
    parse_pacman_log,
    parse_zypp_history,
)

LOGS = Path(__file__).parent / "logs"
HISTORY = (LOGS / "debian-history.log").read_text()
DPKG = (LOGS / "debian-dpkg.log").read_text()
PACKAGES = {"libnvidia-ml1", "libnvidia-ptxjitcompiler1", "nvidia-smi"}


def machine(folder: Path, files: dict[str, bytes]) -> RecordedMachine:
    for path, data in files.items():
        place = folder / "root" / path.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
    return RecordedMachine(str(folder))


def changes(where: RecordedMachine) -> tuple[PackageChange, ...]:
    found = read_all_changes(where, TOLD, limit=1000)
    assert isinstance(found, Known)
    return found.value


def test_a_real_upgrade_is_told_once_though_two_logs_have_it(tmp_path: Path) -> None:
    where = machine(
        tmp_path, {"/var/log/apt/history.log": HISTORY.encode(), "/var/log/dpkg.log": DPKG.encode()}
    )
    found = changes(where)
    assert [(one.action, one.package) for one in found if one.action == "upgrade"] == [
        ("upgrade", name) for name in ("libnvidia-ptxjitcompiler1", "libnvidia-ml1", "nvidia-smi")
    ]
    upgrade = next(one for one in found if one.action == "upgrade")
    assert (upgrade.old, upgrade.new) == ("535.261.03-1", "535.309.01-0+deb12u1")
    assert upgrade.author.value == "unattended"
    assert len(found) == 6


def test_dpkg_alone_knows_what_was_done_past_apt(tmp_path: Path) -> None:
    found = changes(machine(tmp_path, {"/var/log/dpkg.log": DPKG.encode()}))
    assert {one.package for one in found} == PACKAGES
    assert {one.action for one in found} == {"install", "upgrade"}
    assert all(one.author.value == "unknown" for one in found)


@pytest.mark.parametrize("number", [1, 2, 7, 12])
def test_rotated_logs_are_read_packed_or_not(tmp_path: Path, number: int) -> None:
    name = f"/var/log/apt/history.log.{number}"
    packed = machine(tmp_path / "a", {f"{name}.gz": gzip.compress(HISTORY.encode())})
    assert len(changes(packed)) == 6
    if number == 1:
        assert len(changes(machine(tmp_path / "b", {name: HISTORY.encode()}))) == 6


def test_a_packed_log_that_ends_early_gives_what_can_be_read(tmp_path: Path) -> None:
    data = gzip.compress(DPKG.encode() * 50)
    found = changes(machine(tmp_path, {"/var/log/dpkg.log.2.gz": data[: len(data) // 2]}))
    assert {one.package for one in found} == PACKAGES


@pytest.mark.parametrize("cut", range(1, 40))
def test_a_half_written_last_line_makes_no_wrong_version(cut: int) -> None:
    for text, parse in (
        (HISTORY, parse_apt_history),
        (DPKG, parse_dpkg_log),
        (PACMAN, parse_pacman_log),
        (DNF, parse_dnf_log),
    ):
        whole = {(one.package, one.old, one.new) for one in parse(text, TOLD)}
        found = {(one.package, one.old, one.new) for one in parse(text[:-cut], TOLD)}
        if parse is parse_dnf_log:  # an old version whose line is not there yet is not known
            found = {one for one in found if one[1]} | {one for one in found & whole}
        assert found <= whole, cut


def test_an_upgrade_that_was_taken_back_and_came_again_is_told_three_times(tmp_path: Path) -> None:
    def run(day: int, verb: str, old: str, new: str) -> str:
        return (
            f"\nStart-Date: 2025-07-{day:02}  06:00:00\nCommandline: apt x\n"
            f"{verb}: nvidia-utils-570:amd64 ({old}, {new})\nEnd-Date: 2025-07-{day:02}  06:01:00\n"
        )

    text = (
        run(1, "Upgrade", "1.0", "2.0") + run(2, "Downgrade", "2.0", "1.0") + run(3, "Upgrade", "1.0", "2.0")
    )
    found = changes(machine(tmp_path, {"/var/log/apt/history.log": text.encode()}))
    assert [one.action for one in found] == ["upgrade", "downgrade", "upgrade"]


DNF = """\
2025-07-14T06:12:30+0200 INFO --- logging initialized ---
2025-07-14T06:12:34+0200 SUBDEBUG Upgrade: nvidia-driver-3:570.172.08-1.fc41.x86_64
2025-07-14T06:12:35+0200 SUBDEBUG Installed: kernel-core-6.15.6-200.fc41.x86_64
2025-07-14T06:12:36+0200 SUBDEBUG Upgrade: selinux-policy-devel-3.14.5-42.fc41.noarch
2025-07-14T06:12:40+0200 SUBDEBUG Upgraded: nvidia-driver-3:570.169-1.fc41.x86_64
2025-07-14T06:12:41+0200 SUBDEBUG Erase: kernel-core-6.14.1-100.fc41.x86_64
"""
PACMAN = """\
[2025-01-15T12:34:50-0700] [PACMAN] Running 'pacman -Syu'
[2025-01-15T12:34:50-0700] [PACMAN] synchronizing package lists
[2025-01-15T12:34:56-0700] [ALPM] upgraded linux (6.12.9.arch1-1 -> 6.13.1.arch1-1)
[2025-01-15T12:34:56-0700] [ALPM] upgraded nvidia-open (570.169-3 -> 570.172.08-1)
[2025-01-15T12:34:57-0700] [ALPM] upgraded firefox (134.0-1 -> 135.0-1)
[2025-01-15T12:34:58-0700] [ALPM-SCRIPTLET] >>> Updating module dependencies. Please wait ...
"""
ZYPP = """\
2025-07-14 06:12:30|command|root@host|'zypper' 'up'|
2025-07-14 06:12:34|install|nvidia-compute-G06|570.172.08-lp156.1|x86_64|root@host|repo|0abc|
"""


def test_dnf_pairs_old_and_new() -> None:
    driver, kernel, gone = parse_dnf_log(DNF, TOLD)
    assert (driver.package, driver.old, driver.new) == (
        "nvidia-driver",
        "570.169-1.fc41",
        "570.172.08-1.fc41",
    )
    assert (kernel.action, kernel.new) == ("install", "6.15.6-200.fc41")
    assert (gone.action, gone.old) == ("remove", "6.14.1-100.fc41")


def test_pacman_and_zypper_tell_what_was_typed() -> None:
    kernel, driver = parse_pacman_log(PACMAN, TOLD)
    assert (driver.old, driver.new, driver.command) == ("570.169-3", "570.172.08-1", "pacman -Syu")
    assert kernel.package == "linux"
    (change,) = parse_zypp_history(ZYPP, TOLD)
    assert (change.package, change.command) == ("nvidia-compute-G06", "zypper up")


def test_a_zone_in_the_log_counts_and_without_one_the_machines_own_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert moment_of("2025-07-14 06:12:34", "+0200") == moment_of("2025-07-14 04:12:34", "Z")
    assert moment_of("2025-01-15 12:34:56", "-07:00") == moment_of("2025-01-15 19:34:56", "+0000")
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    try:
        summer, winter = moment_of("2025-07-14 06:00:00", ""), moment_of("2025-01-14 06:00:00", "")
        assert summer == moment_of("2025-07-14 06:00:00", "+0200")
        assert winter == moment_of("2025-01-14 06:00:00", "+0100")
    finally:
        monkeypatch.undo()
        time.tzset()
    assert moment_of("2025-02-31 06:00:00", "") is None
    assert moment_of("rubbish", "+0200") is None


def wtmp(*boots: tuple[int, str], rest: bytes = b"") -> bytes:
    records = []
    for at_s, release in boots:
        record = bytearray(384)
        struct.pack_into("<h", record, 0, 2)
        record[44:50] = b"reboot"
        record[76 : 76 + len(release)] = release.encode()
        struct.pack_into("<i", record, 340, at_s)
        records.append(bytes(record))
        other = bytearray(384)
        struct.pack_into("<h", other, 0, 7)
        struct.pack_into("<i", other, 340, at_s + 60)
        records.append(bytes(other))
    return b"".join(records) + rest


def test_boots_from_wtmp_with_the_kernel_that_was_booted() -> None:
    data = wtmp(
        (1_752_500_000, "6.8.0-60-generic"), (1_752_560_000, "\x1b[31mevil"), rest=b"\2\0half a record"
    )
    assert list(outside.parse_wtmp(data)) == [(1_752_500_000.0, "6.8.0-60-generic"), (1_752_560_000.0, "")]


def test_this_machines_own_wtmp_is_read_where_there_is_one() -> None:
    path = Path("/var/log/wtmp")
    data = path.read_bytes() if path.exists() and os.access(path, os.R_OK) else b""
    assert all(at_s > 0 for at_s, _ in outside.parse_wtmp(data))


def test_boot_lists_of_the_journal() -> None:
    text = '[{"index":-1,"boot_id":"a","first_entry":1752500000000000,"last_entry":1752550000000000}]'
    assert outside.parse_boot_list(text) == (1_752_500_000.0,)
    assert outside.parse_boot_list("-1 abc Mon 2025-07-14") == ()


def test_everything_together_on_a_made_machine(tmp_path: Path) -> None:
    installer = (
        "nvidia-installer log file '/var/log/nvidia-installer.log'\n"
        "creation time: Mon Jul 14 12:11:10 2025\ninstaller version: 570.169\n\n"
    )
    where = machine(
        tmp_path,
        {
            "/var/log/apt/history.log": HISTORY.encode(),
            "/var/log/wtmp": wtmp((1_752_500_000, "6.8.0-60-generic")),
            "/var/log/nvidia-installer.log": installer.encode(),
            "/var/log/zypp/history-x.xz": lzma.compress(b""),
            "/proc/stat": b"cpu 1\nbtime 1752600000\n",
        },
    )
    found = outside.probe_outside(where)
    kinds = [event.happening.value for event in found.events]
    assert kinds.count("package") == 6
    assert kinds.count("boot") == 2
    runfile = next(event for event in found.events if event.happening is outside.Happening.RUNFILE)
    assert (runfile.when, runfile.new) == ("2025-07-14 12:11:10", "570.169")
    items, unseen = outside_items(where)
    assert [item.at_s for item in items] == sorted(item.at_s for item in items)
    assert len(items) == len(found.events)
    assert all(item.layers for item in items)
    assert unseen == ()


def test_logs_that_cannot_be_read_are_said(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "machine.toml").write_text('[unreadable]\n"/var/log" = "Permission denied"\n')
    found = outside.probe_outside(RecordedMachine(str(tmp_path)))
    assert found.events == ()
    assert any(one.why == "Permission denied" for one in found.unseen)


def test_builds_of_the_engine_are_told_by_their_date(tmp_path: Path) -> None:
    from bringup.machine.live import LiveMachine

    for name, at_s in (("b6325-cuda", 1_752_500_000), (".unfinished", 1_752_500_001)):
        (tmp_path / name).mkdir()
        os.utime(tmp_path / name, (at_s, at_s))
    (tmp_path / "current").write_text("b6325-cuda\n")
    found = outside.probe_outside(LiveMachine(), builds_folder=str(tmp_path))
    told = [event for event in found.events if event.happening is outside.Happening.ENGINE]
    assert [(event.what, event.at_s) for event in told] == [
        ("build b6325-cuda of llama.cpp", 1_752_500_000.0)
    ]


def test_rpms_own_database_is_asked_where_there_is_no_log(tmp_path: Path) -> None:
    text = "1752473554\tnvidia-driver\t570.172.08-1.fc41\n1752473554\tfirefox\t1-1\n17524\tkernel-co"
    (event,) = outside.parse_rpm_list(text)
    assert (event.at_s, event.package, event.new) == (1752473554.0, "nvidia-driver", "570.172.08-1.fc41")
    (tmp_path / "root/var/log").mkdir(parents=True)
    answer = [{"argv": list(outside._RPM), "exit_code": 0, "stdout": text, "stderr": ""}]
    (tmp_path / "commands.json").write_text(json.dumps(answer))
    found = outside.probe_outside(RecordedMachine(str(tmp_path)))
    assert [one.what for one in found.events] == ["nvidia-driver 570.172.08-1.fc41 came"]


@pytest.mark.parametrize(
    ("name", "layer"),
    [
        ("libnvidia-compute-570", "userspace"),
        ("nvidia-dkms-570-open", "kernel"),
        ("linux-modules-nvidia-570-6.8.0-60-generic", "kernel"),
        ("linux-image-6.8.0-60-generic", "kernel"),
        ("cuda-toolkit-12-8", "toolkit"),
        ("libcublas-12-8", "toolkit"),
        ("cuda-drivers", "userspace"),
        ("nvidia-container-toolkit", "container"),
        ("docker-ce", "container"),
        ("gcc-13", "toolkit"),
        ("llama.cpp", "build"),
    ],
)
def test_what_a_package_can_touch(name: str, layer: str) -> None:
    assert TOLD.match(name), name
    assert outside.layers_of_package(name)[0] == layer


@pytest.mark.parametrize("name", ["firefox", "vim", "htop", "libpython3.11", "linuxlogo", "kernelshark"])
def test_what_touches_no_layer_is_not_told(name: str) -> None:
    assert not TOLD.match(name)


@given(st.lists(st.tuples(st.integers(0, 100), st.booleans()), max_size=30))
def test_own_entries_keep_their_order_whatever_their_clock_says(made: list[tuple[int, bool]]) -> None:
    own = [Item(float(at_s), number + 1, "note", "") for number, (at_s, is_own) in enumerate(made) if is_own]
    foreign = sorted(
        (Item(float(at_s), 0, "package", str(n)) for n, (at_s, is_own) in enumerate(made) if not is_own),
        key=lambda item: item.at_s,
    )
    merged = merge(own, foreign)
    assert [item.seq for item in merged if item.seq] == [item.seq for item in own]
    assert [item.text for item in merged if not item.seq] == [item.text for item in foreign]
