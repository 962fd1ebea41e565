"""The llama-server command of a plan, and which of its settings were the user's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bringup.actions.planning.report import Choice
from bringup.actions.planning.start import Planning
from bringup.engine.command import EngineSettings, FlashAttention, plan_arguments
from bringup.plan.memory_plan import MemoryPlan
from bringup.plan.request import Request, SplitMode
from bringup.records import replace
from bringup.units import MIB

if TYPE_CHECKING:
    from bringup.actions.planning.place import Place


def settings_of(
    plan: MemoryPlan, asked: Request, place: Place, *, model_path: str, alias: str, port: int
) -> EngineSettings:
    """Settings that carry out a plan; the caller adds what it does not say (host, key, page).

    Args:
        plan: what was chosen.
        asked: what the user said; what the engine would do by itself is not told to it.
        place: an engine that may see a card has to be told how many layers go there, also none.
        model_path: first file of the model.
        alias: its name in the API.
        port: TCP port.
    """
    has_card = bool(place.cards) or place.is_card_hidden
    names = [card.name for card in place.cards]
    used = plan.placement.cards
    is_alone = len(used) == 1 and len(names) > 1
    request = plan.request
    flash = {None: FlashAttention.AUTO, True: FlashAttention.ON, False: FlashAttention.OFF}
    return EngineSettings(
        model_path=model_path,
        alias=alias,
        port=port,
        n_ctx=plan.run.n_ctx,
        n_parallel=plan.run.n_seq,
        n_threads=request.n_threads,
        n_batch=request.n_batch if request.n_batch != Request().n_batch else None,
        n_ubatch=request.n_ubatch or 512,
        n_gpu_layers=plan.n_gpu_layers if has_card else None,
        n_cpu_moe=plan.n_cpu_moe or None,
        overrides=request.overrides,
        tensor_split=request.tensor_split,
        split_mode="none" if is_alone else _mode(request),
        main_gpu=names.index(used[0]) if is_alone else None,
        cache_type_k=plan.cache_types.k,
        cache_type_v=plan.cache_types.v,
        flash_attention=FlashAttention.ON if plan.has_to_ask else flash[asked.flash_attention],
        kv_unified=request.is_unified,
        swa_full=request.has_full_swa,
        kv_offload=request.offloads_cache,
        op_offload=request.offloads_ops,
        is_mapped=request.is_mapped,
        cache_ram_mib=plan.cache_ram_bytes // MIB,
    )


def _mode(request: Request) -> str | None:
    return None if request.split_mode is SplitMode.LAYER else request.split_mode.value


def command_of(planning: Planning, plan: MemoryPlan, split_mode: str | None) -> tuple[str, ...]:
    """Arguments of llama-server that carry out a plan, without the model.

    Args:
        planning: what it was made from.
        plan: the plan.
        split_mode: as the user gave it.
    """
    place = planning.place
    settings = settings_of(plan, planning.request, place, model_path="", alias="model", port=0)
    if split_mode == "layer" and settings.split_mode is None:
        settings = replace(settings, split_mode=split_mode)
    words = plan_arguments(settings)
    if place.is_this_machine or planning.has_threads:
        return words
    at = words.index("--threads")  # nobody knows the processor of a described machine
    return words[:at] + words[at + 2 :]


def choices_of(planning: Planning, arguments: tuple[str, ...]) -> tuple[Choice, ...]:
    """Each setting of the command, and whether the user said it."""
    request = planning.request
    plain = Request()
    given = {
        "--ctx-size": request.n_ctx is not None,
        "--parallel": request.n_parallel != plain.n_parallel,
        "--batch-size": request.n_batch != plain.n_batch,
        "--ubatch-size": request.n_ubatch is not None,
        "--gpu-layers": request.n_gpu_layers is not None,
        "--n-cpu-moe": request.n_cpu_moe is not None,
        "--cache-type-k": request.cache_type_k is not None,
        "--cache-type-v": request.cache_type_v is not None,
        "--flash-attn": request.flash_attention is not None,
        "--cache-ram": request.cache_ram_bytes is not None,
        "--threads": planning.has_threads,
        "--tensor-split": bool(request.tensor_split),
        "--split-mode": request.cards is not None or request.split_mode is not SplitMode.LAYER,
        "--main-gpu": request.cards is not None,
    }
    found = []
    words = list(arguments)
    while words:
        option = words.pop(0)
        value = words.pop(0) if words and not words[0].startswith("--") else ""
        found.append(Choice(option, value, given.get(option, True)))
    return tuple(found)
