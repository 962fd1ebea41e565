"""What the user should know of a plan, one sentence each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bringup.model import families
from bringup.plan.anatomy import Anatomy
from bringup.plan.kv_cache import pad_cells
from bringup.plan.parts import usual_margin_bytes
from bringup.plan.request import CPU, DeviceKind, Request
from bringup.plan.sparse import is_estimated
from bringup.units import MIB

if TYPE_CHECKING:
    from bringup.plan.memory_plan import MemoryPlan


def notes_of(anatomy: Anatomy, request: Request, plan: MemoryPlan) -> tuple[str, ...]:
    """Notes on a plan; `request` is what the user wrote, before any choice was filled in."""
    found = [
        _beyond_training(anatomy, plan),
        _padded(request, plan),
        _too_little_free(plan),
        _tight(plan),
        _unknown(anatomy),
        _sparse(anatomy),
        _rough(anatomy),
        _estimated(plan),
        _reordered(plan),
        _kept_apart(anatomy, plan),
        _drafting(anatomy, plan),
        _quantised_values(request, plan),
    ]
    return tuple(note for note in found if note is not None)


def _beyond_training(anatomy: Anatomy, plan: MemoryPlan) -> str | None:
    trained = plan.n_ctx_train
    if not trained or plan.run.n_ctx_seq <= pad_cells(trained):
        return None
    return (
        f"{plan.run.n_ctx_seq:,} tokens a slot are more than the {trained:,} that the model was trained for. "
        f"Expect nonsense beyond them, {_stretched(anatomy, plan.run.n_ctx_seq / trained, trained)}"
    )


def _stretched(anatomy: Anatomy, factor: float, trained: int) -> str:
    """What rope scaling would need; a file that stretches its positions already is stretched further."""
    own = anatomy.architecture.rope_scaling
    if own is not None and own.kind not in ("yarn", "linear"):
        return f"and no flag helps: its own rope scaling ({own.kind}) has its factors in the file."
    kind, options = "yarn", f"--rope-scale {factor:.4g} --yarn-orig-ctx {trained}"
    if own is not None:
        kind, options = own.kind, f"--rope-scale {factor * own.factor:.4g}"
        if own.n_ctx_original:
            options += f" --yarn-orig-ctx {own.n_ctx_original}"
    return (
        f"unless rope scaling is set: --rope-scaling {kind} {options}. It costs some quality at every length."
    )


def _padded(request: Request, plan: MemoryPlan) -> str | None:
    if not request.n_ctx or plan.run.n_ctx == request.n_ctx:
        return None
    slots = f" for {plan.run.n_seq} slots" if plan.run.n_seq > 1 else ""
    return (
        f"The engine rounds the window up from {request.n_ctx:,} to {plan.run.n_ctx:,} tokens{slots}: "
        "it works in blocks of 256."
    )


def _too_little_free(plan: MemoryPlan) -> str | None:
    for device in plan.devices:
        used = plan.used_bytes(device.name)
        if device.name == CPU or not used or device.free_bytes >= used:
            continue
        held = max(0, device.total_bytes - device.free_bytes)
        if used <= device.total_bytes:
            return (
                f"{device.name} has {device.free_bytes // MIB:,} MiB free, {used // MIB:,} MiB are needed: "
                f"other programs hold {held // MIB:,} MiB of it."
            )
    return None


def _tight(plan: MemoryPlan) -> str | None:
    """Of a plan that fits with less left on a card than usual."""
    if not plan.fits or plan.request.margin_bytes is None:
        return None
    left = {
        device.name: device.free_bytes - plan.used_bytes(device.name)
        for device in plan.devices
        if device.name != CPU and plan.used_bytes(device.name)
    }
    usual = {device.name: usual_margin_bytes(device) for device in plan.devices}
    tight = [name for name, size in left.items() if size < usual[name]]
    if not tight:
        return None
    name = min(tight, key=lambda one: left[one])
    return (
        f"It is tight: {name} has {left[name] / MIB:,.0f} MiB left, {usual[name] / MIB:,.0f} are usual. "
        "Kernels that a first long prompt loads take some 100 MiB, and a desktop that grows may end it."
    )


def _unknown(anatomy: Anatomy) -> str | None:
    figures = anatomy.architecture
    if not figures.is_known:
        return (
            f"The architecture {figures.name!r} is not known here: weights are exact, the cache is counted "
            "as a plain one, the compute buffers are a guess. Of 128 known families with a cache 83 would be "
            "exact so, none more than half too small, those with recurrent states many times too large; "
            "of 140 compute buffers 123 would be within a quarter. The engine's own dry run decides: --check."
        )
    if not figures.is_cache_known:
        return (
            f"{figures.name!r} keeps further caches that are not counted here (those of an encoder, or of "
            "the model that it drafts for): weights are exact, the cache is a lower bound. "
            "The engine's own dry run has them: --check."
        )
    return None


def _sparse(anatomy: Anatomy) -> str | None:
    if not is_estimated(anatomy):
        return None
    return (
        "What this family computes is estimated in part, not laid out: the compute buffer can be off by a "
        "quarter on one card, by half on several. "
        "The engine's own dry run has it: --check."
    )


def _rough(anatomy: Anatomy) -> str | None:
    if is_estimated(anatomy) or anatomy.architecture.name not in families.ROUGH_COMPUTE:
        return None
    return (
        "Of this family a compute buffer was off by more than a quarter, held against the engine in eight "
        "settings. The engine's own dry run has it: --check."
    )


def _estimated(plan: MemoryPlan) -> str | None:
    if any(part.name == "compute" and "an estimate from above" in part.formula for part in plan.parts):
        return (
            "The layers have other tensors than their family: the compute buffers are an estimate. "
            "The engine's own dry run decides: --check."
        )
    return None


_REORDERED: Final = {
    DeviceKind.VULKAN: (
        "Vulkan's backend",
        "of 26 buffers in logs half were within 3 % of what is planned, the furthest was 14 % larger",
    ),
    DeviceKind.METAL: (
        "Apple's backend",
        "of 9 buffers in logs seven were within 2 % of what is planned, the furthest was 13 % larger",
    ),
}
"""Backends that put the nodes of a graph into another order, and what that was worth (`docs/memory.md`)."""


def _reordered(plan: MemoryPlan) -> str | None:
    kinds = {device.kind for device in plan.devices if plan.used_bytes(device.name)}
    found = next((words for kind, words in _REORDERED.items() if kind in kinds), None)
    if found is None:
        return None
    backend, measured = found
    return (
        f"{backend} computes in an order of its own, which is not followed for compute buffers: {measured}."
    )


def _kept_apart(anatomy: Anatomy, plan: MemoryPlan) -> str | None:
    figures = anatomy.architecture
    if plan.request.offloads_cache or figures.recurrent is None or not plan.placement.n_layers_on_cards:
        return None
    return (
        "With recurrent states in main memory (--no-kv-offload) and layers on a card, compute buffers of "
        "some families were up to 45 % larger than planned. The engine's own dry run has them: --check."
    )


def _drafting(anatomy: Anatomy, plan: MemoryPlan) -> str | None:
    count = anatomy.architecture.n_layer_nextn
    if not count or any(part.name == "draft_weights" for part in plan.parts):
        return None
    return (
        f"The file has {count} drafting layer(s), which the engine loads only to draft: not counted here. "
        "--spec-type draft-mtp counts what they take."
    )


def _quantised_values(request: Request, plan: MemoryPlan) -> str | None:
    if request.flash_attention is False and plan.run.type_v not in ("f32", "f16", "bf16"):
        return f"Values of type {plan.run.type_v} need flash attention: the engine refuses them without."
    return None
