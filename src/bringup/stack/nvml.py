"""Facts of the layer: nvml. What the running driver says of itself and of each card."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

from bringup.machine.protocol import CommandResult, Machine
from bringup.reading import NOT_LOOKED, Absent, Known, Reading, Unreadable, convert
from bringup.records import dataclass, replace
from bringup.stack.child_report import read_hanging, read_report
from bringup.stack.lines import Line, Lines
from bringup.stack.nvml_errors import NOT_SUPPORTED, NvmlError, find_nvml_error
from bringup.stack.version import DriverVersion, find_driver_version

T = TypeVar("T")

COMMAND: Final = ("bringup-nvml",)
"""A part of ours that runs in a process of its own; see `machine.nvml_child`."""

TIMEOUT_S: Final = 9.0
_LIBRARIES: Final = (
    "/usr/lib/x86_64-linux-gnu/libnvidia-ml.so.1",
    "/usr/lib/aarch64-linux-gnu/libnvidia-ml.so.1",
    "/usr/lib64/libnvidia-ml.so.1",
    "/usr/lib/libnvidia-ml.so.1",
    "/usr/lib/wsl/lib/libnvidia-ml.so.1",
    "/run/opengl-driver/lib/libnvidia-ml.so.1",
)

_REASONS: Final = (
    (0x1, "idle"),
    (0x2, "clocks set by a user"),
    (0x4, "power limit"),
    (0x8, "hardware slowdown"),
    (0x10, "kept equal with other cards"),
    (0x20, "software thermal slowdown"),
    (0x40, "hardware thermal slowdown"),
    (0x80, "hardware power brake"),
    (0x100, "display clocks"),
    (0x200, "board limit"),
    (0x400, "reliability voltage"),
)
"""Bits of NVML's clocks event reasons (nvml.h, nvmlClocksEventReasons)."""


@dataclass(frozen=True, slots=True)
class GpuMemory:
    """Memory of a card in bytes."""

    total_bytes: int
    used_bytes: int
    free_bytes: int


@dataclass(frozen=True, slots=True)
class GpuProcess:
    """A process on a card; `used_bytes` is absent where the driver does not tell (as in a container)."""

    process_id: int
    used_bytes: Reading[int]
    is_graphics: bool
    name: str = ""


@dataclass(frozen=True, slots=True)
class Card:
    """One card as NVML tells it; a question that this card does not answer is absent.

    Attributes:
        index: NVML's number, which counts by bus address; CUDA's may differ.
        trouble: the error that stands in the way of every question; absent for a card that answers.
        clock_reasons: what holds the clocks down now, NVML's reasons in words.
        link_generation_most: the newest PCIe generation of card and slot together; an idle card uses less.
        link_width_most_lanes: lanes that card and slot have together.
        remapped_rows: corrected, uncorrected, pending, failed.
    """

    index: int
    trouble: Reading[NvmlError] = NOT_LOOKED
    name: Reading[str] = NOT_LOOKED
    bus_address: Reading[str] = NOT_LOOKED
    compute_capability: Reading[tuple[int, int]] = NOT_LOOKED
    memory: Reading[GpuMemory] = NOT_LOOKED
    temperature_c: Reading[int] = NOT_LOOKED
    power_mw: Reading[int] = NOT_LOOKED
    power_limit_mw: Reading[int] = NOT_LOOKED
    power_default_mw: Reading[int] = NOT_LOOKED
    clock_mhz: Reading[int] = NOT_LOOKED
    clock_most_mhz: Reading[int] = NOT_LOOKED
    clock_reasons: Reading[tuple[str, ...]] = NOT_LOOKED
    uncorrected_errors: Reading[int] = NOT_LOOKED
    uncorrected_errors_ever: Reading[int] = NOT_LOOKED
    remapped_rows: Reading[tuple[int, ...]] = NOT_LOOKED
    link_generation: Reading[int] = NOT_LOOKED
    link_generation_most: Reading[int] = NOT_LOOKED
    link_width_lanes: Reading[int] = NOT_LOOKED
    link_width_most_lanes: Reading[int] = NOT_LOOKED
    compute_mode: Reading[int] = NOT_LOOKED
    mig_mode: Reading[tuple[int, ...]] = NOT_LOOKED
    persistence_mode: Reading[int] = NOT_LOOKED
    processes: Reading[tuple[GpuProcess, ...]] = NOT_LOOKED

    @property
    def is_lost(self) -> bool:
        """Whether the card was gone when it was asked."""
        return isinstance(self.trouble, Known) and self.trouble.value.name == "ERROR_GPU_IS_LOST"


