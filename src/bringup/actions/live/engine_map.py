"""An engine's memory layer by layer, as planned, to be laid over what is measured of it.

What it was started with stands in the journal (for an engine of ours) or in its command line. Where neither
says how many layers lie on the cards, that number is taken which comes nearest to what the engine's log says.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from bringup.actions.live.sample import LiveCard, LiveEngine, Use
from bringup.actions.live.worked_out import WorkedOut
from bringup.machine.folders import Folders, our_folders
from bringup.machine.protocol import Machine
from bringup.plan.anatomy import Anatomy, take_apart
from bringup.plan.layer_map import LayerShare, map_layers
from bringup.plan.memory import Planner
from bringup.plan.memory_plan import MemoryPlan
from bringup.plan.plan import Part
from bringup.plan.request import CPU, Device, DeviceKind, Request
from bringup.reading import NOT_LOOKED, Known, Reading
from bringup.records import dataclass, replace
from bringup.stack.engine_buffers import BufferUse
from bringup.stack.engines import option, without_secrets
from bringup.store.header import load_model
from bringup.units import KIB, parse_whole

if TYPE_CHECKING:
    from bringup.journal.store import Journal

_RUNS_SEARCHED: Final = 200
_COMMAND_LIMIT_BYTES: Final = 64 * KIB
_ROOMY_BYTES: Final = 2**60
"""Main memory of the arithmetic: whether it fits is no question of an engine that runs."""


@dataclass(frozen=True, slots=True)
class EngineMap:
    """An engine's memory as planned.

    Attributes:
        layers: every layer's share of every device, see `map_layers`.
        parts: the plan's parts that are the engine's own, margins left out.
        cards: the cards' names in the plan, with the numbers that the driver gives them.
        n_ctx: tokens of all slots together.
        told_by: what the settings were taken from, in words.
    """

    layers: tuple[LayerShare, ...]
    parts: tuple[Part, ...]
    cards: tuple[tuple[str, int], ...]
    n_ctx: int
    told_by: str

    def planned_bytes(self, device: str, *names: str) -> int:
        """Sum of the parts of these names on a device."""
        return sum(part.bytes for part in self.parts if part.device == device and part.name in names)

    @property
    def devices(self) -> tuple[str, ...]:
        """Cards in order, main memory last."""
        found = dict.fromkeys(part.device for part in self.parts if part.bytes)
        return tuple(sorted(found, key=lambda name: (name == CPU, name)))


@dataclass(frozen=True, slots=True)
class Compared:
    """One use of a device by an engine, planned and measured.

    Attributes:
        name: weights, KV cache, compute, overhead, or all of it.
        planned_bytes: what the plan says.
        measured_bytes: what was seen; `None` where nobody tells.
        measured_by: who says so.
    """

    name: str
    planned_bytes: int
    measured_bytes: int | None
    measured_by: str


_GROUPS: Final = (
    ("weights", ("weights",), (BufferUse.WEIGHTS,), (Use.WEIGHTS,)),
    (
        "KV cache",
        ("kv_cache", "kv_cache_swa", "kv_cache_index", "recurrent_state"),
        (BufferUse.KV_CACHE, BufferUse.STATE),
        (Use.KV_FILLED, Use.KV_RESERVED),
    ),
    ("compute", ("compute", "output"), (BufferUse.COMPUTE, BufferUse.OUTPUT), (Use.COMPUTE,)),
    ("overhead", ("overhead",), (), (Use.OVERHEAD,)),
)
"""Of each group: its name, the plan's parts, the log's buffers, the shares of a card."""


def compare(found: EngineMap, engine: LiveEngine, device: str, card: LiveCard | None) -> tuple[Compared, ...]:
    """Plan and measurement of an engine on a device, use by use, the whole last; pure.

    Args:
        found: the plan.
        engine: the engine.
        device: as the plan calls it.
        card: the card that this is; `None` for main memory.
    """
    rows = [_of_card(found, engine, device, card) if card is not None else _of_main(found, engine, device)]
    planned = sum(part.bytes for part in found.parts if part.device == device)
    if card is None:
        held = engine.resident_bytes
        whole = held.value if isinstance(held, Known) else None
        return (
            *rows[0],
            Compared("all of it", planned, whole, "VmRSS in /proc: what of it is in memory now"),
        )
    mine = [share for share in card.shares if share.process_id == engine.process_id]
    return (*rows[0], Compared("all of it", planned, sum(share.size_bytes for share in mine) or None, "NVML"))


def _of_card(found: EngineMap, engine: LiveEngine, device: str, card: LiveCard) -> list[Compared]:
    rows = []
    for name, parts, _, uses in _GROUPS:
        shares = [one for one in card.shares if one.process_id == engine.process_id and one.use in uses]
        is_told = bool(shares) and not any(share.is_estimate for share in shares)
        measured = sum(share.size_bytes for share in shares) if is_told else None
        by = "NVML, less all that is told" if name == "overhead" else "the engine's log"
        rows.append(Compared(name, found.planned_bytes(device, *parts), measured, by if is_told else ""))
    return rows


def _of_main(found: EngineMap, engine: LiveEngine, device: str) -> list[Compared]:
    told = engine.memory.value if isinstance(engine.memory, Known) else None
    buffers = told.buffers if told is not None and not told.is_estimate else ()
    rows = []
    for name, parts, uses, _ in _GROUPS:
        mine = [one.size_bytes for one in buffers if one.use in uses and not one.is_on_card]
        by = "the engine's log" if mine else ""
        rows.append(Compared(name, found.planned_bytes(device, *parts), sum(mine) if mine else None, by))
    return rows


def draw_map(
    anatomy: Anatomy, engine: LiveEngine, cards: Sequence[LiveCard], request: Request, told_by: str
) -> EngineMap:
    """The map of an engine that runs; pure.

    Args:
        anatomy: its model.
        engine: what is seen of it.
        cards: all cards of the machine.
        request: what it was started with; open choices are filled in from what is seen.
        told_by: what that was taken from.
    """
    plan, numbers = plan_running(anatomy, engine, cards, request)
    left_out = ("margin", "other_programs", "prompt_cache", "checkpoints")
    parts = tuple(part for part in plan.parts if part.name not in left_out)
    return EngineMap(map_layers(anatomy, plan), parts, numbers, plan.run.n_ctx, told_by)


def plan_running(
    anatomy: Anatomy, engine: LiveEngine, cards: Sequence[LiveCard], request: Request
) -> tuple[MemoryPlan, tuple[tuple[str, int], ...]]:
    """The plan of an engine that runs, and its cards' names in the plan with the driver's numbers; pure."""
    slots = engine.slots.value if isinstance(engine.slots, Known) else ()
    request = replace(
        request,
        n_ctx=request.n_ctx or sum(slot.n_ctx for slot in slots) or engine.window_tokens,
        n_parallel=len(slots) or request.n_parallel,
    )
    measured = _measured_weights(engine)
    on = _cards_of(engine, cards)
    names = sorted(measured) if len(measured) == len(on) else [f"CUDA{at}" for at in range(len(on))]
    main = Device(CPU, DeviceKind.CPU, _ROOMY_BYTES, _ROOMY_BYTES)
    devices = (
        *(Device(name, DeviceKind.CUDA, total, total) for name, (_, total) in zip(names, on, strict=True)),
        main,
    )
    planner = Planner(anatomy, devices)
    if len(measured) > 1 and not request.tensor_split:
        shares = tuple(float(measured.get(device.name, 0)) for device in devices if device.name != CPU)
        request = replace(request, tensor_split=shares)
    if request.n_gpu_layers is None and measured:
        request = replace(request, n_gpu_layers=_nearest(planner, request, sum(measured.values())))
    numbers = tuple((name, index) for name, (index, _) in zip(names, on, strict=True))
    return planner.plan(request), numbers


def _cards_of(engine: LiveEngine, cards: Sequence[LiveCard]) -> list[tuple[int, int]]:
    """Number and whole memory of each card that it is on, by the driver's word."""
    on: list[tuple[int, int]] = []
    for live in cards:
        holders = live.card.processes.value if isinstance(live.card.processes, Known) else ()
        is_on = any(holder.process_id == engine.process_id for holder in holders)
        if is_on and isinstance(live.card.memory, Known):
            on.append((live.card.index, live.card.memory.value.total_bytes))
    return on


