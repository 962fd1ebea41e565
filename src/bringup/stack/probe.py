"""Look at a whole machine: every layer behind a guard, side by side, timed."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

from bringup.machine.clock import monotonic_s
from bringup.machine.protocol import Machine
from bringup.reading import Known, convert
from bringup.records import dataclass, replace
from bringup.stack import cuda, nvml
from bringup.stack.build import probe_build
from bringup.stack.container import probe_container
from bringup.stack.cuda import probe_cuda
from bringup.stack.hardware import probe_hardware
from bringup.stack.kernel import probe_kernel
from bringup.stack.lines import Lines
from bringup.stack.memory import probe_memory
from bringup.stack.nvml import probe_nvml
from bringup.stack.oom_kills import without_foreign_kills, without_old_traps
from bringup.stack.raw_text import split_lines
from bringup.stack.runtime import probe_runtime
from bringup.stack.stack import Stack
from bringup.stack.toolkit import probe_toolkit
from bringup.stack.userspace import probe_userspace

PROBES: Final[dict[str, Callable[[Machine], object]]] = {
    "hardware": probe_hardware,
    "kernel": probe_kernel,
    "userspace": probe_userspace,
    "nvml": probe_nvml,
    "cuda": probe_cuda,
    "toolkit": probe_toolkit,
    "container": probe_container,
    "build": probe_build,
    "runtime": probe_runtime,
    "memory": probe_memory,
}
"""A layer's name in `Stack`, and what looks at it; a layer joins the doctor by a line here."""


@dataclass(frozen=True, slots=True)
class Look:
    """One layer's look: how long it took, and what went wrong with it (empty for nothing)."""

    layer: str
    took_s: float
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Looked:
    """A machine as it was seen: its facts, what its kernel and its driver say, and how each look went."""

    stack: Stack
    lines: Lines
    looks: tuple[Look, ...]


def probe_stack(
    machine: Machine, *, limit_s: float = 10.0, meanwhile: Callable[[], object] | None = None
) -> Looked:
    """Look at every layer in a thread of its own.

    A layer that raises, or that has not answered after `limit_s` seconds, stays not looked at and says so in
    `looks`; the others go on. `meanwhile` is called while commands run that the layers wait for.
    """
    started_s = monotonic_s()
    results: dict[str, tuple[object | None, Look]] = {}
    threads = [
        threading.Thread(target=_probe_guarded, args=(machine, layer, probe, results), daemon=True)
        for layer, probe in PROBES.items()
    ]
    for thread in threads:
        thread.start()
    if meanwhile is not None:
        meanwhile()
    for thread in threads:
        thread.join(max(0.0, started_s + limit_s - monotonic_s()))
    finished = dict(results)
    facts = {layer: value for layer, (value, _) in finished.items() if value is not None}
    looks = tuple(
        finished[layer][1] if layer in finished else Look(layer, limit_s, "did not answer in time")
        for layer in PROBES
    )
    stack = replace(Stack(), **facts)  # type: ignore[arg-type]
    spoken = (*nvml.spoken_lines(stack.nvml).lines, *cuda.spoken_lines(stack.cuda).lines)
    return Looked(stack, Lines((*_kernel_lines(machine, stack).lines, *spoken)), looks)


def _probe_guarded(
    machine: Machine,
    layer: str,
    probe: Callable[[Machine], object],
    results: dict[str, tuple[object | None, Look]],
) -> None:
    started_s = monotonic_s()
    try:
        value = probe(machine)
    except Exception as problem:  # noqa: BLE001 - the guard around probes
        look = Look(layer, monotonic_s() - started_s, f"{type(problem).__name__}: {problem}")
        results[layer] = (None, look)
        return
    results[layer] = (value, Look(layer, monotonic_s() - started_s))


def _kernel_lines(machine: Machine, stack: Stack) -> Lines:
    text = stack.kernel.log_text
    if not isinstance(text, Known):
        return Lines()
    uptime = convert(machine.read_text("/proc/uptime"), lambda words: float(words.partition(" ")[0]))
    uptime_s = uptime.value if isinstance(uptime, Known) else None
    ours = without_old_traps(without_foreign_kills(text.value, uptime_s=uptime_s), uptime_s=uptime_s)
    return split_lines(ours, source=text.source)
