"""Logs and databases that the real dnf, dnf5, pacman and zypper wrote; logs/README.md says how."""

from __future__ import annotations

import bz2
import gzip
import lzma
import sqlite3
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
import zstandard

from bringup.actions.log.timeline import outside_items
from bringup.machine.recorded import RecordedMachine
from bringup.reading import Known, Unreadable
from bringup.stack.changes import read_all_changes
from bringup.stack.dnf_history import DNF4, DNF5, apply_write_ahead_log, probe_dnf_history
from bringup.stack.outside import probe_outside
from bringup.stack.package_change import TOLD
from bringup.stack.package_logs import parse_dnf_log

LOGS = Path(__file__).parent / "logs"
RPM_LOG = "/var/log/dnf.rpm.log"
PACMAN_LOG = "/var/log/pacman.log"
ZYPP_LOG = "/var/log/zypp/history"
OLD, NEW = "570.169-1.fc41", "570.172.08-1.fc41"
OLD_KERNEL, NEW_KERNEL = "6.14.1-100.fc41", "6.15.6-200.fc41"


@cache
def kept(name: str) -> bytes:
    path = LOGS / name
    return lzma.decompress(path.read_bytes()) if path.suffix == ".xz" else path.read_bytes()


def dnf4() -> dict[str, bytes]:
    return {
        DNF4: kept("fedora-dnf/history.sqlite.xz"),
        f"{DNF4}-wal": kept("fedora-dnf/history.sqlite-wal.xz"),
        RPM_LOG: kept("fedora-dnf/dnf.rpm.log"),
    }


def dnf5() -> dict[str, bytes]:
    return {
        DNF5: kept("fedora-dnf5/transaction_history.sqlite.xz"),
        f"{DNF5}-wal": kept("fedora-dnf5/transaction_history.sqlite-wal.xz"),
    }


def machine(folder: Path, files: dict[str, bytes]) -> RecordedMachine:
    for path, data in files.items():
        place = folder / "root" / path.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
    return RecordedMachine(str(folder))


def told(where: RecordedMachine) -> list[tuple[str, str, str, str, str]]:
    found = read_all_changes(where, TOLD, limit=1000)
    assert isinstance(found, Known)
    return [(one.action, one.package, one.old, one.new, one.author.value) for one in found.value]


def by_name(rows: list[tuple[str, str, str, str, str]], name: str) -> list[tuple[str, str, str, str]]:
    return [(row[0], row[2], row[3], row[4]) for row in rows if row[1] == name]


@pytest.mark.parametrize("files", [dnf4, dnf5])
def test_what_dnf_did_is_told_once_with_who_did_it(
    tmp_path: Path, files: Callable[[], dict[str, bytes]]
) -> None:
    rows = told(machine(tmp_path, files()))
    set_back, first, automatic, taken_back, again = by_name(rows, "nvidia-driver")
    # The clock was two days behind for the last upgrade: the logs say so, and the list goes by time.
    assert set_back == ("upgrade", OLD, NEW, "unknown")
    assert first == ("install", "", OLD, "by hand")
    assert automatic == ("upgrade", OLD, NEW, "unattended")
    assert taken_back == ("downgrade", NEW, OLD, "by hand")
    assert again == ("reinstall", "", NEW, "by hand")
    assert by_name(rows, "kernel-core") == [
        ("install", "", OLD_KERNEL, "by hand"),
        ("install", "", NEW_KERNEL, "unattended"),
        ("remove", OLD_KERNEL, "", "by hand"),
    ]
    assert len(rows) == 8, "the install that failed in its script, and htop, are not told"


def test_the_command_line_stands_beside_the_change(tmp_path: Path) -> None:
    commands = []
    for number, files in enumerate((dnf4(), dnf5())):
        found = read_all_changes(machine(tmp_path / str(number), files), TOLD, limit=1000)
        assert isinstance(found, Known)
        commands.append({one.action: one.command for one in found.value if one.package == "nvidia-driver"})
    four, five = commands
    assert four["downgrade"] == "dnf -y downgrade nvidia-driver"
    assert five["downgrade"] == "dnf5 -y downgrade nvidia-driver"
    assert (four["upgrade"], five["upgrade"]) == ("", "dnf5 automatic --timer"), "dnf-automatic gives none"