def _measured_weights(engine: LiveEngine) -> dict[str, int]:
    if not isinstance(engine.memory, Known) or engine.memory.value.is_estimate:
        return {}
    buffers = engine.memory.value.buffers
    return {one.device: one.size_bytes for one in buffers if one.use is BufferUse.WEIGHTS and one.is_on_card}


def _nearest(planner: Planner, request: Request, wanted_bytes: int) -> int:
    """So many layers on the cards that their weights come nearest to what is measured there."""
    n_most = len(planner.anatomy.layers) + 1

    def on_cards(n_layers: int) -> int:
        plan = planner.plan(replace(request, n_gpu_layers=n_layers))
        return sum(part.bytes for part in plan.parts if part.name == "weights" and part.device != CPU)

    low, high = 0, n_most
    while low < high:  # more layers never take less room
        middle = (low + high) // 2
        low, high = (middle + 1, high) if on_cards(middle) < wanted_bytes else (low, middle)
    return min((max(0, low - 1), low), key=lambda count: abs(on_cards(count) - wanted_bytes))


def request_of_command(command: tuple[str, ...]) -> Request:
    """What a command line of llama-server asks for; what it does not say, or not as a number, stays open."""

    def number(*names: str) -> int | None:
        return parse_whole(option(command, *names))

    split = option(command, "-ts", "--tensor-split").replace("/", ",")
    return Request(
        n_ctx=number("-c", "--ctx-size"),
        n_parallel=number("-np", "--parallel") or 1,
        n_ubatch=number("-ub", "--ubatch-size"),
        n_threads=number("-t", "--threads") or 0,
        n_gpu_layers=number("-ngl", "--gpu-layers", "--n-gpu-layers"),
        n_cpu_moe=number("-ncmoe", "--n-cpu-moe"),
        overrides=_rules(option(command, "-ot", "--override-tensor")),
        tensor_split=_shares(split.split(",")),
        cache_type_k=option(command, "-ctk", "--cache-type-k") or None,
        cache_type_v=option(command, "-ctv", "--cache-type-v") or None,
        flash_attention=False if option(command, "-fa", "--flash-attn") == "off" else None,
        is_unified="--kv-unified" in command or "-kvu" in command,
        has_full_swa="--swa-full" in command,
        offloads_cache="--no-kv-offload" not in command and "-nkvo" not in command,
        is_mapped="--no-mmap" not in command and option(command, "--load-mode") in ("", "mmap"),
    )


