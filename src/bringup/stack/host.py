"""Facts of the layer below everything: processors, load and main memory, as far as this process may use them.

A container shows the host's /proc, so what counts beside it is the control group that we are in
(`stack/cgroup.py`) and the processors that we may run on.
"""

from __future__ import annotations

from bringup.machine.protocol import Machine
from bringup.reading import Absent, Known, Reading, Unreadable, convert, need
from bringup.records import dataclass
from bringup.stack.cgroup import probe_cgroup
from bringup.units import KIB

_CPU_FOLDER = "/sys/devices/system/cpu"
_MEMINFO = "/proc/meminfo"


@dataclass(frozen=True, slots=True)
class Host:
    """Processors and memory.

    Attributes:
        physical_cores: cores that are online; a core with two hardware threads counts once.
        logical_cpus: hardware threads that are online.
        affinity_cpus: hardware threads that this process may run on.
        cgroup_quota_cpus: CPU time that our control group may use, in CPUs (1.5 is one and a half); absent
            without a quota.
        load_1min: runnable and blocked processes, averaged over a minute, of the whole machine.
        memory_total_bytes: main memory.
        memory_available_bytes: what can be taken without swapping, by the kernel's own estimate.
        cgroup_memory_limit_bytes: tightest limit over our control group and those above; absent without one.
        cgroup_memory_free_bytes: what the tightest of these groups has left; page cache that can be dropped
            counts as free; absent without a limit.
        swap_total_bytes: swap space.
        swap_free_bytes: what of it is free.
    """

    physical_cores: Reading[int]
    logical_cpus: Reading[int]
    affinity_cpus: Reading[int]
    cgroup_quota_cpus: Reading[float]
    load_1min: Reading[float]
    memory_total_bytes: Reading[int]
    memory_available_bytes: Reading[int]
    cgroup_memory_limit_bytes: Reading[int]
    cgroup_memory_free_bytes: Reading[int]
    swap_total_bytes: Reading[int]
    swap_free_bytes: Reading[int]

    @property
    def free_for_us_bytes(self) -> int:
        """Main memory that one more process of ours may take: the machine's, within our control group's rest.

        Raises:
            CannotTell: the machine does not say how much is available, or the group's limit cannot be read.
        """
        available = need(_present(self.memory_available_bytes))
        in_group = need(self.cgroup_memory_free_bytes)
        assert available is not None
        return available if in_group is None else min(available, in_group)


def _present(reading: Reading[int]) -> Reading[int]:
    """A thing that every Linux machine has: its absence means that we looked at something else."""
    return Unreadable(reading.source, "not there") if isinstance(reading, Absent) else reading


def probe_host(machine: Machine) -> Host:
    """Read the host's figures; needs no rights and runs nothing."""
    memory = machine.read_text(_MEMINFO)
    group = probe_cgroup(machine)
    logical = _logical_cpus(machine)
    return Host(
        physical_cores=_physical_cores(machine, logical),
        logical_cpus=convert(logical, len),
        affinity_cpus=_affinity(machine),
        cgroup_quota_cpus=group.quota_cpus,
        load_1min=convert(machine.read_text("/proc/loadavg"), parse_load),
        memory_total_bytes=_field(memory, "MemTotal"),
        memory_available_bytes=_field(memory, "MemAvailable"),
        cgroup_memory_limit_bytes=group.memory_limit_bytes,
        cgroup_memory_free_bytes=group.memory_free_bytes,
        swap_total_bytes=_field(memory, "SwapTotal"),
        swap_free_bytes=_field(memory, "SwapFree"),
    )


def probe_cores(machine: Machine) -> tuple[Reading[int], Reading[int]]:
    """Physical cores and hardware threads that are online."""
    logical = _logical_cpus(machine)
    return _physical_cores(machine, logical), convert(logical, len)


def parse_load(text: str) -> float:
    """Load of the last minute from /proc/loadavg: `0.73 0.61 0.35 2/311 9021`.

    Raises:
        ValueError: not in this form.
    """
    return float(text.partition(" ")[0])


def parse_meminfo(text: str) -> dict[str, int]:
    """Bytes by name from /proc/meminfo: `MemAvailable:    6712340 kB` (KiB); other lines are left out."""
    figures: dict[str, int] = {}
    for line in text.splitlines():
        name, _, rest = line.partition(":")
        words = rest.split()
        if len(words) == 2 and words[1] == "kB" and words[0].isdecimal():
            figures[name.strip()] = int(words[0]) * KIB
    return figures


