"""The control group that we are in: how much CPU time and memory it leaves us (versions 1 and 2, nested).

A group's limit holds for all groups below it, so each level from ours up to the mounted root is read and
the tightest decides. Inside a container the mounted root usually is the container's own group while
/proc/self/cgroup names the path on the host; levels that are not shown are looked for at the mount itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, TypeVar

from bringup.machine.protocol import Machine
from bringup.reading import Absent, Known, Reading, Unreadable, convert
from bringup.records import dataclass

_MOUNTS: Final = "/proc/self/mountinfo"
_OWN: Final = "/proc/self/cgroup"
_UNLIMITED_BYTES: Final = 2**60
"""Version 1 writes "no limit" as the largest multiple of a page, about 2**63."""

_FILES_OF_FIRST: Final = ("limit_in_bytes", "usage_in_bytes", "total_inactive_file")
_FILES_OF_SECOND: Final = ("max", "current", "inactive_file")
_DEEPEST: Final = 64

Number = TypeVar("Number", int, float)


@dataclass(frozen=True, slots=True)
class ControlGroup:
    """Limits over us. Absent: no limit is set on any level; unreadable: a level could not be read."""

    quota_cpus: Reading[float]
    memory_limit_bytes: Reading[int]
    memory_free_bytes: Reading[int]


@dataclass(frozen=True, slots=True)
class Mount:
    """A mounted hierarchy: where, which group is shown there, its version-1 controllers (none: version 2)."""

    folder: str
    root: str
    controllers: frozenset[str]


def probe_cgroup(machine: Machine) -> ControlGroup:
    """Read the limits of every level over us."""
    mounts = convert(machine.read_text(_MOUNTS), parse_mounts)
    own = convert(machine.read_text(_OWN), parse_own_groups)
    if not isinstance(mounts, Known):
        return ControlGroup(mounts, mounts, mounts)
    if not isinstance(own, Known):
        return ControlGroup(own, own, own)
    cpu = _levels(machine, mounts.value, own.value, "cpu")
    memory = _levels(machine, mounts.value, own.value, "memory")
    rooms = [_memory_room(machine, *level) for level in memory]
    return ControlGroup(
        quota_cpus=_tightest([_quota(machine, *level) for level in cpu]),
        memory_limit_bytes=_tightest([convert(room, lambda value: value[0]) for room in rooms]),
        memory_free_bytes=_tightest([convert(room, lambda value: value[1]) for room in rooms]),
    )


def parse_mounts(text: str) -> tuple[Mount, ...]:
    r"""Control group mounts of /proc/self/mountinfo; spaces in paths are written `\040`.

    `35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory`
    """
    mounts: list[Mount] = []
    for line in text.splitlines():
        before, dash, after = line.partition(" - ")
        fields, kind = before.split(), after.split()
        if not dash or len(fields) < 5 or len(kind) < 3 or kind[0] not in ("cgroup", "cgroup2"):
            continue
        controllers = frozenset(kind[2].split(",")) if kind[0] == "cgroup" else frozenset()
        mounts.append(Mount(_unescaped(fields[4]), _unescaped(fields[3]), controllers))
    return tuple(mounts)


def parse_own_groups(text: str) -> dict[str, str]:
    """Our path in each hierarchy, by controller; version 2 under the empty name.

    `4:memory:/user.slice` and `0::/user.slice/session-3.scope`
    """
    groups: dict[str, str] = {}
    for line in text.splitlines():
        parts = line.split(":", 2)
        if len(parts) == 3:
            groups.update(dict.fromkeys(parts[1].split(","), parts[2]))
    return groups


def parse_limit_bytes(text: str) -> int | None:
    """A memory limit: `8589934592`; `max` (version 2) and about 2**63 (version 1) are none.

    Raises:
        ValueError: neither.
    """
    word = text.strip()
    value = _UNLIMITED_BYTES if word == "max" else int(word)
    return None if value >= _UNLIMITED_BYTES else value


def parse_cpu_max(text: str) -> float | None:
    """CPUs of a version-2 quota: `150000 100000` is 1.5; `max 100000` is none.

    Raises:
        ValueError: not in this form.
    """
    quota, period = (*text.split(), "100000")[:2]
    return None if quota == "max" else _share(int(quota), int(period))


def parse_statistic(text: str, name: str) -> int:
    """One figure of memory.stat: `inactive_file 8192`; 0 where the kernel does not keep it."""
    match = re.search(rf"^{re.escape(name)} (\d+)$", text, re.MULTILINE)
    return int(match.group(1)) if match else 0


def _share(quota: int, period: int) -> float:
    if quota <= 0 or period <= 0:
        raise ValueError(f"{quota} of {period} is no share of time")
    return quota / period


def _unescaped(path: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match.group(1), 8)), path)


def _levels(
    machine: Machine, mounts: tuple[Mount, ...], own: dict[str, str], controller: str
) -> list[tuple[str, bool]]:
    """Folders of the groups over us for one controller, innermost first, and whether they are version 1."""
    for mount in mounts:
        if controller in mount.controllers and controller in own:
            return [(folder, True) for folder in _folders_up(machine, mount, own[controller])]
    for mount in mounts:
        if not mount.controllers and "" in own:
            return [(folder, False) for folder in _folders_up(machine, mount, own[""])]
    return []


def _folders_up(machine: Machine, mount: Mount, group: str) -> list[str]:
    """From our group's folder up to the mount; only the mount where our path is not shown below it."""
    root = mount.root.rstrip("/")
    inner = group[len(root) :] if group == root or group.startswith(root + "/") else ""
    names = [name for name in inner.split("/") if name]
    if ".." in names or len(names) > _DEEPEST:
        names = []
    if isinstance(machine.list_folder("/".join((mount.folder, *names))), Absent):
        names = []
    return ["/".join((mount.folder, *names[:count])) for count in range(len(names), -1, -1)]