@dataclass(frozen=True, slots=True)
class Nvml:
    """Facts of this layer; every reading is `NOT_LOOKED` until somebody looks.

    Attributes:
        error: why NVML does not start; absent when it does.
        hangs_in: the call that did not return; absent when all did.
        driver_version: of the library that answers.
        cuda_version: the newest CUDA that this driver runs, (major, minor).
        cards: in NVML's order.
    """

    error: Reading[NvmlError] = NOT_LOOKED
    hangs_in: Reading[str] = NOT_LOOKED
    driver_version: Reading[DriverVersion] = NOT_LOOKED
    cuda_version: Reading[tuple[int, int]] = NOT_LOOKED
    cards: Reading[tuple[Card, ...]] = NOT_LOOKED


def probe_nvml(machine: Machine) -> Nvml:
    """Ask the driver, where a library of it lies in one of the usual places.

    It is asked in a process of its own and with a time limit: a driver that hangs costs this layer only.
    """
    unseen = find_no_library(machine)
    if unseen is not None:
        return Nvml(unseen, unseen, unseen, unseen, unseen)
    return read_nvml(machine, machine.run(COMMAND, timeout_s=TIMEOUT_S))


def find_no_library(machine: Machine) -> Absent | Unreadable | None:
    """Why there is nothing to ask; `None` where a library of the driver may be found."""
    found = [machine.stat(path) for path in _LIBRARIES]
    variable = machine.environment("LD_LIBRARY_PATH")
    is_elsewhere = isinstance(variable, Known) and variable.value != ""
    if is_elsewhere or any(isinstance(one, Known) for one in found):
        return None
    return next((one for one in found if isinstance(one, Unreadable)), Absent("libnvidia-ml.so.1"))


def read_nvml(machine: Machine, told: Reading[CommandResult]) -> Nvml:
    """What our process printed, with the names of the processes that it knows by number."""
    answer = convert(told, parse_answer)
    if isinstance(answer, Known):
        return _with_names(machine, answer.value)
    return Nvml(answer, answer, answer, answer, answer)


def parse_answer(result: CommandResult) -> Nvml:
    """What our own process printed.

    Raw line: `{"schema": 1, "init": {"value": null}, "driver_version": {"value": "570.169"}, "devices": []}`.

    Raises:
        ValueError: it died before it could print, or printed something else.
    """
    report = read_report(result, library="the library")
    try:
        return _parse_report(report)
    except (AttributeError, IndexError, KeyError, TypeError) as problem:
        raise ValueError(f"not in the expected form: {problem}") from problem


