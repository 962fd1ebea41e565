"""Lays out a made machine as a folder: what a test writes instead of hundreds of small files by hand."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path

from tests.cases._make.module_file import module_file, packed

OPEN, CLOSED = "Dual MIT/GPL", "NVIDIA"
CARDS = {
    "RTX 3080 Ti": (0x2208, "GA102 [GeForce RTX 3080 Ti]"),
    "RTX 5080": (0x2C02, "GB203 [GeForce RTX 5080]"),
    "GTX 1080 Ti": (0x1B06, "GP102 [GeForce GTX 1080 Ti]"),
    "RTX 3070 Mobile": (0x249D, "GA104M [GeForce RTX 3070 Mobile / Max-Q]"),
}


@dataclass
class Made:
    """A machine under construction; paths are as on the machine."""

    files: dict[str, bytes] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    folders: set[str] = field(default_factory=set)
    commands: list[dict[str, object]] = field(default_factory=list)
    devices: dict[str, tuple[int, int]] = field(default_factory=dict)
    unreadable: dict[str, str] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=lambda: {"HOME": "/home/user"})

    def text(self, path: str, text: str) -> None:
        self.files[path] = text.encode()

    def command(self, argv: tuple[str, ...], stdout: str, *, exit_code: int = 0, stderr: str = "") -> None:
        self.commands.append({"argv": list(argv), "exit_code": exit_code, "stdout": stdout, "stderr": stderr})

    def write(
        self, folder: Path, *, origin: str, expected: tuple[str, ...], follows: tuple[str, ...] = ()
    ) -> None:
        """Write root/, commands.json, machine.toml and case.toml anew."""
        if folder.exists():
            shutil.rmtree(folder)
        root = folder / "root"
        for path in self.folders | {"/etc", "/proc", "/sys", "/dev", "/boot", "/var/log", "/usr/lib"}:
            (root / path.lstrip("/")).mkdir(parents=True, exist_ok=True)
        for path, data in self.files.items():
            place = root / path.lstrip("/")
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(data)
        for path, target in self.links.items():
            place = root / path.lstrip("/")
            place.parent.mkdir(parents=True, exist_ok=True)
            place.symlink_to(target)
        for path in self.devices:
            (root / path.lstrip("/")).write_bytes(b"")
        for place in root.rglob("*"):
            if place.is_dir() and not any(place.iterdir()):
                (place / ".gitkeep").write_bytes(b"")
        (folder / "commands.json").write_text(json.dumps(self.commands, indent=1) + "\n")
        (folder / "machine.toml").write_text(self._machine_toml())
        (folder / "case.toml").write_text(
            f'origin = "{origin}"\nexpected = {json.dumps(list(expected))}\n'
            f"follows = {json.dumps(list(follows))}\n"
        )

    def _machine_toml(self) -> str:
        lines = ["now_s = 1752561000.0", "[environment]"]
        lines += [f"{name} = {json.dumps(value)}" for name, value in self.environment.items()]
        if self.unreadable:
            lines += ["[unreadable]", *(f'"{path}" = "{why}"' for path, why in self.unreadable.items())]
        for path, (mode, group) in self.devices.items():
            lines += [f'[stat."{path}"]', 'kind = "device"', f"mode = {mode}", f"group_id = {group}"]
        return "\n".join(lines) + "\n"


def ubuntu(*, running: str = "6.8.0-60-generic", kernels: tuple[str, ...] = ("6.8.0-60-generic",)) -> Made:
    """Ubuntu 24.04 with some kernels, without card and driver."""
    made = Made()
    made.text(
        "/etc/os-release", 'PRETTY_NAME="Ubuntu 24.04.2 LTS"\nID=ubuntu\nID_LIKE=debian\nVERSION_ID="24.04"\n'
    )
    made.text("/proc/sys/kernel/osrelease", running + "\n")
    made.text("/proc/sys/kernel/tainted", "12289\n")
    made.text("/proc/cmdline", f"BOOT_IMAGE=/boot/vmlinuz-{running} root=UUID=1 ro quiet splash\n")
    made.text(
        "/proc/self/status",
        "Name:\tbringup\nUid:\t1000\t1000\t1000\t1000\nGid:\t1000\t1000\t1000\t1000\nGroups:\t4 27 44 1000\n",
    )
    made.text("/proc/modules", "ext4 1040384 1 - Live 0x0000000000000000\n")
    made.text("/sys/kernel/security/lockdown", "[none] integrity confidentiality\n")
    made.text(
        "/etc/default/grub", 'GRUB_DEFAULT=0\nGRUB_TIMEOUT=0\nGRUB_CMDLINE_LINUX_DEFAULT="quiet splash"\n'
    )
    made.text("/etc/modprobe.d/blacklist.conf", "# this file lists modules\nblacklist evbug\n")
    made.text("/var/log/apt/history.log", "")
    made.folders |= {
        "/sys/bus/pci/devices",
        "/sys/firmware/efi/efivars",
        "/lib/modules",
        "/usr/lib/x86_64-linux-gnu",
        "/usr/share/misc",
    }
    for release in kernels:
        add_kernel(made, release)
    return made


def add_kernel(made: Made, release: str, *, headers: bool = True) -> None:
    made.text(f"/lib/modules/{release}/modules.dep", "")
    made.text(f"/lib/modules/{release}/kernel/fs/ext4/ext4.ko.zst", "")
    made.text(f"/boot/vmlinuz-{release}", "")
    if headers:
        made.text(f"/usr/src/linux-headers-{release}/Makefile", "")
    made.links[f"/lib/modules/{release}/build"] = f"/usr/src/linux-headers-{release}"


def add_card(
    made: Made, name: str, *, driver: str = "nvidia", address: str = "0000:01:00.0", lanes: int = 16
) -> None:
    """A card at the first processor port, as sysfs shows it."""
    device_id, title = CARDS[name]
    port = "0000:00:01.0"
    real = f"/sys/devices/pci0000:00/{port}/{address}"
    made.links[f"/sys/bus/pci/devices/{address}"] = f"../../../devices/pci0000:00/{port}/{address}"
    made.links[f"/sys/bus/pci/devices/{port}"] = f"../../../devices/pci0000:00/{port}"
    made.text(f"/sys/devices/pci0000:00/{port}/class", "0x060400\n")
    made.text(f"/sys/devices/pci0000:00/{port}/max_link_speed", "16.0 GT/s PCIe\n")
    made.text(f"/sys/devices/pci0000:00/{port}/max_link_width", "16\n")
    for file, text in {
        "class": "0x030000",
        "vendor": "0x10de",
        "device": f"0x{device_id:04x}",
        "current_link_speed": "2.5 GT/s PCIe",
        "max_link_speed": "16.0 GT/s PCIe",
        "current_link_width": str(lanes),
        "max_link_width": "16",
        "power_state": "D0",
        "resource": "0x00000000a0000000 0x00000000a0ffffff 0x0000000000040200\n"
        "0x0000004000000000 0x00000043ffffffff 0x000000000014220c\n"
        "0x0000000000000000 0x0000000000000000 0x0000000000000000\n"
        "0x0000004400000000 0x0000004401ffffff 0x000000000014220c",
    }.items():
        made.text(f"{real}/{file}", text + "\n")
    made.files[f"{real}/config"] = bytes((0xDE, 0x10, device_id & 0xFF, device_id >> 8)) + b"\x07\x04\x10\x00"
    if driver:
        made.links[f"{real}/driver"] = f"../../../../bus/pci/drivers/{driver}"
    made.text(
        "/usr/share/misc/pci.ids",
        f"#\tpci.ids, cut\n10de  NVIDIA Corporation\n\t{device_id:04x}  {title}\n",
    )


def add_modules(made: Made, release: str, version: str, *, licence: str = OPEN, place: str = "updates/dkms",
                suffix: str = ".ko.zst", is_signed: bool = False) -> None:  # fmt: skip
    """NVIDIA's modules of one version for one kernel."""
    for name in ("nvidia", "nvidia-modeset", "nvidia-uvm", "nvidia-drm"):
        data = module_file(name=name, version=version, licence=licence, kernel=release, is_signed=is_signed)
        made.files[f"/lib/modules/{release}/{place}/{name}{suffix}"] = packed(data, suffix)


