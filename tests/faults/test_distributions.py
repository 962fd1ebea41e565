"""Cures with the tools of the distribution that a paste shows."""

from __future__ import annotations

import pytest

from bringup.actions.diagnosis.doctor import examine_text

HEADERS = (
    "Error! Your kernel headers for kernel {kernel} cannot be found at /lib/modules/{kernel}/build or"
    " /lib/modules/{kernel}/source.\nmodprobe: FATAL: Module nvidia not found in directory"
    " /lib/modules/{kernel}\n"
)


def commands(text: str) -> list[str]:
    found = examine_text(text, subject="test").diagnosis
    first = found.findings[0]
    assert first.fault.id == "kernel-headers-missing"
    return [" ".join(map(str, step.command)) for step in first.evidence.steps or first.fault.steps]


@pytest.mark.parametrize(
    ("kernel", "wanted", "unwanted"),
    [
        ("6.8.0-45-generic", "apt-get install linux-headers", "dnf"),
        ("6.11.4-301.fc41.x86_64", "dnf install kernel-devel", "apt-get"),
        ("6.12.1-arch1-1", "pacman -S linux-headers", "apt-get"),
        ("6.1.0-18-amd64", "apt-get install linux-headers", "dnf"),
    ],
)
def test_headers_come_from_the_package_tool_that_shows(kernel: str, wanted: str, unwanted: str) -> None:
    shown = commands(HEADERS.format(kernel=kernel))
    assert any(command.startswith(wanted) for command in shown), shown
    assert not any(command.startswith(unwanted) for command in shown), shown


def test_fedora_builds_with_akmods_where_dkms_is_not_named() -> None:
    shown = commands(HEADERS.format(kernel="6.11.4-301.fc41.x86_64"))
    assert "dkms autoinstall" not in shown
    assert "akmods --force" in shown


def test_debian_has_no_generic_headers() -> None:
    text = HEADERS.format(kernel="6.1.0-18-amd64") + 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n'
    shown = commands(text)
    assert not any("generic" in command or "ubuntu" in command for command in shown), shown


def test_nixos_is_told_to_configure() -> None:
    found = examine_text(
        "/nix/store/abc-nvidia-x11-570.86.15/bin/nvidia-smi\n"
        "NVRM: The NVIDIA probe routine was not called for 1 device(s).\n"
        "NVRM: This can occur when a driver such as:\nNVRM: nouveau, rivafb, nvidiafb or rivatv\n"
        "NVRM: was loaded and obtained ownership of the NVIDIA device(s).\n"
        "nouveau 0000:01:00.0: NVIDIA GA104\n",
        subject="test",
    ).diagnosis.findings[0]
    assert found.fault.id == "nouveau-in-use"
    steps = found.evidence.steps or found.fault.steps
    assert any("nixos-rebuild" in step.say for step in steps)
    assert not any(step.command[:1] == ("update-initramfs",) for step in steps)


def test_an_old_module_on_the_disk_is_built_before_the_restart() -> None:
    found = examine_text(
        "NVRM: API mismatch: the client has the version 595.84, but\n"
        "NVRM: this kernel module has the version 595.80.  Please\n"
        "$ modinfo nvidia\n"
        "filename:       /lib/modules/6.8.0-45-generic/updates/dkms/nvidia.ko.zst\n"
        "version:        595.80\n"
        "NVRM version: NVIDIA UNIX x86_64 Kernel Module  595.80\n",
        subject="test",
    ).diagnosis.findings[0]
    said = [step.say for step in found.evidence.steps or found.fault.steps]
    assert found.fault.id == "driver-library-mismatch"
    restart = next(index for index, text in enumerate(said) if "restart" in text.lower())
    assert restart > 0, said


def test_a_new_module_on_the_disk_asks_for_the_restart_alone() -> None:
    found = examine_text(
        "NVRM: API mismatch: the client has the version 595.84, but\n"
        "NVRM: this kernel module has the version 595.80.  Please\n"
        "$ modinfo nvidia\n"
        "filename:       /lib/modules/6.8.0-45-generic/updates/dkms/nvidia.ko.zst\n"
        "version:        595.84\n",
        subject="test",
    ).diagnosis.findings[0]
    said = [step.say for step in found.evidence.steps or found.fault.steps]
    assert not any("of another" in text for text in said), said


