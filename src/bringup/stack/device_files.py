"""The files /dev/nvidia*, and which processes hold them open."""

from __future__ import annotations

import re
from typing import Final

from bringup.machine.protocol import FileKind, FileStat, Machine
from bringup.patterns import regex
from bringup.reading import Absent, Known, Reading, Unreadable
from bringup.records import dataclass

_NODES: Final = ("/dev/nvidiactl", "/dev/nvidia0", "/dev/nvidia-uvm", "/dev/nvidia-modeset")
_PROCESS_LIMIT: Final = 5_000
_FILES_LIMIT: Final = 4_096


@dataclass(frozen=True, slots=True)
class DeviceFile:
    """One device file: mode bits, owner and group as numbers."""

    path: str
    mode: int
    user_id: int
    group_id: int


@dataclass(frozen=True, slots=True)
class OwnGroups:
    """Numbers of the looking user and of the groups that it is in."""

    user_id: int
    group_ids: tuple[int, ...]

    def may_use(self, file: DeviceFile) -> bool:
        """Whether this user may read and write a device file."""
        if self.user_id == 0:
            return True
        shift = 6 if file.user_id == self.user_id else 3 if file.group_id in self.group_ids else 0
        return (file.mode >> shift) & 6 == 6


@dataclass(frozen=True, slots=True)
class Holder:
    """A process that has a file of the GPU open.

    Attributes:
        process_id: its number.
        name: what the kernel calls it (at most 15 characters).
        unit: the systemd service that it belongs to; empty for one started by hand.
        is_known: false where its open files could not be read, and only its name speaks for it.
    """

    process_id: int
    name: str
    unit: str
    is_known: bool = True


def probe_device_files(machine: Machine) -> Reading[tuple[DeviceFile, ...]]:
    """The device files that are there; absent when /dev has none of them."""
    names = machine.list_folder("/dev")
    if not isinstance(names, Known):
        return names
    paths = [f"/dev/{name}" for name in names.value if re.fullmatch(r"nvidia(?:ctl|\d+|-uvm|-modeset)", name)]
    found = []
    for path in paths:
        own = machine.stat(path)
        if isinstance(own, Known) and own.value.kind is FileKind.DEVICE:
            found.append(_device_file(path, own.value))
    return Known(tuple(found), "/dev") if found else Absent("/dev/nvidia*")


_USUAL_HOLDERS: Final = regex(
    r"^(?:Xorg|Xwayland|gnome-shell|kwin_wayland|plasmashell|mutter.*|nvidia-persiste.*|nv-fabricmanage.*|"
    r"nv-hostengine|dcgm.*|ollama.*|llama-.*|koboldcpp.*|sunshine)$"
)


def probe_holders(machine: Machine) -> Reading[tuple[Holder, ...]]:
    """Processes that hold /dev/nvidia* open, from /proc, by process id.

    Without root the open files of others cannot be read; those whose name usually holds the GPU are
    listed with `is_known` false, the rest are left out.
    """
    names = machine.list_folder("/proc")
    if not isinstance(names, Known):
        return names
    found = []
    for name in names.value[: _PROCESS_LIMIT * 2]:
        if name.isdigit():
            holder = _probe_holder(machine, name)
            if holder is not None:
                found.append(holder)
    return Known(tuple(sorted(found, key=lambda holder: holder.process_id)), "/proc/*/fd")


def parse_own_groups(text: str) -> OwnGroups:
    """User and groups of a process from /proc/self/status.

    Raw lines: `Uid: 1000 1000 1000 1000` and `Groups: 4 27 44 1000` (tabs between).

    Raises:
        ValueError: the lines are not there.
    """
    user = re.search(r"^Uid:\s+\d+\s+(\d+)", text, flags=re.MULTILINE)
    group = re.search(r"^Gid:\s+\d+\s+(\d+)", text, flags=re.MULTILINE)
    groups = re.search(r"^Groups:[ \t]*([\d ]*)$", text, flags=re.MULTILINE)
    if user is None or group is None or groups is None:
        raise ValueError("no Uid, Gid and Groups lines")
    return OwnGroups(
        int(user.group(1)), (int(group.group(1)), *(int(word) for word in groups.group(1).split()))
    )


def parse_unit(text: str) -> str:
    """The service of /proc/PID/cgroup; empty for a session of a user.

    Raw line: `0::/system.slice/ollama.service`.
    """
    found = re.findall(r"/([\w@:.\\-]{1,120}\.service)(?:/|$)", text, flags=re.MULTILINE)
    named = [unit for unit in found if not unit.startswith("user@")]
    return named[-1] if named else ""


def _probe_holder(machine: Machine, process: str) -> Holder | None:
    files = machine.list_folder(f"/proc/{process}/fd")
    if isinstance(files, Unreadable):
        name = _read_name(machine, process)
        if not _USUAL_HOLDERS.match(name):
            return None
        return Holder(int(process), name, _read_unit(machine, process), is_known=False)
    if not isinstance(files, Known):
        return None
    for number in files.value[:_FILES_LIMIT]:
        own = machine.stat(f"/proc/{process}/fd/{number}")
        target = own.value.link_target if isinstance(own, Known) else None
        if target is not None and target.startswith("/dev/nvidia"):
            return Holder(int(process), _read_name(machine, process), _read_unit(machine, process))
    return None


def _read_name(machine: Machine, process: str) -> str:
    name = machine.read_text(f"/proc/{process}/comm", limit_bytes=4096)
    return name.value.strip() if isinstance(name, Known) else ""


def _read_unit(machine: Machine, process: str) -> str:
    group = machine.read_text(f"/proc/{process}/cgroup", limit_bytes=65536)
    return parse_unit(group.value) if isinstance(group, Known) else ""


def _device_file(path: str, own: FileStat) -> DeviceFile:
    return DeviceFile(path, own.mode & 0o7777, own.user_id, own.group_id)