def test_the_times_of_the_log_and_of_the_database_are_the_same_moments(tmp_path: Path) -> None:
    """The log is written in the zone of each run, with its distance from UTC; the database in Unix time."""
    from_log, _ = outside_items(machine(tmp_path / "log", {RPM_LOG: dnf4()[RPM_LOG]}))
    database = {path: data for path, data in dnf4().items() if path != RPM_LOG}
    from_database, _ = outside_items(machine(tmp_path / "database", database))
    assert len(from_log) == len(from_database) == 8
    for one, other in zip(from_log, from_database, strict=True):
        assert one.text == other.text
        assert abs(one.at_s - other.at_s) <= 2
    assert all(item.source == RPM_LOG for item in from_log)
    assert from_database[0].who == "dnf -y upgrade nvidia-driver"


def test_an_install_that_failed_is_not_told_from_the_log_alone() -> None:
    text = kept("fedora-dnf/dnf.rpm.log").decode()
    assert "Installed: nvidia-settings" in text, "dnf writes it as if it had been installed"
    assert "nvidia-settings" not in {one.package for one in parse_dnf_log(text, TOLD)}
    # A script after the files are there changes nothing of that they are there.
    late = text.replace("Error in PREIN scriptlet", "Error in POSTIN scriptlet")
    assert "nvidia-settings" in {one.package for one in parse_dnf_log(late, TOLD)}


@pytest.mark.parametrize("path", [DNF4, DNF5])
def test_a_database_in_mid_write_tells_what_was_committed_and_nothing_else(tmp_path: Path, path: str) -> None:
    files = dnf4() if path == DNF4 else dnf5()
    whole = probe_dnf_history(machine(tmp_path, files), path, TOLD)
    assert isinstance(whole, Known)
    log = files[f"{path}-wal"]
    counts = set()
    for cut in range(0, len(log), 4120 * 3 + 17):
        merged = apply_write_ahead_log(files[path], log[:cut])
        assert merged[18:20] == b"\1\1"
        found = probe_dnf_history(
            machine(tmp_path / str(cut), {path: files[path], f"{path}-wal": log[:cut]}), path, TOLD
        )
        if isinstance(found, Known):
            assert found.value == whole.value[: len(found.value)]
            counts.add(len(found.value))
        else:
            assert isinstance(found, Unreadable), "its tables are not there yet"
    assert len(counts) > 3, counts


@pytest.mark.parametrize("damage", ["junk", "cut", "zeroed"])
def test_a_damaged_database_is_said_and_the_log_still_tells(tmp_path: Path, damage: str) -> None:
    data = {"junk": b"no database " * 4000, "cut": dnf4()[DNF4][:5000], "zeroed": b"\0" * 8192}[damage]
    found = probe_dnf_history(machine(tmp_path / "alone", {DNF4: data}), DNF4, TOLD)
    assert isinstance(found, Unreadable)
    rows = told(machine(tmp_path / "both", {DNF4: data, RPM_LOG: dnf4()[RPM_LOG]}))
    assert len(rows) == 8
    assert {row[4] for row in rows} == {"unknown"}
    unseen = probe_outside(machine(tmp_path / "only", {DNF4: data})).unseen
    assert any(one.source == DNF4 for one in unseen)


