"""Parsers of the kernel layer on raw lines, and what they do with other text."""

from __future__ import annotations

import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bringup.reading import Known
from bringup.stack import kernel
from bringup.stack.device_files import DeviceFile, OwnGroups, parse_own_groups, parse_unit
from bringup.stack.distribution import PackageFamily, parse_os_release
from bringup.stack.dkms import DkmsState, parse_dkms_status
from bringup.stack.gpu_generations import SUPPORT, Generation, find_generation
from bringup.stack.kernel_log import RefusalKind, parse_mismatch, parse_refusals, parse_xids
from bringup.stack.module_settings import parse_settings
from bringup.stack.next_kernel import find_release, parse_grub_default, parse_saved_entry
from bringup.stack.package_change import Author
from bringup.stack.package_logs import (
    parse_apt_history,
    parse_dnf_log,
    parse_dpkg_log,
    parse_pacman_log,
    parse_zypp_history,
)
from bringup.stack.raw_text import split_lines
from bringup.stack.version import KernelRelease
from bringup.stack.xid_table import XID_MEANINGS, describe_xid

APT = """
Start-Date: 2025-07-15  06:32:11
Commandline: /usr/bin/unattended-upgrade
Upgrade: libnvidia-compute-570:amd64 (570.169-0ubuntu1, 570.172.08-0ubuntu1), vim:amd64 (1, 2)
End-Date: 2025-07-15  06:34:40

Start-Date: 2025-07-16  20:01:00
Commandline: apt install nvidia-driver-580-open
Requested-By: user (1000)
Install: nvidia-driver-580-open:amd64 (580.65.06-0ubuntu1), nvidia-utils-580:amd64 (580.65.06-1, automatic)
Remove: nvidia-utils-570:amd64 (570.172.08-0ubuntu1)
"""


def test_apt_tells_who_changed_what() -> None:
    upgrade, *by_hand = parse_apt_history(APT)
    assert (upgrade.when, upgrade.package, upgrade.author) == (
        "2025-07-15 06:32:11",
        "libnvidia-compute-570",
        Author.UNATTENDED,
    )
    assert (upgrade.old, upgrade.new) == ("570.169-0ubuntu1", "570.172.08-0ubuntu1")
    assert {change.author for change in by_hand} == {Author.BY_HAND}
    assert [(c.action, c.old, c.new) for c in by_hand] == [
        ("install", "", "580.65.06-0ubuntu1"),
        ("install", "", "580.65.06-1"),
        ("remove", "570.172.08-0ubuntu1", ""),
    ]


def test_other_package_logs_are_read() -> None:
    dpkg = (
        "2025-07-14 06:32:11 upgrade libnvidia-compute-570:amd64 570.169-0ubuntu1 570.172.08-0ubuntu1\n"
        "2025-07-14 06:32:12 status installed libnvidia-compute-570:amd64 570.172.08-0ubuntu1\n"
        "2025-07-14 06:33:00 install nvidia-dkms-570-open:amd64 <none> 570.172.08-0ubuntu1\n"
    )
    assert [(c.old, c.new) for c in parse_dpkg_log(dpkg)] == [
        ("570.169-0ubuntu1", "570.172.08-0ubuntu1"),
        ("", "570.172.08-0ubuntu1"),
    ]
    dnf = "2025-07-14T06:12:34+0200 SUBDEBUG Upgrade: nvidia-driver-libs-3:570.172.08-1.fc41.x86_64\n"
    assert [(c.package, c.new) for c in parse_dnf_log(dnf)] == [("nvidia-driver-libs", "570.172.08-1.fc41")]
    pacman = "[2025-07-14T06:12:34+0200] [ALPM] upgraded nvidia-utils (570.169-1 -> 575.64.03-1)\n"
    assert [(c.old, c.new) for c in parse_pacman_log(pacman)] == [("570.169-1", "575.64.03-1")]
    zypp = "2025-07-14 06:12:34|install|nvidia-compute-G06|570.172.08-lp156.1|x86_64|root@host|repo|sum|\n"
    assert [(c.package, c.new) for c in parse_zypp_history(zypp)] == [
        ("nvidia-compute-G06", "570.172.08-lp156.1")
    ]


