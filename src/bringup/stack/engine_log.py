"""What an engine's own log says: devices, layers on the GPU, context, threads, and how far the start came.

One reader for the eras of llama.cpp (2023 to 2026) and for ollama, which wraps it. A figure that no line
says is `None`; the last line that says a figure wins, because a log may hold several starts.
"""

from __future__ import annotations

import re
from enum import IntEnum
from typing import Final

from bringup.reading import NOT_LOOKED, Known, Reading
from bringup.records import dataclass
from bringup.stack.lines import Lines
from bringup.units import parse_whole

MIB: Final = 1024**2
_UNITS: Final = {"B": 1, "KiB": 1024, "MiB": MIB, "GiB": 1024**3, "TiB": 1024**4}


class Phase(IntEnum):
    """Steps of a start, in their order; `SERVING` is a model that is loaded and answers."""

    FILE = 1
    WEIGHTS = 2
    CONTEXT = 3
    COMPUTE = 4
    SERVING = 5


_PHASE_ANCHORS: Final = {
    Phase.FILE: (
        "llama_model_loader:",
        "llm_load_print_meta",
        "print_info:",
        "llama.cpp: loading model from",
    ),
    Phase.WEIGHTS: ("load_tensors:", "model buffer size", "llama_model_load_internal: mem required"),
    Phase.CONTEXT: ("llama_new_context_with_model:", "llama_context:", "kv_cache", "kv buffer size"),
    Phase.COMPUTE: ("compute buffer size", "sched_reserve:", "graph splits"),
    Phase.SERVING: (
        "server is listening on",
        "http server listening",
        "all slots are idle",
        "initializing, n_slots",
        "initializing slots, n_slots",
        "main: model loaded",
        "llama_server: model loaded",
        "llama runner started in",
        "prompt eval time",
        "print_timing",
    ),
}


@dataclass(frozen=True, slots=True)
class LogDevice:
    """A device that the engine names: `free_bytes` is what was free before the model was loaded."""

    name: str
    description: str
    total_bytes: int | None
    free_bytes: int | None
    line: int


@dataclass(frozen=True, slots=True)
class Offload:
    """Layers of the model on the GPU, of all layers (the output layer counts as one)."""

    layers: int
    total: int
    line: int


@dataclass(frozen=True, slots=True)
class EngineLog:
    """Figures of an engine's log; `None` and empty tuples where no line says it.

    `compute_capabilities` are of the cards that CUDA found, times ten (86 for 8.6); `cuda_archs` are those
    that the build was compiled for, times a hundred as llama.cpp prints them (860 for 8.6).
    """

    builds: tuple[int, ...] = ()
    backends: tuple[str, ...] = ()
    devices: tuple[LogDevice, ...] = ()
    compute_capabilities: tuple[int, ...] = ()
    cuda_archs: tuple[int, ...] = ()
    offload: Offload | None = None
    asked_gpu_layers: str | None = None
    asked_n_ctx: int | None = None
    asked_n_parallel: int | None = None
    asked_threads: int | None = None
    n_ctx: int | None = None
    n_ctx_slot: int | None = None
    n_ctx_train: int | None = None
    n_slots: int | None = None
    kv_unified: bool | None = None
    n_threads: int | None = None
    n_cpus: int | None = None
    phases: tuple[tuple[Phase, int], ...] = ()

    @property
    def gpu_devices(self) -> tuple[LogDevice, ...]:
        """Devices that are no CPU and no BLAS library."""
        return tuple(d for d in self.devices if not re.match(r"(?i)CPU|BLAS|RPC|ACCEL", d.name))

    @property
    def has_cuda(self) -> bool:
        """Whether the engine's CUDA backend was alive."""
        names = {*self.backends, *(d.name for d in self.devices)}
        return bool(self.compute_capabilities) or any(re.match(r"(?i)cuda", name) for name in names)

    @property
    def phase(self) -> Phase | None:
        """The phase whose line stands last."""
        return max(self.phases, key=lambda pair: (pair[1], pair[0]))[0] if self.phases else None

    def last_line_of(self, phase: Phase) -> int:
        """Number of the last line of a phase; 0 when there is none."""
        return dict(self.phases).get(phase, 0)