def test_a_database_made_to_keep_us_busy_is_left(tmp_path: Path) -> None:
    path = tmp_path / "made.sqlite"
    connection = sqlite3.connect(path)
    connection.executescript(
        "CREATE VIEW trans AS WITH RECURSIVE n(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n)"
        " SELECT id, id AS dt_begin, 0 AS user_id, '' AS cmdline, 1 AS state FROM n;"
        "CREATE TABLE trans_item (id, trans_id, item_id, action, state);"
        "CREATE TABLE rpm (item_id, name, version, release, arch);"
        "INSERT INTO trans_item VALUES (1, -1, 1, 1, 1); INSERT INTO rpm VALUES (1, 'a', '1', '1', 'x');"
    )
    connection.close()
    found = probe_dnf_history(machine(tmp_path / "m", {DNF4: path.read_bytes()}), DNF4, TOLD)
    assert isinstance(found, Unreadable)
    assert "interrupted" in found.why


def test_what_pacman_wrote(tmp_path: Path) -> None:
    rows = told(machine(tmp_path, {PACMAN_LOG: kept("arch/pacman.log")}))
    assert by_name(rows, "nvidia-open") == [
        ("upgrade", "570.169-3", "570.172.08-1", "by hand"),
        ("install", "", "570.169-3", "by hand"),
        ("upgrade", "570.169-3", "570.172.08-1", "by hand"),
        ("downgrade", "570.172.08-1", "570.169-3", "by hand"),
        ("reinstall", "", "570.172.08-1", "by hand"),
    ]
    assert by_name(rows, "linux")[-1] == ("remove", "6.13.1.arch1-1", "", "by hand")
    items, _ = outside_items(machine(tmp_path, {}))
    typed = [item.who for item in items if "downgrade" in item.text]
    assert typed[0].startswith("by hand: pacman --noconfirm -U /")


def test_what_zypper_wrote_and_what_was_there_before(tmp_path: Path) -> None:
    text = kept("opensuse/history")
    rows = told(machine(tmp_path, {ZYPP_LOG: text}))
    old, new = "570.169-lp156.1", "570.172.08-lp156.1"
    assert by_name(rows, "nvidia-compute-G06") == [
        ("upgrade", old, new, "by hand"),
        ("downgrade", new, old, "by hand"),
        ("install", "", old, "by hand"),
        ("upgrade", old, new, "by hand"),
    ], "zypper writes local time without its zone, and the downgrade was made eight hours to the west"
    assert by_name(rows, "kernel-default") == [
        ("install", "", "6.4.0-1", "by hand"),
        ("install", "", "6.4.0-2", "by hand"),
        ("remove", "6.4.0-1", "", "by hand"),
    ]
    assert "nvidia-settings" not in {row[1] for row in rows}, "its install failed"


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "": lambda data: data,
    ".gz": gzip.compress,
    ".xz": lzma.compress,
    ".bz2": bz2.compress,
    ".zst": lambda data: zstandard.ZstdCompressor().compress(data),
}


@pytest.mark.parametrize("packed", PACKERS)
@pytest.mark.parametrize("older", ["-20261125", "-20261125-1795620000", ".1"])
def test_a_log_in_two_parts_tells_the_same_however_it_was_rotated_and_packed(
    tmp_path: Path, older: str, packed: str
) -> None:
    for log, name in ((ZYPP_LOG, "opensuse/history"), (PACMAN_LOG, "arch/pacman.log")):
        lines = kept(name).splitlines(keepends=True)
        parts = {
            f"{log}{older}{packed}": PACKERS[packed](b"".join(lines[: len(lines) // 2])),
            log: b"".join(lines[len(lines) // 2 :]),
        }
        folder = tmp_path / name.partition("/")[0]
        found, whole = (
            [row[:4] for row in told(machine(folder / place, files))]
            for place, files in (("parts", parts), ("whole", {log: kept(name)}))
        )
        assert found == whole


def test_a_packed_log_that_is_damaged_is_no_crash(tmp_path: Path) -> None:
    for number, (ending, pack) in enumerate(PACKERS.items()):
        data = pack(kept("arch/pacman.log") * 20)
        for cut in (8, len(data) // 3, len(data) - 3):
            folder = tmp_path / f"{number}-{cut}"
            found = probe_outside(machine(folder, {f"{PACMAN_LOG}.1{ending}": data[:cut]}))
            assert all(event.package in ("linux", "nvidia-open") for event in found.events)