def _rules(text: str) -> tuple[tuple[str, str], ...]:
    pairs = (rule.rpartition("=") for rule in text.split(",") if rule)
    return tuple((pattern, device) for pattern, mark, device in pairs if mark)


def _shares(words: Iterable[object]) -> tuple[float, ...]:
    try:
        return tuple(float(str(word)) for word in words if str(word).strip())
    except ValueError:
        return ()


def request_of_settings(settings: Mapping[str, Any]) -> Request:
    """What the journal says that an engine of ours was started with."""

    def number(name: str) -> int | None:
        value = settings.get(name)
        return value if type(value) is int else None

    return Request(
        n_ctx=number("n_ctx"),
        n_parallel=number("n_parallel") or 1,
        n_ubatch=number("n_ubatch"),
        n_threads=number("n_threads") or 0,
        n_gpu_layers=number("n_gpu_layers"),
        n_cpu_moe=number("n_cpu_moe"),
        overrides=tuple((str(pattern), str(device)) for pattern, device in settings.get("overrides") or ()),
        tensor_split=_shares(settings.get("tensor_split") or ()),
        cache_type_k=settings.get("cache_type_k"),
        cache_type_v=settings.get("cache_type_v"),
        flash_attention=False if settings.get("flash_attention") == "off" else None,
        is_unified=settings.get("kv_unified") is True,
        has_full_swa=settings.get("swa_full") is True,
        offloads_cache=settings.get("kv_offload") is not False,
        is_mapped=settings.get("is_mapped") is not False,
    )


class EngineMaps:
    """The maps of the engines that run, each worked out once, in a thread of its own."""

    def __init__(self, machine: Machine, folders: Folders | None) -> None:
        """Looks at nothing yet; `folders` are ours, `None` for a machine that is not this one."""
        self._machine = machine
        self._folders = folders
        self._maps: WorkedOut[EngineMap] = WorkedOut("its model and its settings")

    def of(self, engine: LiveEngine, cards: Sequence[LiveCard]) -> Reading[EngineMap]:
        """An engine's map; not looked at until it is ready to be shown. Returns at once."""
        if self._folders is None or not engine.model_path or engine.window_tokens is None:
            return NOT_LOOKED
        n_slots = len(engine.slots.value) if isinstance(engine.slots, Known) else 0
        is_told = isinstance(engine.memory, Known)
        key = (engine.process_id, engine.model_path, engine.window_tokens, n_slots, len(cards), is_told)
        return self._maps.of(key, lambda: self._drawn(engine, cards))

    def _drawn(self, engine: LiveEngine, cards: Sequence[LiveCard]) -> EngineMap:
        model = load_model(engine.model_path, folders=self._folders)
        request, told_by = settings_of(engine, self._machine, self._folders)
        return draw_map(take_apart(model), engine, cards, request, told_by)


def settings_of(engine: LiveEngine, machine: Machine, folders: Folders | None) -> tuple[Request, str]:
    """What an engine was started with, and what that was taken from."""
    from bringup.actions.journal.reading import with_journal_if_it_can_be_read

    told = None
    if engine.is_ours and folders is not None:
        told, _ = with_journal_if_it_can_be_read(
            folders, lambda journal: _last_settings(journal, engine.port)
        )
    if told:
        return request_of_settings(told), "the settings that the journal has of its start"
    path = f"/proc/{engine.process_id}/cmdline"
    raw = machine.read_text(path, limit_bytes=_COMMAND_LIMIT_BYTES)
    command = tuple(raw.value.rstrip("\x00").split("\x00")) if isinstance(raw, Known) else ()
    words = "its command line" if command else "llama.cpp's own choices: its settings cannot be seen"
    return request_of_command(without_secrets(command)), words


def open_maps(*, is_live: bool) -> EngineMaps:
    """The maps of this machine's engines; of another machine there are none to look into."""
    from bringup.machine.live import LiveMachine

    return EngineMaps(LiveMachine(), our_folders() if is_live else None)


def _last_settings(journal: Journal, port: int | None) -> Mapping[str, Any] | None:
    from bringup.journal.entry import Kind

    for entry in reversed(journal.entries(kinds=(Kind.RUN,), last=_RUNS_SEARCHED)):
        settings = entry.data.get("settings") or {}
        if entry.data.get("phase") == "started" and settings.get("port") == port:
            return dict(settings)
    return None
