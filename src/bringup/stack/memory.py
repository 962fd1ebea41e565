"""Facts of the layer: memory. Main memory as a hotel with floors, its pressure, the limits of a process."""

from __future__ import annotations

import re
from typing import Final

from bringup.machine.protocol import Machine
from bringup.reading import NOT_LOOKED, Absent, Known, Reading, Unreadable, convert
from bringup.records import dataclass, replace
from bringup.stack.cgroup import probe_cgroup
from bringup.stack.lines import Lines
from bringup.units import KIB

_MEMINFO: Final = "/proc/meminfo"
_LIMITS: Final = "/proc/self/limits"


@dataclass(frozen=True, slots=True)
class MemoryFloors:
    """Main memory by what it is used for, in bytes; the floors add up to about the total.

    Attributes:
        total_bytes: what the kernel manages.
        free_bytes: used for nothing.
        available_bytes: what programs can take without swapping: free and most of the cache.
        kernel_bytes: slabs that cannot be dropped, stacks, page tables, modules and other mappings.
        programs_bytes: memory of programs without a file behind it (weights that are not mapped, KV caches).
        cache_bytes: files in the page cache (mapped models), buffers, slabs that can be dropped.
        shared_bytes: shared memory and tmpfs.
        huge_bytes: reserved huge pages, used or not.
        locked_bytes: pages that may not be swapped out (part of the floors above).
        swap_total_bytes, swap_free_bytes: swap space.
        committed_bytes, commit_limit_bytes: promised to programs, and the most under strict overcommit.
    """

    total_bytes: int
    free_bytes: int
    available_bytes: int
    kernel_bytes: int
    programs_bytes: int
    cache_bytes: int
    shared_bytes: int
    huge_bytes: int
    locked_bytes: int
    swap_total_bytes: int
    swap_free_bytes: int
    committed_bytes: int
    commit_limit_bytes: int

    @property
    def other_bytes(self) -> int:
        """What none of the floors counts: memory of drivers, mostly."""
        counted = self.free_bytes + self.kernel_bytes + self.programs_bytes + self.cache_bytes
        return max(0, self.total_bytes - counted - self.shared_bytes - self.huge_bytes)


@dataclass(frozen=True, slots=True)
class Pressure:
    """Share of the last ten seconds in which some, or all, tasks waited for memory, in percent."""

    some_pct: float
    full_pct: float


@dataclass(frozen=True, slots=True)
class Memory:
    """Facts of this layer; every reading is `NOT_LOOKED` until somebody looks.

    Attributes:
        floors: main memory by use.
        pressure: waiting for memory; absent on kernels without pressure accounting.
        oom_kills: processes that the kernel killed for want of memory since the machine started.
        locked_limit_bytes: how much this user may lock; absent when unlimited.
        address_space_limit_bytes: how much a process of this user may map; absent when unlimited.
        group_limit_bytes: tightest limit over our control group and those above; absent without one.
        group_free_bytes: what the tightest of these groups has left; absent without a limit.
        overcommit: 0 by heuristics, 1 always, 2 never more than the commit limit.
    """

    floors: Reading[MemoryFloors] = NOT_LOOKED
    pressure: Reading[Pressure] = NOT_LOOKED
    oom_kills: Reading[int] = NOT_LOOKED
    locked_limit_bytes: Reading[int] = NOT_LOOKED
    address_space_limit_bytes: Reading[int] = NOT_LOOKED
    overcommit: Reading[int] = NOT_LOOKED
    group_limit_bytes: Reading[int] = NOT_LOOKED
    group_free_bytes: Reading[int] = NOT_LOOKED


def probe_memory(machine: Machine) -> Memory:
    """Look at main memory; reads a handful of small files."""
    limits = machine.read_text(_LIMITS)
    group = probe_cgroup(machine)
    return Memory(
        floors=_floors(machine),
        pressure=_pressure(machine),
        oom_kills=convert(machine.read_text("/proc/vmstat"), parse_oom_kills),
        locked_limit_bytes=_limit(limits, "Max locked memory"),
        address_space_limit_bytes=_limit(limits, "Max address space"),
        overcommit=convert(machine.read_text("/proc/sys/vm/overcommit_memory"), int),
        group_limit_bytes=group.memory_limit_bytes,
        group_free_bytes=group.memory_free_bytes,
    )


def renew_memory(machine: Machine, memory: Memory) -> Memory:
    """The same with what changes from second to second: floors and pressure."""
    return replace(memory, floors=_floors(machine), pressure=_pressure(machine))