def _parse_report(report: dict[str, Any]) -> Nvml:
    hanging = read_hanging(report, "NVML")
    init = report.get("init")
    if not isinstance(init, dict):
        return Nvml(Unreadable("NVML", "nvmlInit does not return"), hanging)
    if "code" in init:
        problem = f"nvmlInit; {str(report['loader'])[:300]}" if report.get("loader") else "nvmlInit"
        error = Known(find_nvml_error(int(init["code"])), problem)
        return Nvml(error, hanging)
    devices = report.get("devices", [])
    return Nvml(
        error=Absent("nvmlInit"),
        hangs_in=hanging,
        driver_version=read_answer(report, "driver_version", _driver_version),
        cuda_version=read_answer(report, "cuda_version", lambda value: (value // 1000, value % 1000 // 10)),
        cards=Known(tuple(_card(device) for device in devices), "NVML"),
    )


def _with_names(machine: Machine, nvml: Nvml) -> Nvml:
    """NVML knows processes by number only; their names are in /proc."""
    if not isinstance(nvml.cards, Known):
        return nvml
    cards = []
    for card in nvml.cards.value:
        if isinstance(card.processes, Known):
            named = tuple(replace(p, name=_name(machine, p.process_id)) for p in card.processes.value)
            cards.append(replace(card, processes=Known(named, card.processes.source)))
        else:
            cards.append(card)
    return replace(nvml, cards=Known(tuple(cards), nvml.cards.source))


def _name(machine: Machine, process_id: int) -> str:
    """What the kernel calls a process; empty for one of another process namespace."""
    name = machine.read_text(f"/proc/{process_id}/comm", limit_bytes=4096)
    return name.value.strip() if isinstance(name, Known) else ""


def spoken_lines(nvml: Nvml) -> Lines:
    """NVML's errors as nvidia-smi words them, so that what is known of its output holds for a live driver."""
    texts = []
    if isinstance(nvml.error, Known):
        texts.append(f"Failed to initialize NVML: {nvml.error.value.words}")
    for card in nvml.cards.value if isinstance(nvml.cards, Known) else ():
        if isinstance(card.trouble, Known):
            address = (
                card.bus_address.value if isinstance(card.bus_address, Known) else f"number {card.index}"
            )
            words = card.trouble.value.words
            texts.append(f"Unable to determine the device handle for GPU {address}: {words}")
    return Lines(tuple(Line(number, text, "NVML") for number, text in enumerate(texts, start=1)))


def read_reasons(bits: int) -> tuple[str, ...]:
    """NVML's reasons in words.

    Raw value: 0x44, power limit and hardware thermal slowdown.
    """
    return tuple(words for bit, words in _REASONS if bits & bit)


def _card(device: dict[str, Any]) -> Card:
    return Card(
        index=int(device["index"]),
        trouble=_trouble(device),
        name=read_answer(device, "name", str),
        bus_address=read_answer(device, "bus_address", str),
        compute_capability=read_answer(
            device, "compute_capability", lambda value: (int(value[0]), int(value[1]))
        ),
        memory=read_answer(device, "memory", lambda value: GpuMemory(*(int(part) for part in value))),
        temperature_c=read_answer(device, "temperature_c", int),
        power_mw=read_answer(device, "power_mw", int),
        power_limit_mw=read_answer(device, "power_limit_mw", int),
        power_default_mw=read_answer(device, "power_default_mw", int),
        clock_mhz=read_answer(device, "clock_mhz", int),
        clock_most_mhz=read_answer(device, "clock_most_mhz", int),
        clock_reasons=read_answer(device, "clock_reasons", lambda value: read_reasons(int(value))),
        uncorrected_errors=read_answer(device, "uncorrected_errors", int),
        uncorrected_errors_ever=read_answer(device, "uncorrected_errors_ever", int),
        remapped_rows=read_answer(device, "remapped_rows", lambda value: tuple(int(part) for part in value)),
        link_generation=read_answer(device, "link_generation", int),
        link_generation_most=read_answer(device, "link_generation_most", int),
        link_width_lanes=read_answer(device, "link_width_lanes", int),
        link_width_most_lanes=read_answer(device, "link_width_most_lanes", int),
        compute_mode=read_answer(device, "compute_mode", int),
        mig_mode=read_answer(device, "mig_mode", lambda value: tuple(int(part) for part in value)),
        persistence_mode=read_answer(device, "persistence_mode", int),
        processes=_processes(device),
    )


def _trouble(device: dict[str, Any]) -> Reading[NvmlError]:
    """The handle's error, or that of a card that was lost while it was asked."""
    answers = [answer for answer in device.values() if isinstance(answer, dict) and "code" in answer]
    handle = device.get("handle")
    grave = [find_nvml_error(int(answer["code"])) for answer in answers]
    lost = [error for error in grave if error.name in ("ERROR_GPU_IS_LOST", "ERROR_RESET_REQUIRED")]
    if isinstance(handle, dict) and "code" in handle:
        return Known(find_nvml_error(int(handle["code"])), "nvmlDeviceGetHandleByIndex")
    if lost:
        return Known(lost[0], "NVML")
    return Absent("NVML")


def read_answer(answers: dict[str, Any], key: str, parse: Callable[[Any], T]) -> Reading[T]:
    """One answer: a value, a question that this card does not support (absent), or an error."""
    answer = answers.get(key)
    if not isinstance(answer, dict):
        return Unreadable(f"NVML {key}", "NVML did not come so far")
    if "code" in answer:
        error = find_nvml_error(int(answer["code"]))
        if error.code == NOT_SUPPORTED:
            return Absent(f"NVML {key}")
        return Unreadable(f"NVML {key}", error.words)
    try:
        return Known(parse(answer["value"]), f"NVML {key}")
    except (TypeError, ValueError, IndexError, KeyError) as problem:
        return Unreadable(f"NVML {key}", f"not in the expected form: {problem}")


def _driver_version(text: object) -> DriverVersion:
    version = find_driver_version(str(text))
    if version is None:
        raise ValueError(f"{str(text)[:40]!r} is no version")
    return version


def _processes(device: dict[str, Any]) -> Reading[tuple[GpuProcess, ...]]:
    """Compute and graphics processes together; one that is both counts as compute."""
    compute = read_answer(device, "compute_processes", lambda rows: _rows(rows, is_graphics=False))
    graphics = read_answer(device, "graphics_processes", lambda rows: _rows(rows, is_graphics=True))
    if not isinstance(compute, Known):
        return compute
    seen = {process.process_id for process in compute.value}
    others = graphics.value if isinstance(graphics, Known) else ()
    more = tuple(process for process in others if process.process_id not in seen)
    return Known((*compute.value, *more), compute.source)


def _rows(rows: list[list[int | None]], *, is_graphics: bool) -> tuple[GpuProcess, ...]:
    result = []
    for process_id, used in rows:
        known: Reading[int] = Absent("NVML") if used is None else Known(int(used), "NVML")
        result.append(GpuProcess(int(process_id or 0), known, is_graphics))
    return tuple(result)