def read_engine_log(lines: Lines) -> Reading[EngineLog]:
    """The figures of an engine's log; not looked at where no line is of an engine."""
    command = _command_figures(lines)
    log = EngineLog(
        builds=_build_numbers(lines),
        backends=tuple(dict.fromkeys(_all(lines, r"loaded (\w+) backend from", "backend from"))),
        devices=_devices(lines),
        compute_capabilities=_capabilities(lines),
        cuda_archs=_archs(lines),
        offload=_offload(lines),
        asked_gpu_layers=command.get("layers"),
        asked_n_ctx=_number(command.get("context")),
        asked_n_parallel=_number(command.get("parallel")),
        asked_threads=_number(command.get("threads")),
        n_ctx=_last(lines, r"\bn_ctx\s*= (\d+)", "n_ctx"),
        n_ctx_slot=_last(lines, r"n_ctx_(?:slot|seq|per_seq|pre_seq)\s*(?:= |\()(\d+)", "n_ctx_"),
        n_ctx_train=_last(lines, r"n_ctx_train\s*(?:= |\()(\d+)", "n_ctx_train"),
        n_slots=_last(lines, r"\bn_(?:slots|parallel)\s*= (\d+)", "n_"),
        kv_unified=_unified(lines),
        n_threads=_last(lines, r"\bn_threads\s*[=:] (\d+)", "n_threads"),
        n_cpus=_last(lines, r"n_threads = \d+ .*?/ (\d+) \|", "n_threads")
        or _last(lines, r"total_threads[\"=: ]+(\d+)", "total_threads"),
        phases=_phases(lines),
    )
    return Known(log, "engine log") if log != EngineLog() else NOT_LOOKED


