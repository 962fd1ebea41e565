"""Sparse attention: the keys of its indexers are a cache of their own (DeepSeek 3.2, GLM 5)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tests.model.writing import U32
from tests.plan.full_size import Shape, header_bytes
from tests.plan.layer_shapes import Shapes, deepseek_layer
from tests.plan.models import anatomy_of
from tests.plan.shapes import SHAPES

from bringup.actions.planning.referee import check_plan
from bringup.engine.find import find_embedded
from bringup.machine.folders import Folders
from bringup.model.gguf import read_header
from bringup.model.shards import assemble
from bringup.model.source import BufferSource
from bringup.plan.memory import plan_memory
from bringup.plan.request import Device, DeviceKind, Request
from bringup.units import GIB, MIB

MAIN = Device("CPU", DeviceKind.CPU, 4096 * GIB, 4000 * GIB)


def indexed_layer(index: int) -> Shapes:
    indexer: Shapes = {
        "indexer.k_norm.weight": (128,),
        "indexer.k_norm.bias": (128,),
        "indexer.proj.weight": (7168, 64),
        "indexer.attn_k.weight": (7168, 128),
        "indexer.attn_q_b.weight": (1536, 64 * 128),
    }
    return deepseek_layer(index, n_head=128, is_lite=False, is_absorbed=True) | indexer


def indexed(family: str) -> Shape:
    plain = SHAPES["DeepSeek-V3"]
    keys = {"head_count": 64, "key_length": 128, "top_k": 2048}
    told = {f"attention.indexer.{name}": (U32, value) for name, value in keys.items()}
    return replace(plain, family=family, layer=indexed_layer, keys={**plain.keys, **told})


@pytest.mark.parametrize("family", ["deepseek32", "glm-dsa"])
def test_the_engine_confirms_the_cache_of_the_indexers(family: str, tmp_path: Path) -> None:
    data, size_bytes = header_bytes(indexed(family))
    model = assemble((read_header(BufferSource(data, name=f"{family}.gguf", size_bytes=size_bytes)),))
    plan = plan_memory(anatomy_of(indexed(family)), Request(n_ctx=8192), (MAIN,))
    build = find_embedded()
    assert build is not None
    folders = Folders(*(str(tmp_path / name) for name in ("configuration", "cache", "state")))
    told = check_plan(plan, model, build, read_head=lambda _: data, folders=folders)
    rows = {row.name: row for row in told.rows}
    assert rows["kv_cache"].is_same and rows["kv_cache_index"].is_same
    assert rows["kv_cache_index"].planned_bytes == 61 * 8192 * 128 * 2
    assert rows["compute"].planned_bytes == pytest.approx(rows["compute"].engine_bytes, rel=0.001)
    assert not any("indexer" in note for note in plan.notes)


def test_a_plain_family_has_no_indexer() -> None:
    plan = plan_memory(anatomy_of(SHAPES["DeepSeek-V3"]), Request(n_ctx=8192), (MAIN,))
    assert plan.part_bytes("kv_cache_index") == 0
    assert not any("indexer" in note for note in plan.notes)


def test_indexers_lie_where_their_layers_do() -> None:
    card = Device("CUDA0", DeviceKind.CUDA, 4096 * GIB, 4096 * GIB)
    plan = plan_memory(anatomy_of(indexed("deepseek32")), Request(n_ctx=8192, n_gpu_layers=31), (card, MAIN))
    assert plan.part_bytes("kv_cache_index", "CUDA0") == 30 * 2 * MIB
    assert plan.part_bytes("kv_cache_index", "CPU") == 31 * 2 * MIB
