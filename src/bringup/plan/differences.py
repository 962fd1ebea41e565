"""A plan held against the engine's dry run or start of it; what was found corrects the next plan."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from bringup.plan.memory_plan import MemoryPlan
from bringup.plan.plan import Part
from bringup.plan.request import CPU
from bringup.reading import parse_json
from bringup.records import dataclass, replace
from bringup.units import MIB

_SCHEMA: Final = 1
_CORRECTED: Final = frozenset({"kv_cache", "kv_cache_swa", "kv_cache_index", "recurrent_state", "compute"})
"""Parts that a formula may get wrong; weights are counted from the file itself."""

_LEAST_SHARE: Final = 0.25
_MOST_SHARE: Final = 4.0
"""A factor beyond these is no correction but another thing that was measured: it is shown and not applied."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One buffer that an engine says it would allocate.

    Attributes:
        name: as the part of a plan: `weights`, `kv_cache`, `kv_cache_swa`, `recurrent_state`, `compute`,
            `output`; `context` for caches and state of a device in one figure.
        device: `CPU` for all of main memory; empty for all devices together.
        bytes: its size.
        step_bytes: the figure is printed in steps of this.
    """

    name: str
    device: str
    bytes: int
    step_bytes: int


@dataclass(frozen=True, slots=True)
class Difference:
    """One part: what was planned and what the engine says."""

    name: str
    device: str
    planned_bytes: int
    engine_bytes: int
    step_bytes: int = 1

    @property
    def is_same(self) -> bool:
        """Whether they agree within the engine's rounding."""
        return abs(self.planned_bytes - self.engine_bytes) <= self.step_bytes

    @property
    def factor(self) -> float:
        """Engine's figure over ours; 1 where they agree or one of them is nothing."""
        if self.is_same or not self.planned_bytes or not self.engine_bytes:
            return 1.0
        return self.engine_bytes / self.planned_bytes


@dataclass(frozen=True, slots=True)
class Differences:
    """What an engine said about a plan.

    Attributes:
        engine: the build that was asked.
        has_cards: it counted on cards too; else it checked the same run in main memory.
        rows: part by part.
        was_run: it was started with the plan; else it was only asked.
    """

    engine: str
    has_cards: bool
    rows: tuple[Difference, ...]
    was_run: bool = False

    @property
    def is_confirmed(self) -> bool:
        """Whether every figure agrees."""
        return all(row.is_same for row in self.rows)

    def factor(self, name: str, device: str) -> float:
        """What a part of a plan is to be multiplied with."""
        rows = [row for row in self.rows if row.name == name]
        found = [row for row in rows if row.device in ("", device)] or rows
        factor = found[0].factor if found else 1.0
        return factor if _LEAST_SHARE <= factor <= _MOST_SHARE else 1.0


def compare(
    plan: MemoryPlan, measured: tuple[Measured, ...], *, engine: str, has_cards: bool, was_run: bool = False
) -> Differences:
    """Each figure of the engine beside that of the plan."""
    rows = (
        Difference(one.name, one.device, _planned(plan, one), one.bytes, one.step_bytes) for one in measured
    )
    return Differences(engine, has_cards, tuple(rows), was_run)


def _planned(plan: MemoryPlan, one: Measured) -> int:
    names = (
        ("kv_cache", "kv_cache_swa", "kv_cache_index", "recurrent_state")
        if one.name == "context"
        else (one.name,)
    )
    return sum(plan.part_bytes(name, one.device or None) for name in names)


def corrected(plan: MemoryPlan, differences: Differences) -> MemoryPlan:
    """The plan with its caches and compute buffers as the engine counts them."""
    return replace(plan, parts=tuple(_corrected_parts(plan, differences)))


def _corrected_parts(plan: MemoryPlan, differences: Differences) -> Iterator[Part]:
    how = "a start" if differences.was_run else "the dry run"
    for part in plan.parts:
        factor = differences.factor(part.name, part.device) if part.name in _CORRECTED else 1.0
        if factor == 1.0:
            yield part
            continue
        yield replace(
            part,
            bytes=round(part.bytes * factor),
            formula=f"({part.formula}) x {factor:.4g}",
            source=f"{part.source}; corrected by {how} of {differences.engine}",
        )


def to_json(differences: Differences) -> str:
    """For the cache."""
    rows = [
        {
            "name": row.name,
            "device": row.device,
            "planned_bytes": row.planned_bytes,
            "engine_bytes": row.engine_bytes,
            "step_bytes": row.step_bytes,
        }
        for row in differences.rows
    ]
    return json.dumps(
        {
            "schema": _SCHEMA,
            "engine": differences.engine,
            "has_cards": differences.has_cards,
            "rows": rows,
            "was_run": differences.was_run,
        }
    )


def from_json(text: str) -> Differences | None:
    """From the cache; `None` for anything that is not what `to_json` writes."""
    try:
        record: Mapping[str, Any] = parse_json(text)
        if record["schema"] != _SCHEMA:
            return None
        rows = tuple(
            Difference(
                str(row["name"]),
                str(row["device"]),
                int(row["planned_bytes"]),
                int(row["engine_bytes"]),
                int(row["step_bytes"]),
            )
            for row in record["rows"]
        )
        return Differences(
            str(record["engine"]), bool(record["has_cards"]), rows, record.get("was_run") is True
        )
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def device_of(buffer: str) -> str:
    """Device of a buffer by the engine's name of it: host buffers of every kind lie in main memory."""
    if buffer in ("CPU", "Host") or buffer.startswith("CPU_") or buffer.endswith("_Host"):
        return CPU
    return buffer


def mib(figure: float) -> int:
    """Bytes of a printed figure in MiB."""
    return round(figure * MIB)
