"""Figures of the real small model, as they reach the plan."""

from __future__ import annotations

from pathlib import Path

from bringup.model.shards import Model, read_split
from bringup.model.source import StreamSource
from bringup.plan.kv_cache import LayerCache
from bringup.plan.needs import needs_of
from bringup.plan.simple import PlanRequest, plan_run
from bringup.units import GIB, MIB


def read(path: Path) -> Model:
    with path.open("rb") as handle:
        source = StreamSource(handle, size_bytes=path.stat().st_size, name=str(path))
        return read_split((path.name,), lambda _: source)


def test_the_small_model(small_model: Path) -> None:
    """The engine prints 92.10 MiB of weights and 180.00 MiB of KV cache at 8,192 tokens for it."""
    needs = needs_of(read(small_model))
    assert needs.layers == (LayerCache(192, 192),) * 30
    assert round(needs.weights_bytes / MIB, 2) == 92.10
    assert needs.n_ctx_train == 8192
    assert needs.is_cache_known
    plan = plan_run(needs, available_bytes=16 * GIB, request=PlanRequest())
    assert plan.part_bytes("kv_cache") == 180 * MIB
    assert plan.part_bytes("compute") >= 22.64 * MIB