@given(st.text(max_size=300))
def test_no_log_breaks_a_parser(text: str) -> None:
    for parse in (parse_apt_history, parse_dpkg_log, parse_dnf_log, parse_pacman_log, parse_zypp_history):
        assert isinstance(parse(text), tuple)


def test_dkms_is_read_in_both_forms() -> None:
    text = (
        "nvidia/570.169, 6.8.0-60-generic, x86_64: installed (original_module exists)\n"
        "nvidia, 396.45, 4.17.11-200.fc28.x86_64, x86_64: built\n"
        "nvidia-open/570.124.06: added\n"
        "vboxhost/7.0.8, 6.4.1, x86_64: installed\n"
    )
    found = parse_dkms_status(split_lines(text, source="test"))
    assert [(m.name, m.state) for m in found] == [
        ("nvidia", DkmsState.INSTALLED),
        ("nvidia", DkmsState.BUILT),
        ("nvidia-open", DkmsState.ADDED),
    ]
    assert found[0].kernel == KernelRelease("6.8.0-60-generic")
    assert found[2].kernel is None


def test_refusals_are_joined_over_lines() -> None:
    text = (
        "The NVIDIA GPU 0000:3c:00.0 (PCI ID: 10de:2d04) installed in this system is not supported by the "
        "NVIDIA 555.58.02 driver release. The NVIDIA Tesla M2070 GPU installed in this system is supported "
        "through the NVIDIA 390.xx Legacy drivers. Please visit x for more information. The 396.26 NVIDIA "
        "driver will ignore this GPU."
    )
    unknown, legacy = parse_refusals(text)
    assert (unknown.kind, unknown.device_id, str(unknown.driver)) == (
        RefusalKind.UNKNOWN_TO_DRIVER,
        0x2D04,
        "555.58.02",
    )
    assert (legacy.kind, legacy.branch, str(legacy.driver)) == (RefusalKind.LEGACY, 390, "396.26")


def test_a_mismatch_is_read_in_every_wording() -> None:
    for text in (
        "API mismatch: the client has the version 367.44, but this kernel module has the version 367.35.",
        "API mismatch: the client 'kwin_wayland' (pid 1005) has the version 367.44, but this kernel module "
        "has the version 367.35.",
        "API mismatch: the client has the version 367.44, but#012NVRM: this module has the version 367.35.",
    ):
        pair = parse_mismatch(text)
        assert pair is not None
        assert (str(pair.library), str(pair.module)) == ("367.44", "367.35")


def test_xids_name_code_and_card() -> None:
    (xid,) = parse_xids("Xid (PCI:0000:0b:00): 79, pid=1234, GPU has fallen off the bus.")
    assert (xid.code, xid.pci_address) == (79, "0000:0b:00")
    assert describe_xid(79) == XID_MEANINGS[79]
    assert "does not know" in describe_xid(9999)


@pytest.mark.parametrize(
    ("line", "version", "is_open"),
    [
        (
            "NVRM version: NVIDIA UNIX x86_64 Kernel Module  570.169  Thu Jun 12 21:27:09 UTC 2025",
            "570.169",
            False,
        ),
        ("NVRM version:  NVIDIA UNIX Open Kernel Module for x86_64  515.57  Release Build", "515.57", True),
        ("NVRM: loading NVIDIA UNIX Open Kernel Module for x86_64  595.84  Release Build", "595.84", True),
        (
            "NVRM: loading NVIDIA Linux x86_64 Kernel Module  169.12  Thu Feb 14 17:51:09 PST 2008",
            "169.12",
            False,
        ),
    ],
)
def test_the_loaded_driver_is_told_with_its_flavour(line: str, version: str, is_open: bool) -> None:
    loaded = kernel.parse_loaded_driver(line)
    assert (str(loaded.version), loaded.is_open) == (version, is_open)