def parse_cpu_list(text: str) -> frozenset[int]:
    """Processors of a kernel list: `0-3,8,10-11`; an empty list is none.

    Raises:
        ValueError: not in this form, or numbers beyond any machine.
    """
    numbers: set[int] = set()
    for part in text.strip().split(",") if text.strip() else ():
        first, dash, last = part.partition("-")
        start, end = int(first), int(last) if dash else int(first)
        if not 0 <= start <= end < 65_536:
            raise ValueError(f"{part!r} is no range of processors")
        numbers.update(range(start, end + 1))
    return frozenset(numbers)


def parse_allowed_cpus(status: str) -> int:
    """How many processors a process may run on, from /proc/self/status: `Cpus_allowed_list:	0-1,4`.

    Raises:
        ValueError: no such line.
    """
    for line in status.splitlines():
        name, _, rest = line.partition(":")
        if name == "Cpus_allowed_list":
            return len(parse_cpu_list(rest))
    raise ValueError("no line Cpus_allowed_list")


def parse_cpuinfo_cpus(text: str) -> frozenset[int]:
    """Numbers of the processors in /proc/cpuinfo: `processor	: 3`.

    Raises:
        ValueError: none in it.
    """
    numbers = frozenset(int(block["processor"]) for block in _cpuinfo_blocks(text) if "processor" in block)
    if not numbers:
        raise ValueError("no processor in it")
    return numbers


def parse_cpuinfo_cores(text: str) -> int:
    """Distinct cores in /proc/cpuinfo: pairs of `physical id	: 0` and `core id		: 5`.

    Raises:
        ValueError: it does not tell cores (ARM, some virtual machines).
    """
    cores = {
        (block["physical id"], block["core id"])
        for block in _cpuinfo_blocks(text)
        if "physical id" in block and "core id" in block
    }
    if not cores:
        raise ValueError("it tells no cores")
    return len(cores)


def _cpuinfo_blocks(text: str) -> list[dict[str, str]]:
    blocks: list[dict[str, str]] = [{}]
    for line in text.splitlines():
        name, colon, value = line.partition(":")
        if colon:
            blocks[-1][name.strip()] = value.strip()
        elif not line.strip():
            blocks.append({})
    return blocks


def _field(memory: Reading[str], name: str) -> Reading[int]:
    if not isinstance(memory, Known):
        return memory
    value = parse_meminfo(memory.value).get(name)
    source = f"{memory.source}: {name}"
    return Absent(source) if value is None else Known(value, source)


def _logical_cpus(machine: Machine) -> Reading[frozenset[int]]:
    """Processors that are online, by topology or else by /proc/cpuinfo."""
    online = convert(machine.read_text(f"{_CPU_FOLDER}/online"), parse_cpu_list)
    if isinstance(online, Known) and online.value:
        return online
    return convert(machine.read_text("/proc/cpuinfo"), parse_cpuinfo_cpus)


def _physical_cores(machine: Machine, logical: Reading[frozenset[int]]) -> Reading[int]:
    """Cores by the siblings of each online processor, by /proc/cpuinfo where the topology is not shown."""
    if not isinstance(logical, Known):
        return logical
    siblings: set[frozenset[int]] = set()
    for number in sorted(logical.value):
        shared = _siblings(machine, number)
        if not isinstance(shared, Known):
            return _cores_by_cpuinfo(machine, len(logical.value))
        siblings.add(shared.value & logical.value or frozenset({number}))
    return Known(len(siblings), f"{_CPU_FOLDER}/cpu*/topology")


def _siblings(machine: Machine, number: int) -> Reading[frozenset[int]]:
    """Hardware threads of one processor's core; the file has a second, older name."""
    folder = f"{_CPU_FOLDER}/cpu{number}/topology"
    found = machine.read_text(f"{folder}/core_cpus_list")
    if isinstance(found, Absent):
        found = machine.read_text(f"{folder}/thread_siblings_list")
    return convert(found, parse_cpu_list)


def _cores_by_cpuinfo(machine: Machine, logical_count: int) -> Reading[int]:
    cores = convert(machine.read_text("/proc/cpuinfo"), parse_cpuinfo_cores)
    if isinstance(cores, Known):
        return Known(min(cores.value, logical_count), cores.source)
    return cores


def _affinity(machine: Machine) -> Reading[int]:
    return convert(machine.read_text("/proc/self/status"), parse_allowed_cpus)
