"""Driver packages that apt's lists offer in a newer version: on trees of a disk, against dpkg's own order."""

from __future__ import annotations

import gzip
import lzma
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from bringup.actions.diagnosis.facts import list_facts
from bringup.actions.diagnosis.snapshot import take_snapshot
from bringup.faces.render.facts import render_facts
from bringup.machine.archive import unpack_recording
from bringup.machine.recorded import RecordedMachine
from bringup.machine.rooted import RootedMachine
from bringup.reading import Absent, Known, Reading, Unreadable
from bringup.stack.debian_version import DebianVersion
from bringup.stack.pending_upgrades import OfferedUpgrade, native_lists, parse_offers
from bringup.stack.stack import Stack
from bringup.stack.userspace import probe_userspace

_OLD, _NEW = "570.169-0ubuntu0.24.04.1", "570.172.08-0ubuntu0.24.04.1"
_NAME = "libnvidia-compute-570"
_MIRROR = "mirror.secret.example_ubuntu_dists_noble-updates_restricted_binary-amd64_Packages"


def paragraph(version: str, name: str = _NAME, architecture: str = "amd64") -> str:
    """As apt's lists have it, with lines that nobody reads."""
    return (
        f"Package: {name}\nArchitecture: {architecture}\nVersion: {version}\nPriority: optional\n"
        f"Depends: libc6 (>= 2.34)\nDescription: NVIDIA libcompute package\n\n"
    )


def disk(
    root: Path, lists: dict[str, bytes] | None, *, installed: str = _OLD, status: str = "install"
) -> RootedMachine:
    """A mounted disk of Debian's kind with one package of the driver and these lists."""
    files: dict[str, bytes] = {f"var/lib/apt/lists/{name}": data for name, data in (lists or {}).items()}
    if lists is not None:
        files["var/lib/apt/lists/lock"] = b""
    text = f"Package: bash\nStatus: install ok installed\nVersion: 5.2\n\nPackage: {_NAME}\n"
    text += f"Status: {status} ok installed\nArchitecture: amd64\nVersion: {installed}\n\n"
    files["var/lib/dpkg/status"] = text.encode()
    for name, data in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    return RootedMachine(str(root))


def pending(machine: RootedMachine | RecordedMachine) -> Reading[tuple[OfferedUpgrade, ...]]:
    return probe_userspace(machine).pending_upgrades


_PLAIN = paragraph("99:1", "bash").encode() + paragraph(_NEW).encode()


@pytest.mark.parametrize(
    ("suffix", "data"), [("", _PLAIN), (".gz", gzip.compress(_PLAIN)), (".xz", lzma.compress(_PLAIN))]
)
def test_a_newer_version_in_a_list_is_pending(tmp_path: Path, suffix: str, data: bytes) -> None:
    found = pending(disk(tmp_path, {_MIRROR + suffix: data}, status="hold"))
    offer = OfferedUpgrade(_NAME, _OLD, _NEW, is_held=True)
    assert found == Known((offer,), "/var/lib/apt/lists, 1 of 1 lists")


@pytest.mark.parametrize(
    "data",
    [
        paragraph(_OLD),
        paragraph("570.169-0ubuntu0.24.04.1~rc1"),
        paragraph("570.99-0ubuntu0.24.04.9"),
        paragraph(_NEW, "libnvidia-compute-575"),
        paragraph(_NEW, _NAME + "-server"),
        paragraph(_NEW, architecture="i386"),
        f"Package: x\nDescription: of\n Package: {_NAME}\nVersion: {_NEW}\n\n",
        f"Package: {_NAME}\nArchitecture: amd64\n\nVersion: {_NEW}\n",
        "",
    ],
)
def test_near_misses_offer_nothing(tmp_path: Path, data: str) -> None:
    assert pending(disk(tmp_path, {_MIRROR: data.encode()})) == Known((), "/var/lib/apt/lists, 1 of 1 lists")


def test_the_highest_of_all_lists_counts_and_32_bit_lists_are_left_out(tmp_path: Path) -> None:
    lists = {
        "a_dists_x_restricted_binary-amd64_Packages": paragraph("570.170-1") + paragraph("570.171-1"),
        "b_dists_x_restricted_binary-amd64_Packages": paragraph("570.99-1"),
        "b_dists_x_restricted_binary-i386_Packages": paragraph("999-1", architecture="i386"),
        "b_dists_x_InRelease": paragraph("999-1"),
    }
    found = pending(disk(tmp_path, {name: text.encode() for name, text in lists.items()}))
    assert isinstance(found, Known)
    assert [(one.offered, one.is_held) for one in found.value] == [("570.171-1", False)]
    assert found.source.endswith("2 of 2 lists")


@pytest.mark.parametrize(
    ("lists", "why"),
    [
        (None, "it holds no list of packages"),
        ({}, "it holds no list of packages"),
        ({_MIRROR + ".lz4": b"\x04\x22\x4d\x18"}, "packed as lz4, which Python cannot unpack"),
        ({_MIRROR + ".gz": gzip.compress(_PLAIN)[:60]}, "1 of 1 lists could not be read"),
        ({_MIRROR + ".xz": b"\xfd7zXZ\x00" + bytes(40)}, "1 of 1 lists could not be read"),
        ({_MIRROR + ".lz4": b"", "a_Packages": paragraph(_OLD).encode()}, "1 of 2 lists could not be read"),
    ],
)
def test_what_could_not_be_read_is_not_nothing_newer(
    tmp_path: Path, lists: dict[str, bytes] | None, why: str
) -> None:
    found = pending(disk(tmp_path, lists))
    assert isinstance(found, Unreadable)
    assert why in found.why


