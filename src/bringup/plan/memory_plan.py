"""A memory plan: settings, placement, and every byte on every device."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from bringup.plan.place import Placement
from bringup.plan.plan import CacheTypes, Part, Residence
from bringup.plan.request import CPU, Device, Request
from bringup.plan.run import Run
from bringup.records import dataclass

_NOT_OURS: Final = frozenset({"margin", "other_programs"})


@dataclass(frozen=True, slots=True)
class MemoryPlan:
    """Where a model lies with given settings and what it costs there.

    Attributes:
        request: what was asked for, every choice filled in.
        run: sizes that follow from it.
        placement: device of each layer and tensor.
        devices: cards in order, main memory last.
        parts: every share of the memory; totals are sums of parts.
        n_ctx_train: the longest context that the model was trained for, in tokens.
        notes: what the user should know of, one sentence each.
        reasons: why each choice was made, one sentence each.
        has_to_ask: fused attention is planned where the engine, left to choose, goes without it.
    """

    request: Request
    run: Run
    placement: Placement
    devices: tuple[Device, ...]
    parts: tuple[Part, ...]
    n_ctx_train: int | None
    notes: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    has_to_ask: bool = False

    @property
    def n_gpu_layers(self) -> int:
        """Layers on cards, the output layer counted as one."""
        return self.placement.n_layers_on_cards

    @property
    def n_cpu_moe(self) -> int:
        """So many first layers keep their experts in main memory."""
        return self.placement.n_cpu_moe

    @property
    def cache_types(self) -> CacheTypes:
        """Element types of the KV cache."""
        return CacheTypes(self.run.type_k, self.run.type_v)

    @property
    def cache_ram_bytes(self) -> int:
        """Bound of the engine's prompt cache in main memory."""
        return sum(part.bytes for part in self.parts if part.name == "prompt_cache")

    def used_bytes(self, device: str) -> int:
        """What the engine takes on a device."""
        return sum(part.bytes for part in self.parts if part.device == device and part.name not in _NOT_OURS)

    def needed_bytes(self, device: str) -> int:
        """What the engine takes and the margin beside it."""
        margin = sum(part.bytes for part in self.parts if part.device == device and part.name == "margin")
        return self.used_bytes(device) + margin

    def missing_bytes(self, device: str) -> int:
        """What a device has too little of; 0 where it fits."""
        free = next((one.free_bytes for one in self.devices if one.name == device), 0)
        return max(0, self.needed_bytes(device) - free)

    @property
    def missing(self) -> Mapping[str, int]:
        """Bytes that are missing, by device; empty where all fits."""
        lacking = {device.name: self.missing_bytes(device.name) for device in self.devices}
        return {name: size for name, size in lacking.items() if size}

    @property
    def fits(self) -> bool:
        """Whether every device has room for its parts and its margin."""
        return not self.missing

    def part_bytes(self, name: str, device: str | None = None) -> int:
        """Sum of the parts of one name, on one device or on all."""
        return sum(part.bytes for part in self.parts if part.name == name and device in (None, part.device))

    @property
    def private_bytes(self) -> int:
        """Private main memory of the engine's process: what a limit on it has to leave."""
        return sum(
            part.bytes
            for part in self.parts
            if part.device == CPU and part.residence is Residence.ANONYMOUS and part.name not in _NOT_OURS
        )