def parse_size(text: str) -> int:
    """Bytes of a size as ollama prints it: `28.9 GiB`.

    Raises:
        ValueError: not a number and a unit.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?) (B|[KMGT]iB)", text.strip())
    if match is None:
        raise ValueError(f"expected a size like '28.9 GiB', found {text!r}")
    return int(float(match[1]) * _UNITS[match[2]])


def _number(text: str | None) -> int | None:
    return parse_whole(text) if text is not None else None


def _all(lines: Lines, pattern: str, anchor: str) -> list[str]:
    found = (re.search(pattern, line.text) for line in lines.with_anchor(anchor))
    return [match[1] for match in found if match is not None]


def _last(lines: Lines, pattern: str, anchor: str) -> int | None:
    hit = lines.last(pattern, anchor=anchor)
    return int(hit[1][1]) if hit is not None else None


def _build_numbers(lines: Lines) -> tuple[int, ...]:
    """Numbers of the builds named, in order.

    `build: 5518 (26b79b6c)`, `main: build = 3618 (3ba780e2)`, `version: 4017 (9830b692)`,
    `build_info: b9049-2496f9c14`.
    """
    numbers = _all(lines, r"\b(?:build|version)(?: =|:) (\d{1,6}) \([0-9a-f]{6,}", "(")
    numbers += _all(lines, r"build_info: b(\d{1,6})", "build_info")
    return tuple(int(number) for number in numbers)


def _devices(lines: Lines) -> tuple[LogDevice, ...]:
    found = _plain_devices(lines) + _ollama_devices(lines)
    return tuple(sorted(found, key=lambda device: device.line))


def _plain_devices(lines: Lines) -> list[LogDevice]:
    """Devices of llama.cpp.

    `- CUDA0 : NVIDIA GeForce RTX 4060 (8150 MiB, 7043 MiB free)` (2026),
    `using device CUDA0 (NVIDIA GeForce RTX 3090) - 23306 MiB free` (2024, 2025).
    """
    result = []
    totals = dict(
        enumerate(_all(lines, r"compute capability [\d.]+,.*VRAM: (\d+) MiB", "compute capability"))
    )
    for line in lines.with_anchor("mib free"):
        new = re.search(r"- (\S+)\s*: (.+?)\s*\((\d+) MiB, (\d+) MiB free\)", line.text)
        if new is not None:
            total, free = int(new[3]) * MIB, int(new[4]) * MIB
            result.append(LogDevice(new[1], new[2], total, free, line.number))
            continue
        old = re.search(r"using device (\S*?)(\d*) \((.+)\) - (\d+) MiB free", line.text)
        if old is not None:
            of_card = totals.get(int(old[2] or 0)) if old[1] == "CUDA" else None
            total_bytes = int(of_card) * MIB if of_card else None
            result.append(LogDevice(old[1] + old[2], old[3], total_bytes, int(old[4]) * MIB, line.number))
    for line in lines.with_anchor("ggml_vulkan: "):
        vulkan = re.search(r"ggml_vulkan: (\d+) = (.+?)(?: \||$)", line.text)
        if vulkan is not None:
            result.append(LogDevice("Vulkan" + vulkan[1], vulkan[2], None, None, line.number))
    return result


def _ollama_devices(lines: Lines) -> list[LogDevice]:
    """Devices of ollama.

    `msg="inference compute" library=cuda name="NVIDIA A6000" total="48.0 GiB" available="28.9 GiB"`.
    """
    result = []
    for line in lines.with_anchor('"inference compute"'):
        said = dict(re.findall(r'(?<!\w)(\w{1,40})=("[^"]*"|\S+)', line.text))
        name = (said.get("description") or said.get("name") or "").strip('"')
        sizes = [said.get(key, "").strip('"') for key in ("total", "available")]
        try:
            total, free = (parse_size(size) for size in sizes)
        except ValueError:
            continue
        result.append(LogDevice(said.get("library", "").strip('"'), name, total, free, line.number))
    return result


def _capabilities(lines: Lines) -> tuple[int, ...]:
    """`Device 0: NVIDIA GeForce 940MX, compute capability 5.0, VMM: yes`."""
    found = _all(lines, r"Device \d+: .*, compute capability (\d+\.\d)", "compute capability")
    return tuple(int(text.replace(".", "")) for text in found)


def _archs(lines: Lines) -> tuple[int, ...]:
    """`CUDA : ARCHS = 750,800,860,890,1200 | USE_GRAPHS = 1`, ollama `CUDA.0.ARCHS=500,600`."""
    found = _all(lines, r"ARCHS ?= ?([\d,]+)", "archs")
    return tuple(int(arch) for arch in found[-1].split(",") if arch) if found else ()


def _offload(lines: Lines) -> Offload | None:
    """`offloaded 5/37 layers to GPU`, ollama `layers.model=25 layers.offload=0`, also wrapped there."""
    hit = lines.last(r"offloaded (\d+)/(\d+) layers to GPU", anchor="layers to gpu")
    if hit is not None:
        return Offload(int(hit[1][1]), int(hit[1][2]), hit[0].number)
    on_gpu = lines.last(r"layers\.offload=(\d+)", anchor="layers.offload=")
    total = lines.last(r"layers\.model=(\d+)", anchor="layers.model=")
    if on_gpu is None or total is None or not 0 <= on_gpu[0].number - total[0].number <= 1:
        return None
    return Offload(int(on_gpu[1][1]), int(total[1][1]), on_gpu[0].number)


def _unified(lines: Lines) -> bool | None:
    hit = lines.last(r"kv_unified\s*= '?(true|false)'?", anchor="kv_unified")
    return hit[1][1] == "true" if hit is not None else None


_OPTIONS: Final = {
    "layers": r"(?:-ngl|--n-gpu-layers|--gpu-layers|n_gpu_layers)[ =]{1,3}(-?\d+|all|auto)\b",
    "context": r"(?:\s-c|--ctx-size|--ctx_size)[ =](\d+)\b",
    "parallel": r"(?:\s-np|--parallel)[ =](\d+)\b",
    "threads": r"(?:\s-t|--threads)[ =](\d+)\b",
}


def _command_figures(lines: Lines) -> dict[str, str]:
    """What the command line of the engine asked for, by option."""
    result: dict[str, str] = {}
    for line, folded in zip(lines.lines, lines.folded, strict=True):
        if (
            "llama" not in folded
            and ".gguf" not in folded
            and "--model" not in folded
            and "--ctx" not in folded
        ):
            continue
        if " -" not in folded and "n_gpu_layers" not in folded:
            continue
        for name, pattern in _OPTIONS.items():
            match = re.search(pattern, line.text)
            if match is not None:
                result[name] = match[1]
    return result


def _phases(lines: Lines) -> tuple[tuple[Phase, int], ...]:
    """Each phase with the number of its last line."""
    result = []
    for phase, anchors in _PHASE_ANCHORS.items():
        numbers = [hit[-1].number for anchor in anchors if (hit := lines.with_anchor(anchor))]
        if numbers:
            result.append((phase, max(numbers)))
    return tuple(result)