def test_small_files_of_the_kernel() -> None:
    assert kernel.parse_lockdown("none [integrity] confidentiality\n") == "integrity"
    assert kernel.parse_secure_boot(b"\x06\x00\x00\x00\x01")
    assert not kernel.parse_secure_boot(b"\x06\x00\x00\x00\x00")
    with pytest.raises(ValueError):
        kernel.parse_secure_boot(b"\x06")
    assert [m.name for m in kernel.parse_modules("nvidia_uvm 4956160 0 - Live 0x0 (POE)\n")] == ["nvidia_uvm"]
    assert kernel.parse_version_line("Linux version 6.8.0-60-generic (b@l) #63\n").text == "6.8.0-60-generic"


def test_boot_choices() -> None:
    releases = (KernelRelease("6.8.0-6"), KernelRelease("6.8.0-60-generic"))
    assert parse_grub_default('GRUB_DEFAULT="saved"\n') == "saved"
    assert parse_grub_default("#GRUB_DEFAULT=2\n") == "0"
    entry = parse_saved_entry(
        "# GRUB\nsaved_entry=gnulinux-advanced-1>gnulinux-6.8.0-60-generic-advanced-1\n####"
    )
    assert find_release(entry, releases) == releases[1]
    assert find_release("Windows", releases) is None


def test_rights_on_device_files() -> None:
    own = parse_own_groups(
        "Name:\tx\nUid:\t1000\t1000\t1000\t1000\nGid:\t1000\t1000\t1000\t1000\nGroups:\t4 44\n"
    )
    assert own == OwnGroups(1000, (1000, 4, 44))
    assert own.may_use(DeviceFile("/dev/nvidia0", 0o660, 0, 44))
    assert not own.may_use(DeviceFile("/dev/nvidia0", 0o660, 0, 986))
    assert own.may_use(DeviceFile("/dev/nvidia0", 0o666, 0, 0))
    assert OwnGroups(0, ()).may_use(DeviceFile("/dev/nvidia0", 0o600, 0, 0))


def test_services_are_found_in_cgroups() -> None:
    assert parse_unit("0::/system.slice/ollama.service\n") == "ollama.service"
    user = "0::/user.slice/user-1000.slice/user@1000.service/app.slice/llama.service\n"
    assert parse_unit(user) == "llama.service"
    assert parse_unit("0::/user.slice/user-1000.slice/session-2.scope\n") == ""


def test_settings_and_distributions() -> None:
    found = parse_settings(
        "# alias nvidia off\nalias nvidia off # why\nblacklist evbug\n", "/etc/modprobe.d/a.conf"
    )
    assert [(s.action, s.module, s.rest, s.line_number) for s in found] == [("alias", "nvidia", "off", 2)]
    ubuntu = parse_os_release('ID=ubuntu\nID_LIKE=debian\nVERSION_ID="24.04"\n')
    assert (ubuntu.family, ubuntu.version) == (PackageFamily.APT, "24.04")
    assert parse_os_release("ID=rocky\nID_LIKE='rhel centos fedora'\n").family is PackageFamily.DNF
    assert parse_os_release("ID=void\n").family is PackageFamily.OTHER


@pytest.mark.parametrize(
    ("device_id", "generation"),
    [
        (0x2208, Generation.AMPERE),
        (0x2B85, Generation.BLACKWELL),
        (0x1B06, Generation.PASCAL),
        (0x1DB5, Generation.VOLTA),
        (0x1725, Generation.PASCAL),
        (0x139B, Generation.MAXWELL),
        (0x2330, Generation.HOPPER),
        (0xFFFF, None),
    ],
)
def test_chips_have_generations(device_id: int, generation: Generation | None) -> None:
    assert find_generation(device_id) is generation
    assert set(SUPPORT) == set(Generation)


def test_rotated_logs_are_unpacked_and_a_damaged_one_is_said(tmp_path: object) -> None:
    from pathlib import Path

    from bringup.machine.recorded import RecordedMachine
    from bringup.stack.changes import probe_changes

    root = Path(str(tmp_path)) / "root/var/log/apt"
    root.mkdir(parents=True)
    (root / "history.log.1.gz").write_bytes(gzip.compress(APT.encode()))
    found = probe_changes(RecordedMachine(str(tmp_path)))
    assert isinstance(found, Known)
    assert len(found.value) == 4
    (root / "history.log.1.gz").write_bytes(b"\x1f\x8b\x08broken")
    assert not isinstance(probe_changes(RecordedMachine(str(tmp_path))), Known)