def add_dkms(made: Made, version: str, releases: tuple[str, ...], *, has_failed_log: bool = False) -> None:
    """DKMS's tree of a driver that was built for some kernels."""
    made.text(f"/var/lib/dkms/nvidia/{version}/source/dkms.conf", f"PACKAGE_VERSION={version}\n")
    for release in releases:
        made.text(f"/var/lib/dkms/nvidia/{version}/{release}/x86_64/module/nvidia.ko.zst", "")
        made.links[f"/var/lib/dkms/nvidia/kernel-{release}-x86_64"] = f"{version}/{release}/x86_64"
    if has_failed_log:
        made.text(f"/var/lib/dkms/nvidia/{version}/build/make.log", "make: *** Error 2\n")


def add_libraries(made: Made, version: str) -> None:
    for name in ("libnvidia-ml", "libcuda"):
        made.text(f"/usr/lib/x86_64-linux-gnu/{name}.so.{version}", "")
        made.links[f"/usr/lib/x86_64-linux-gnu/{name}.so.1"] = f"{name}.so.{version}"


def load_driver(
    made: Made, version: str, *, is_open: bool = True, uvm: bool = True, nodes: bool = True
) -> None:
    """The module in the running kernel, its /proc files and device files."""
    flavour = "UNIX Open Kernel Module for x86_64" if is_open else "UNIX x86_64 Kernel Module"
    made.text(
        "/proc/driver/nvidia/version",
        f"NVRM version: NVIDIA {flavour}  {version}  Release Build  (dvs-builder@U22-I3)  Thu Jun 12 2025\n"
        "GCC version:  gcc version 13.3.0 (Ubuntu 13.3.0-6ubuntu2~24.04)\n",
    )
    rows = ["nvidia_drm 139264 4", "nvidia_modeset 1646592 3 nvidia_drm", "nvidia 14381056 52 nvidia_modeset"]
    rows += ["nvidia_uvm 2076672 0"] if uvm else []
    made.text("/proc/modules", "".join(f"{row} - Live 0x0000000000000000 (OE)\n" for row in rows))
    if nodes:
        made.devices |= {
            path: (0o666, 0)
            for path in ("/dev/nvidiactl", "/dev/nvidia0", "/dev/nvidia-uvm", "/dev/nvidia-modeset")
        }


def kernel_messages(made: Made, text: str) -> None:
    """What dmesg prints; the usual first lines stand before it."""
    release = made.files["/proc/sys/kernel/osrelease"].decode().strip()
    first = f"[    0.000000] Linux version {release} (buildd@lcy02) (gcc-13) #63-Ubuntu SMP\n"
    made.command(("dmesg", "--color=never"), first + text)


def hold(made: Made, process: int, name: str, *, unit: str = "", device: str = "/dev/nvidia0") -> None:
    """A process that has the GPU open; without a unit it belongs to a login session."""
    made.text(f"/proc/{process}/comm", name + "\n")
    group = f"/system.slice/{unit}" if unit else "/user.slice/user-1000.slice/session-2.scope"
    made.text(f"/proc/{process}/cgroup", f"0::{group}\n")
    made.links[f"/proc/{process}/fd/0"] = "/dev/null"
    made.links[f"/proc/{process}/fd/7"] = device
