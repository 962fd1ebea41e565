"""llama.cpp's own dry run: it builds model and graph, reads no weights, and says what it would allocate.

The embedded engine does so in its fit step, before it loads; its child is ended once the figures are there.
An external build has `llama-fit-params` beside its server for that. Both get a copy of the model that has the
header and holes where the weights would be.
Source: llama.cpp b11434, `common/fit.cpp`, `tools/fit-params/fit-params.cpp`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Final

from bringup.engine.build import EngineBuild, embedded_argv
from bringup.errors import EngineError
from bringup.machine import files, paths
from bringup.machine.child import BoundChild, wait_readable
from bringup.machine.clock import monotonic_s
from bringup.machine.commands import run_bounded
from bringup.machine.scratch import scratch_folder, write_with_zeros
from bringup.plan.differences import Measured, device_of, mib
from bringup.plan.memory_plan import MemoryPlan
from bringup.plan.request import CPU
from bringup.records import dataclass, replace
from bringup.units import GIB, MIB

FIT_PROGRAM: Final = "llama-fit-params"
_TIMEOUT_S: Final = 60.0
_OUTPUT_LIMIT_BYTES: Final = 64 * MIB
_DATA_LIMIT_BYTES: Final = 6 * GIB
"""Private memory of the child: header, vocabulary and graph; a start of real loading would run into it."""
_LAST_WORDS: Final = 3

_CACHE: Final = re.compile(r"llama_kv_cache\w*: size = +([\d.]+) MiB")
_STATE: Final = re.compile(
    r"llama_(?:memory_recurrent: size =|dsv4_comp_state: .* layers = \d+, size =) +([\d.]+) MiB"
)
_NEXT_CACHE: Final = re.compile(r"creating (?P<kind>.*) KV cache")
_COMPUTE: Final = re.compile(r"sched_reserve: +(\S+) compute buffer size = +([\d.]+) MiB")
_OUTPUT: Final = re.compile(r"llama_context: +(\S+) +output buffer size = +([\d.]+) MiB")
_BREAKDOWN: Final = re.compile(
    r"\|   - (?P<device>[^\s|]+)[^|]*\|.*?= +(?P<model>\d+) \+ +(?P<context>\d+) \+ +(?P<compute>\d+)"
)
_TELLING: Final = ("llama", "sched_reserve", "common_", "KV cache", "memory data for")
_END: Final = re.compile(r"common_(?:params_fit_impl: projected to use|fit_params: (?:successfully|failed))")
_ERROR: Final = re.compile(r"error|failed|GGML_ASSERT|terminate called")
_TABLE_ROW: Final = re.compile(r"^(\S+) (\d+) (\d+) (\d+) *$", re.MULTILINE)
_EXTRA: Final = "memory data for the extra model"
"""Behind this line of the log come the figures of what drafts."""
_HUNDREDTH: Final = MIB // 100 + 1


@dataclass(frozen=True, slots=True)
class HeaderCopy:
    """One file of a model without its weights.

    Attributes:
        name: file name; those of a split model say which part they are.
        head: bytes up to the data section.
        size_bytes: size of the whole file.
    """

    name: str
    head: bytes
    size_bytes: int


@dataclass(frozen=True, slots=True)
class DraftCopy:
    """A drafting model beside it: its files, how many tokens it drafts at once, the types of its cache."""

    copies: tuple[HeaderCopy, ...]
    n_max: int
    cache_type_k: str = "f16"
    cache_type_v: str = "f16"


@dataclass(frozen=True, slots=True)
class DryRun:
    """What an engine says that it would allocate; `has_cards` where it counted on cards too."""

    measured: tuple[Measured, ...]
    has_cards: bool


def dry_run(
    plan: MemoryPlan,
    copies: Sequence[HeaderCopy],
    build: EngineBuild,
    *,
    scratch: str,
    environment: dict[str, str],
    draft: DraftCopy | None = None,
) -> DryRun:
    """Ask an engine what a plan would take.

    Args:
        plan: settings and placement.
        copies: all files of the model, in order.
        build: the engine.
        scratch: a folder of ours for the copies; nothing stays there.
        environment: of the child, whole.
        draft: what drafts for it; the embedded engine alone counts it too.

    Raises:
        EngineError: it says no figures; its last words are in the context.
        FileTrouble: the copies cannot be written.
    """
    with scratch_folder(scratch, "dry-run") as folder:
        written = [_write(folder, copy) for copy in copies]
        surroundings = {**environment, "GGML_NO_BACKTRACE": "1"}
        if build.is_external:
            return _ask_program(plan, written[0], build, surroundings)
        return _ask_embedded(_values(plan, written[0], folder, draft), build, surroundings)


def _write(folder: str, copy: HeaderCopy) -> str:
    path = paths.join(folder, paths.basename(copy.name))
    write_with_zeros(path, copy.head, max(0, copy.size_bytes - len(copy.head)))
    return path


def _values(plan: MemoryPlan, model: str, folder: str, draft: DraftCopy | None) -> dict[str, object]:
    """Parameters of the embedded engine, with what drafts written into the folder."""
    request = plan.request
    values: dict[str, object] = {
        "model.path": model,
        "port": 0,
        "n_ctx": plan.run.n_ctx,
        "n_batch": request.n_batch,
        "n_ubatch": request.n_ubatch,
        "n_parallel": request.n_parallel,
        "kv_unified": request.is_unified,
        "swa_full": request.has_full_swa,
        "no_extra_bufts": True,
        "flash_attn_type": "on" if plan.run.flash_attention else "off",
        "cache_type_k": plan.run.type_k,
        "cache_type_v": plan.run.type_v,
        "cpuparams.n_threads": 1,
        "warmup": False,
        "verbosity": 5,
    }
    if draft is not None:
        files.make_private_folder(paths.join(folder, "draft"))
        written = [_write(paths.join(folder, "draft"), copy) for copy in draft.copies]
        values |= {
            "speculative.draft.mparams.path": written[0],
            "speculative.types": ["DRAFT_SIMPLE"],
            "speculative.draft.n_max": draft.n_max,
            "speculative.draft.cache_type_k": draft.cache_type_k,
            "speculative.draft.cache_type_v": draft.cache_type_v,
        }
    return values


def _ask_embedded(values: dict[str, object], build: EngineBuild, environment: dict[str, str]) -> DryRun:
    child = BoundChild(
        embedded_argv(build),
        environment=environment,
        stdin=json.dumps(values).encode(),
        data_limit_bytes=_DATA_LIMIT_BYTES,
    )
    try:
        lines = _read_until_figures(child, _TIMEOUT_S)
    finally:
        child.kill_group()
        while child.poll() is None:
            wait_readable((child.output,), 0.01)
    measured = parse_log(lines)
    if not any(one.name == "compute" for one in measured):
        raise _no_figures("the embedded engine", lines)
    return DryRun(measured, any(one.device not in ("", CPU) for one in measured))


def _read_until_figures(child: BoundChild, timeout_s: float) -> list[str]:
    """Lines of the log up to the end of its fit step."""
    end_s = monotonic_s() + timeout_s
    lines: list[str] = []
    rest, taken = b"", 0
    while monotonic_s() < end_s and taken < _OUTPUT_LIMIT_BYTES:
        wait_readable((child.output,), max(0.0, end_s - monotonic_s()))
        data = child.read_output()
        if data is None:
            break
        taken += len(data)
        *whole, rest = (rest + data).split(b"\n")
        for raw in whole:
            line = raw.decode("utf-8", "replace")
            if any(word in line for word in _TELLING) or _ERROR.search(line):
                lines.append(line)
            if _END.search(line):
                return lines
    return lines


def parse_log(lines: Sequence[str]) -> tuple[Measured, ...]:
    """Figures of the fit step, e.g. `sched_reserve:  CPU compute buffer size =   104.40 MiB`.

    Those of a drafting model are named as its parts: `draft_compute`.
    """
    behind = next((place for place, line in enumerate(lines) if _EXTRA in line), len(lines))
    drafting = (replace(one, name=f"draft_{one.name}") for one in _figures(lines[behind:]))
    return (*_figures(lines[:behind]), *drafting)


def _figures(lines: Sequence[str]) -> tuple[Measured, ...]:
    cache = "kv_cache"
    found: list[Measured] = []
    for line in lines:
        if match := _NEXT_CACHE.search(line):
            cache = _cache_name(match["kind"])
        elif match := _CACHE.search(line):
            found.append(Measured(cache, "", mib(float(match[1])), _HUNDREDTH))
        elif match := _STATE.search(line):
            found.append(Measured("recurrent_state", "", mib(float(match[1])), _HUNDREDTH))
        elif match := _COMPUTE.search(line):
            found.append(Measured("compute", device_of(match[1]), mib(float(match[2])), _HUNDREDTH))
        elif match := _OUTPUT.search(line):
            found.append(Measured("output", "", mib(float(match[2])), _HUNDREDTH))
        elif match := _BREAKDOWN.search(line):
            found.append(Measured("weights", device_of(match["device"]), mib(float(match["model"])), MIB))
    return _merged(found)


def _cache_name(kind: str) -> str:
    """Name of the part that a cache is, by what the engine says before it makes it."""
    if "indexer" in kind or "compressed" in kind:
        return "kv_cache_index"
    is_sliding = "SWA" in kind and "non-SWA" not in kind
    return "kv_cache_swa" if is_sliding else "kv_cache"


def _merged(found: Sequence[Measured]) -> tuple[Measured, ...]:
    """Buffers of one kind on one device as one figure: `CPU` and `CUDA_Host` are both main memory."""
    sums: dict[tuple[str, str], Measured] = {}
    for one in found:
        before = sums.get((one.name, one.device))
        size = one.bytes + (before.bytes if before else 0)
        step = one.step_bytes + (before.step_bytes if before else 0)
        sums[one.name, one.device] = Measured(one.name, one.device, size, step)
    return tuple(sums.values())


def _fit_program(build: EngineBuild) -> str:
    return paths.join(paths.dirname(build.path), FIT_PROGRAM)


def _ask_program(plan: MemoryPlan, model: str, build: EngineBuild, environment: dict[str, str]) -> DryRun:
    argv = (_fit_program(build), *fit_arguments(plan, model))
    text = run_bounded(argv, environment=environment, timeout_s=_TIMEOUT_S)
    measured = parse_table(text or "")
    if not measured:
        raise _no_figures(FIT_PROGRAM, (text or "").splitlines())
    return DryRun(measured, any(one.device != CPU for one in measured))


def fit_arguments(plan: MemoryPlan, model: str) -> tuple[str, ...]:
    """Arguments of `llama-fit-params` for a plan, after the program's name."""
    request, placement = plan.request, plan.placement
    words = ["--model", model, "--ctx-size", str(plan.run.n_ctx), "--parallel", str(request.n_parallel)]
    words += ["--batch-size", str(request.n_batch), "--ubatch-size", str(request.n_ubatch)]
    words += ["--n-gpu-layers", str(plan.n_gpu_layers)]
    words += ["--cache-type-k", plan.run.type_k, "--cache-type-v", plan.run.type_v]
    words += ["--flash-attn", "on" if plan.run.flash_attention else "off"]
    words += ["--device", ",".join(placement.cards) or "none"]
    if plan.n_cpu_moe:
        words += ["--n-cpu-moe", str(plan.n_cpu_moe)]
    for pattern, device in request.overrides:
        words += ["--override-tensor", f"{pattern}={device}"]
    if request.tensor_split:
        words += ["--tensor-split", ",".join(f"{share:g}" for share in request.tensor_split)]
    words += ["--kv-unified"] if request.is_unified else []
    words += ["--swa-full"] if request.has_full_swa else []
    return (*words, "--no-repack", "--fit-print", "on")


def parse_table(text: str) -> tuple[Measured, ...]:
    """Figures of `llama-fit-params`: a row is device, model, context, compute in MiB, `Host 586 0 263`."""
    found: list[Measured] = []
    for row in _TABLE_ROW.finditer(text):
        device = device_of(row[1])
        for name, figure in zip(("weights", "context", "compute"), row.groups()[1:], strict=True):
            found.append(Measured(name, device, mib(int(figure)), MIB))
    return tuple(found)


def _no_figures(who: str, lines: Sequence[str]) -> EngineError:
    said = [line.strip() for line in lines if _ERROR.search(line)][-_LAST_WORDS:]
    return EngineError(
        f"the dry run of {who} gave no figures",
        context=tuple(said),
        hint="The plan stands on its formulas; leave out --check.",
        reference="dry-run-failed",
    )