def _quota(machine: Machine, folder: str, is_first_version: bool) -> Reading[float]:
    if not is_first_version:
        return _limited(machine.read_text(f"{folder}/cpu.max"), parse_cpu_max)
    quota = convert(machine.read_text(f"{folder}/cpu.cfs_quota_us"), int)
    if not isinstance(quota, Known):
        return quota
    if quota.value < 0:
        return Absent(quota.source)
    allowed = quota.value
    return convert(
        machine.read_text(f"{folder}/cpu.cfs_period_us"), lambda period: _share(allowed, int(period))
    )


def _memory_room(machine: Machine, folder: str, is_first_version: bool) -> Reading[tuple[int, int]]:
    """Limit of one group and what it has left, in bytes; absent without a limit."""
    names = _FILES_OF_FIRST if is_first_version else _FILES_OF_SECOND
    limit = _limited(machine.read_text(f"{folder}/memory.{names[0]}"), parse_limit_bytes)
    if not isinstance(limit, Known):
        return limit
    used = convert(machine.read_text(f"{folder}/memory.{names[1]}"), int)
    if not isinstance(used, Known):
        return Unreadable(used.source, used.why if isinstance(used, Unreadable) else "not there")
    statistics = machine.read_text(f"{folder}/memory.stat")
    droppable = parse_statistic(statistics.value, names[2]) if isinstance(statistics, Known) else 0
    left = max(0, limit.value - max(0, used.value - droppable))
    return Known((limit.value, left), limit.source)


def _limited(text: Reading[str], parse: Callable[[str], Number | None]) -> Reading[Number]:
    """The parsed limit of one level; absent where there is none."""
    value = convert(text, parse)
    if not isinstance(value, Known):
        return value
    return Absent(value.source) if value.value is None else Known(value.value, value.source)


def _tightest(levels: list[Reading[Number]]) -> Reading[Number]:
    """The smallest known limit; unreadable if a level is, because that one might be the smallest."""
    for level in levels:
        if isinstance(level, Unreadable):
            return level
    known = [level for level in levels if isinstance(level, Known)]
    return min(known, key=lambda level: level.value, default=Absent(_OWN))
