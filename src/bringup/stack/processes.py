"""Facts of single processes and of the processors, from /proc: who they are, what they use."""

from __future__ import annotations

from typing import Final

from bringup.machine.protocol import Machine
from bringup.reading import Known, Reading, convert
from bringup.records import dataclass
from bringup.stack.engines import without_secrets

_STAT_LIMIT_BYTES: Final = 4096
_COMMAND_LIMIT_BYTES: Final = 16 * 1024
_PROCESS_LIMIT: Final = 100_000


@dataclass(frozen=True, slots=True)
class ProcessStat:
    """One process, from /proc/PID/stat.

    Attributes:
        process_id: its number.
        parent_id: number of its parent.
        name: what the kernel calls it, at most 15 characters.
        state: one letter: R runs, S sleeps, D waits for a device, T is stopped, Z is dead.
        cpu_ticks: processor time, user and system.
        start_ticks: when it started, since the machine did; with the number it names the process.
        threads: of it.
        resident_pages: main memory, mapped files included.
    """

    process_id: int
    parent_id: int
    name: str
    state: str
    cpu_ticks: int
    start_ticks: int
    threads: int
    resident_pages: int


@dataclass(frozen=True, slots=True)
class CpuTimes:
    """Ticks of all processors since the machine started: at work, and altogether."""

    busy_ticks: int
    total_ticks: int

    def busy_share(self, before: CpuTimes) -> float:
        """Share of the time since an earlier look in which they worked, 0 to 1."""
        passed = self.total_ticks - before.total_ticks
        return min(1.0, max(0.0, (self.busy_ticks - before.busy_ticks) / passed)) if passed > 0 else 0.0


def list_process_ids(machine: Machine) -> Reading[tuple[int, ...]]:
    """Numbers of all processes that can be seen."""
    return convert(
        machine.list_folder("/proc"),
        lambda names: tuple(int(name) for name in names[:_PROCESS_LIMIT] if name.isdigit()),
    )


def probe_stat(machine: Machine, process_id: int) -> Reading[ProcessStat]:
    """What the kernel says of a process now; absent when it is gone."""
    return convert(machine.read_text(f"/proc/{process_id}/stat", limit_bytes=_STAT_LIMIT_BYTES), parse_stat)


def probe_command(machine: Machine, process_id: int) -> tuple[str, ...]:
    """Its command line without secrets; empty for kernel threads and where it cannot be seen."""
    raw = machine.read_text(f"/proc/{process_id}/cmdline", limit_bytes=_COMMAND_LIMIT_BYTES)
    if not isinstance(raw, Known) or not raw.value:
        return ()
    return without_secrets(tuple(raw.value.rstrip("\x00").split("\x00")))


def parse_stat(text: str) -> ProcessStat:
    """A line of /proc/PID/stat; the name may hold blanks and parentheses.

    Raw line: `812 (llama-server) S 1 812 812 0 -1 4194304 901 0 3 0 71 9 0 0 20 0 5 0 2410 73728 9120 ...`.

    Raises:
        ValueError: not in this form.
    """
    number, opened, rest = text.partition(" (")
    name, closed, rest = rest.rpartition(") ")
    fields = rest.split()
    if not opened or not closed or len(fields) < 22:
        raise ValueError("expected `PID (NAME) STATE ...`")
    return ProcessStat(
        process_id=int(number),
        parent_id=int(fields[1]),
        name=name,
        state=fields[0],
        cpu_ticks=int(fields[11]) + int(fields[12]),
        start_ticks=int(fields[19]),
        threads=int(fields[17]),
        resident_pages=int(fields[21]),
    )


def probe_cpu_times(machine: Machine) -> Reading[CpuTimes]:
    """Time of all processors together."""
    return convert(machine.read_text("/proc/stat"), parse_cpu_times)


def parse_cpu_times(text: str) -> CpuTimes:
    """The first line of /proc/stat: user, nice, system, idle, waiting for disks, interrupts, stolen.

    Raw line: `cpu  4705 150 1120 164444 1253 0 70 0 0 0`.

    Raises:
        ValueError: no such line.
    """
    first = text.partition("\n")[0].split()
    if len(first) < 5 or first[0] != "cpu":
        raise ValueError("no line `cpu`")
    # Guest time, fields 9 and 10, is counted in user and nice already.
    ticks = [int(word) for word in first[1:9]]
    idle = ticks[3] + (ticks[4] if len(ticks) > 4 else 0)
    return CpuTimes(sum(ticks) - idle, sum(ticks))