def test_an_offer_is_told_though_another_list_was_not_read(tmp_path: Path) -> None:
    found = pending(disk(tmp_path, {_MIRROR: _PLAIN, "a_Packages.lz4": b""}))
    assert isinstance(found, Known)
    assert found.source == "/var/lib/apt/lists, 1 of 2 lists"
    assert [one.offered for one in found.value] == [_NEW]


def test_without_a_driver_package_no_list_is_opened(tmp_path: Path) -> None:
    machine = disk(tmp_path, {_MIRROR: _PLAIN}, status="deinstall")
    status = tmp_path / "var/lib/dpkg/status"
    status.write_text(status.read_text().replace("deinstall ok installed", "deinstall ok config-files"))
    assert isinstance(pending(machine), Absent)
    status.write_text("Package: bash\nStatus: install ok installed\nVersion: 5.2\n")
    found = probe_userspace(machine)
    assert isinstance(found.pending_upgrades, Absent)
    assert found.packages == Known((), "/var/lib/dpkg/status")


def test_pacman_is_said_not_to_be_looked_at(tmp_path: Path) -> None:
    (tmp_path / "var/lib/pacman/local/nvidia-utils-575.64.03-1").mkdir(parents=True)
    found = pending(RootedMachine(str(tmp_path)))
    assert isinstance(found, Unreadable)
    assert found.why.startswith("not looked: only apt's lists are read")


def test_verbose_shows_it(tmp_path: Path) -> None:
    machine = disk(tmp_path, {_MIRROR: _PLAIN})
    stack = replace(Stack(), userspace=probe_userspace(machine))
    lines = [
        "".join(getattr(part, "text", str(part)) for part in line)
        for line in render_facts(list_facts(stack), {})
    ]
    (line,) = [line for line in lines if "pending_upgrades" in line]
    assert f"name {_NAME}, installed {_OLD}, offered {_NEW}, is held no" in line


@pytest.mark.parametrize("suffix", ["", ".gz", ".xz"])
def test_a_snapshot_says_the_same_and_names_no_mirror(tmp_path: Path, suffix: str) -> None:
    data = {"": _PLAIN, ".gz": gzip.compress(_PLAIN), ".xz": lzma.compress(_PLAIN)}[suffix]
    machine = disk(tmp_path, {_MIRROR + suffix: data, "a.secret.example_b_Packages.lz4": b"x"})
    snapshot = take_snapshot(machine, subject="disk")
    recording = unpack_recording(snapshot.data, name="the snapshot")
    assert "secret.example" not in repr(recording)
    assert b"Description" not in b"".join(r.value for r in recording.reads.values() if isinstance(r, Known))
    assert pending(RecordedMachine.from_recording(recording)) == pending(machine)


def test_names_and_lines_of_a_list_are_raw() -> None:
    names = (
        "lock",
        "x_Packages",
        "x_binary-i386_Packages",
        "x_Packages.diff_Index",
        "y_Packages.lz4",
        "partial",
    )
    assert native_lists(names) == ["x_Packages", "y_Packages.lz4"]
    assert parse_offers(b"Package: nvidia-smi\nVersion: 1\n", frozenset({"nvidia-smi"})) == {
        "nvidia-smi": "1"
    }
    assert parse_offers(b"\xff\xfe" * 50 + b"\nPackage: \xff\n", frozenset({"nvidia-smi"})) == {}


_ORDERED = (
    "1.0~~", "1.0~", "1.0~rc1", "1.0~rc2-1", "1.0", "1.0-0ubuntu1", "1.0-1~bpo12+1", "1.0-1", "1.0-1a",
    "1.0-1+b1", "1.0a", "1.0+dfsg-1", "1.0.1", "1.2", "1.10", "1.010.1", "535.183.01-1~deb12u1",
    "570.169-0ubuntu0.24.04.1", "570.172.08-0ubuntu0.24.04.1", "580.65.06-1", "1:0.1", "1:0.1-2", "2:0",
    "10:0",
)  # fmt: skip


def test_versions_stand_in_debians_order() -> None:
    assert [str(one) for one in sorted(map(DebianVersion, reversed(_ORDERED)))] == list(_ORDERED)
    for one, other in (("1.0", "0:1.0"), ("1.0", "1.0-0"), ("1.01", "1.1"), ("1.0-a", "1.0-a0")):
        assert DebianVersion(one) == DebianVersion(other)
        assert hash(DebianVersion(one)) == hash(DebianVersion(other))


@pytest.mark.skipif(shutil.which("dpkg") is None, reason="no dpkg")
def test_dpkg_itself_says_the_same() -> None:
    pairs = [(a, b) for a in _ORDERED for b in _ORDERED if a < b]
    script = "\n".join(f"dpkg --compare-versions '{a}' lt '{b}' && echo 1 || echo 0" for a, b in pairs)
    told = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert [DebianVersion(a) < DebianVersion(b) for a, b in pairs] == [one == "1" for one in told]
