"""The processor: its name, cores, memory nodes, and the instructions that engines are built for."""

from __future__ import annotations

import re
from typing import Final

from bringup.machine.protocol import Machine
from bringup.reading import NOT_LOOKED, Absent, Known, Reading, convert
from bringup.records import dataclass
from bringup.stack.host import probe_cores

_CPUINFO: Final = "/proc/cpuinfo"
_NODES: Final = "/sys/devices/system/node"
_NAMES: Final = ("model name", "Model", "Hardware", "cpu model")
_INSTRUCTIONS: Final = (
    *("sse4_2", "avx", "f16c", "fma", "bmi2", "avx2", "avx_vnni", "avx512f", "avx512bw", "avx512vl"),
    *("avx512_vnni", "avx512_bf16", "amx_tile", "amx_int8", "amx_bf16"),
    *("asimd", "asimddp", "i8mm", "bf16", "sve", "sve2"),
)
"""Those that llama.cpp has code for, as /proc/cpuinfo writes them; x86 first, then ARM."""


@dataclass(frozen=True, slots=True)
class Processor:
    """Facts of the processor; every reading is `NOT_LOOKED` until somebody looks.

    Attributes:
        name: as it calls itself; absent where it does not.
        physical_cores: cores that are online; a core with two hardware threads counts once.
        logical_cpus: hardware threads that are online.
        instructions: those of engines that it has, as /proc/cpuinfo writes them.
        numa_nodes: groups of processors with memory of their own.
    """

    name: Reading[str] = NOT_LOOKED
    physical_cores: Reading[int] = NOT_LOOKED
    logical_cpus: Reading[int] = NOT_LOOKED
    instructions: Reading[tuple[str, ...]] = NOT_LOOKED
    numa_nodes: Reading[int] = NOT_LOOKED


def probe_processor(machine: Machine) -> Processor:
    """Look at /proc/cpuinfo and at the topology in /sys."""
    text = machine.read_text(_CPUINFO)
    physical, logical = probe_cores(machine)
    return Processor(
        name=_name(text),
        physical_cores=physical,
        logical_cpus=logical,
        instructions=convert(text, parse_instructions),
        numa_nodes=convert(machine.list_folder(_NODES), count_nodes),
    )


def probe_name(machine: Machine) -> Reading[str]:
    """Its name alone; absent where it has none."""
    return _name(machine.read_text(_CPUINFO))


def _name(text: Reading[str]) -> Reading[str]:
    name = convert(text, parse_name)
    return Absent(_CPUINFO) if isinstance(name, Known) and not name.value else name


def parse_name(text: str) -> str:
    """The first name in /proc/cpuinfo; empty where it has none (many ARM boards).

    Raw line: `model name	: AMD Ryzen 7 5800X 8-Core Processor`.
    """
    for name in _NAMES:
        found = re.search(rf"^{name}[ \t]*:[ \t]*(\S[^\n]*)$", text, flags=re.MULTILINE)
        if found is not None:
            return found[1].strip()
    return ""


def parse_instructions(text: str) -> tuple[str, ...]:
    """Instructions of engines among the flags of the first processor.

    Raw line: `flags		: fpu vme ... avx2 ... fma`; on ARM `Features	: fp asimd ... i8mm`.

    Raises:
        ValueError: no such line.
    """
    found = re.search(r"^(?:flags|Features)[ \t]*:([^\n]*)$", text, flags=re.MULTILINE)
    if found is None:
        raise ValueError("no line of flags or Features")
    flags = set(found[1].split())
    return tuple(name for name in _INSTRUCTIONS if name in flags)


def count_nodes(names: tuple[str, ...]) -> int:
    """Memory nodes among the names in /sys/devices/system/node: `node0`, `node1`; one where none is told."""
    return sum(re.fullmatch(r"node\d{1,4}", name) is not None for name in names) or 1
