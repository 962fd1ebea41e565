"""Which kernel boots next, as far as the boot loader's files say."""

from __future__ import annotations

import re

from bringup.machine.protocol import Machine
from bringup.reading import Absent, Known, Reading, Unreadable
from bringup.records import dataclass
from bringup.stack.installed_kernels import InstalledKernel
from bringup.stack.version import KernelRelease


@dataclass(frozen=True, slots=True)
class NextKernel:
    """The kernel that the next start takes, and by which rule."""

    release: KernelRelease
    rule: str


def probe_next_kernel(machine: Machine, kernels: Reading[tuple[InstalledKernel, ...]]) -> Reading[NextKernel]:
    """The entry that GRUB saved or is told to take, else the newest bootable kernel."""
    if not isinstance(kernels, Known):
        return kernels if isinstance(kernels, Unreadable) else Absent(kernels.source)
    bootable = tuple(
        k.release for k in kernels.value if k.has_image == Known(value=True, source=k.has_image.source)
    )
    if not bootable:
        return Unreadable("/boot", "no kernel image was seen")
    default = machine.read_text("/etc/default/grub")
    choice = parse_grub_default(default.value) if isinstance(default, Known) else "0"
    if choice == "saved":
        for path in ("/boot/grub/grubenv", "/boot/grub2/grubenv"):
            environment = machine.read_text(path, limit_bytes=65536)
            if isinstance(environment, Known):
                saved = find_release(parse_saved_entry(environment.value), bootable)
                return Known(
                    NextKernel(saved or bootable[-1], "GRUB's saved entry" if saved else "newest"), path
                )
    named = find_release(choice, bootable)
    if named is not None:
        return Known(NextKernel(named, "GRUB_DEFAULT names it"), "/etc/default/grub")
    if choice.strip() not in ("", "0", "saved"):
        return Unreadable("/etc/default/grub", f"GRUB_DEFAULT={choice[:60]} names no installed kernel")
    return Known(NextKernel(bootable[-1], "the newest installed kernel"), kernels.source)


def parse_grub_default(text: str) -> str:
    """GRUB_DEFAULT of /etc/default/grub, `0` when it is not set.

    Raw line: `GRUB_DEFAULT="Advanced options for Ubuntu>Ubuntu, with Linux 6.8.0-60-generic"`.
    """
    found = re.findall(r"^\s*GRUB_DEFAULT=(.*?)\s*$", text, flags=re.MULTILINE)
    return found[-1].strip("\"'") if found else "0"


def parse_saved_entry(text: str) -> str:
    """saved_entry of grubenv, empty when there is none.

    Raw line: `saved_entry=4f1b0e8c-6.9.5-200.fc40.x86_64`.
    """
    match = re.search(r"^saved_entry=(.*)$", text, flags=re.MULTILINE)
    return match.group(1).strip() if match else ""


def find_release(entry: str, releases: tuple[KernelRelease, ...]) -> KernelRelease | None:
    """The installed release that a boot entry names; the longest where one contains another."""
    found = [release for release in releases if release.text in entry]
    return max(found, key=lambda release: len(release.text)) if found else None