def _floors(machine: Machine) -> Reading[MemoryFloors]:
    return convert(machine.read_text(_MEMINFO), parse_meminfo)


def _pressure(machine: Machine) -> Reading[Pressure]:
    return convert(machine.read_text("/proc/pressure/memory"), parse_pressure)


def recognise(lines: Lines) -> Memory:
    """What pasted lines say of this layer: /proc/meminfo, and the limit of `ulimit -l`."""
    floors: Reading[MemoryFloors] = NOT_LOOKED
    if lines.has("memtotal:") and lines.has("anonpages:"):
        text = "\n".join(line.text for line in lines.lines if re.match(r"\w+(?:\(\w+\))?:\s+\d+", line.text))
        floors = convert(Known(text, "pasted /proc/meminfo"), parse_meminfo)
    hit = lines.search(r"max locked memory\s+\(kbytes, -l\) (\d+)$", anchor="max locked memory")
    locked: Reading[int] = Known(int(hit[1][1]) * KIB, "pasted ulimit") if hit else NOT_LOOKED
    return Memory(floors=floors, locked_limit_bytes=locked)


def parse_meminfo(text: str) -> MemoryFloors:
    """The floors from /proc/meminfo.

    Raw line: `MemTotal:       32801912 kB`.

    Raises:
        ValueError: MemTotal or MemFree is missing.
    """
    found = re.findall(r"^(\w+(?:\(\w+\))?):\s+(\d+)(?: kB)?", text, re.MULTILINE)
    size = {name: int(number) * KIB for name, number in found}
    if "MemTotal" not in size or "MemFree" not in size:
        raise ValueError("no MemTotal and MemFree")

    def take(name: str) -> int:
        return size.get(name, 0)

    stacks = take("KernelStack")
    # Stacks are mapped with vmalloc too, so they are taken out of it; modules and drivers' mappings remain.
    mapped = max(0, take("VmallocUsed") - stacks)
    tables = take("PageTables") + take("SecPageTables")
    return MemoryFloors(
        total_bytes=size["MemTotal"],
        free_bytes=size["MemFree"],
        available_bytes=size.get("MemAvailable", size["MemFree"] + take("Cached")),
        kernel_bytes=take("SUnreclaim") + stacks + tables + take("Percpu") + mapped,
        programs_bytes=take("AnonPages"),
        cache_bytes=max(0, take("Cached") - take("Shmem")) + take("Buffers") + take("SReclaimable"),
        shared_bytes=take("Shmem"),
        huge_bytes=take("Hugetlb"),
        locked_bytes=take("Mlocked"),
        swap_total_bytes=take("SwapTotal"),
        swap_free_bytes=take("SwapFree"),
        committed_bytes=take("Committed_AS"),
        commit_limit_bytes=take("CommitLimit"),
    )


def parse_pressure(text: str) -> Pressure:
    """Pressure of ten seconds from /proc/pressure/memory.

    Raw line: `some avg10=0.00 avg60=0.12 avg300=0.05 total=81342`.

    Raises:
        ValueError: no `some` line.
    """
    found = dict(re.findall(r"^(some|full) avg10=(\d+\.\d+)", text, re.MULTILINE))
    if "some" not in found:
        raise ValueError("no line 'some avg10='")
    return Pressure(float(found["some"]), float(found.get("full", "0")))


def parse_oom_kills(text: str) -> int:
    """The counter of /proc/vmstat.

    Raw line: `oom_kill 0`.

    Raises:
        ValueError: no such line (kernels before 4.13).
    """
    match = re.search(r"^oom_kill (\d+)$", text, re.MULTILINE)
    if match is None:
        raise ValueError("no line 'oom_kill'")
    return int(match[1])


def parse_limit(text: str, name: str) -> int | None:
    """A soft limit of /proc/self/limits in bytes; `None` for unlimited.

    Raw line: `Max locked memory         8388608              8388608              bytes`.

    Raises:
        ValueError: no such line.
    """
    match = re.search(rf"^{re.escape(name)}\s+(\d+|unlimited)\s", text, re.MULTILINE)
    if match is None:
        raise ValueError(f"no line {name!r}")
    return None if match[1] == "unlimited" else int(match[1])


def _limit(text: Reading[str], name: str) -> Reading[int]:
    if not isinstance(text, Known):
        return text
    try:
        limit = parse_limit(text.value, name)
    except ValueError as problem:
        return Unreadable(text.source, str(problem))
    return Absent(text.source) if limit is None else Known(limit, text.source)