@pytest.mark.parametrize(
    ("refusal", "wanted"),
    [
        ("E: Unable to locate package linux-headers-5.15.0-1057-azure", "together"),
        ("No match for argument: kernel-devel-5.14.0-362.8.1.el9_3.x86_64", "together"),
        ("All matches were filtered out by exclude filtering for argument: kernel-devel", "in spite"),
    ],
)
def test_a_tool_that_has_no_headers_is_not_asked_again(refusal: str, wanted: str) -> None:
    found = examine_text(f"dkms: nvidia/550.54\n{refusal}\n", subject="test").diagnosis.findings[0]
    assert found.fault.id == "kernel-headers-missing"
    assert any(wanted in step.say for step in found.evidence.steps)
    assert ("apt-get", "install", "linux-headers-generic") not in [
        step.command for step in found.evidence.steps
    ]


def test_a_wrong_name_of_the_headers_asks_for_the_right_one() -> None:
    found = examine_text(
        "dkms: nvidia/550.54\nE: Unable to locate package linux-headers-generic-hwe\n", subject="test"
    ).diagnosis.findings[0]
    assert found.fault.id == "kernel-headers-missing"
    assert found.evidence.steps == ()


def test_a_container_tool_that_finds_no_windows_tells_of_no_windows() -> None:
    found = examine_text(
        "I0411 nvc.c:393] attempting to load dxcore to see if we are running under Windows Subsystem for"
        " Linux (WSL)\n"
        "I0411 nvc.c:395] dxcore initialization failed, continuing assuming a non-WSL environment\n"
        "nvidia-container-cli: initialization error: nvml error: driver not loaded\n",
        subject="test",
    ).diagnosis.findings[0]
    assert found.fault.id == "module-not-loaded"


REJECTED = "modprobe: ERROR: could not insert 'nvidia': Key was rejected by service\n"


@pytest.mark.parametrize(
    ("kernel", "key", "told"),
    [
        ("6.11.4-301.fc41.x86_64", "/etc/pki/akmods/certs/public_key.der", False),
        ("6.12.1-arch1-1", "/var/lib/dkms/mok.pub", False),
        ("6.8.0-45-generic", "/var/lib/shim-signed/mok/MOK.der", True),
        ("6.8.0", "/var/lib/shim-signed/mok/MOK.der", True),
    ],
)
def test_the_key_of_modules_lies_where_the_distribution_keeps_it(
    kernel: str, key: str, *, told: bool
) -> None:
    found = examine_text(f"{kernel}\n{REJECTED}", subject="test").diagnosis.findings[0]
    steps = found.evidence.steps or found.fault.steps
    assert ("mokutil", "--import", key) in [step.command for step in steps]
    assert any(step.only == "ubuntu" for step in steps) is told


def test_nixos_has_its_libraries_elsewhere() -> None:
    found = examine_text(
        'PRETTY_NAME="NixOS 24.05 (Uakari)"\n'
        "NVIDIA-SMI couldn't find libnvidia-ml.so library in your system.\n",
        subject="test",
    ).diagnosis.findings[0]
    steps = found.evidence.steps or found.fault.steps
    assert any("/run/opengl-driver/lib" in step.say for step in steps)
    assert not any(step.command[:1] == ("ldconfig",) for step in steps)


def test_opensuse_has_packages_of_modules() -> None:
    found = examine_text(
        "Operating System: openSUSE Tumbleweed\n"
        "modprobe: FATAL: Module nvidia not found in directory /lib/modules/6.11.5-1-default\n",
        subject="test",
    ).diagnosis.findings[0]
    steps = found.evidence.steps or found.fault.steps
    assert any("kmp-default" in step.say for step in steps)
    assert ("dkms", "autoinstall") not in [step.command for step in steps]


@pytest.mark.parametrize(
    ("system", "driver"),
    [
        ("Linux Mint 22", ("ubuntu-drivers", "install")),
        ("Debian GNU/Linux 12 (bookworm)", ("apt-get", "install", "nvidia-driver")),
        ("Fedora Linux 41", None),
    ],
)
def test_a_step_of_one_distribution_is_told_to_it_and_its_kin(
    system: str, driver: tuple[str, ...] | None
) -> None:
    text = f'PRETTY_NAME="{system}"\nbash: nvidia-smi: command not found\n'
    found = examine_text(text, subject="test").diagnosis.findings[0]
    assert found.fault.id == "driver-not-installed"
    steps = found.evidence.steps or found.fault.steps
    assert [step.command for step in steps if step.only] == ([driver] if driver else [])
