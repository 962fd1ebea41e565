"""Skeletons of all families that the engine loads, and what it printed; `every_family.json` says how."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cache
from math import prod
from pathlib import Path
from typing import Any

from tests.model.writing import STRING, Array, Pair, TensorSpec, build

from bringup.model.gguf import read_header
from bringup.model.quants import TensorType
from bringup.model.shards import assemble
from bringup.model.source import BufferSource
from bringup.model.values import ValueType
from bringup.plan.anatomy import Anatomy, take_apart

RECORD: dict[str, Any] = json.loads((Path(__file__).parent / "every_family.json").read_text())

MODELS: Mapping[str, Mapping[str, Any]] = RECORD["models"]

SETTINGS: Mapping[str, Mapping[str, Any]] = RECORD["settings"]


@cache
def skeleton(name: str) -> bytes:
    """The header of a file of this model."""
    return bytes(build(list(_pairs(name)), list(_tensors(name)), with_weights=False).data)


@cache
def family_anatomy(name: str) -> Anatomy:
    """The same, taken apart."""
    data = skeleton(name)
    size_bytes = len(data) + sum(-(-one.size_bytes // 32) * 32 for one in _tensors(name))
    header = read_header(BufferSource(data, name=f"{name}.gguf", size_bytes=size_bytes))
    return take_apart(assemble((header,)))


def _pairs(name: str) -> Iterator[Pair]:
    model = MODELS[name]
    yield ("general.architecture", STRING, model["family"])
    common = {key: value for key, value in RECORD["common_keys"].items() if key not in model["without"]}
    for suffix, (kind, *rest) in {**common, **model["keys"]}.items():
        value = Array(ValueType(rest[0]), rest[1]) if ValueType(kind) is ValueType.ARRAY else rest[0]
        yield (f"{model['family']}.{suffix}", ValueType(kind), value)
    yield ("tokenizer.ggml.model", STRING, "no_vocab")


def _tensors(name: str) -> Iterator[TensorSpec]:
    model = MODELS[name]
    for number in model["whole"]:
        yield _tensor("", RECORD["tensors"][number])
    for index, pattern in enumerate(model["layers"]):
        for number in RECORD["patterns"][pattern]:
            yield _tensor(f"blk.{index}.", RECORD["tensors"][number])


def _tensor(prefix: str, text: str) -> TensorSpec:
    """`attn_q.weight 2048x2048`, with `:F16` behind it where the type is not the usual one."""
    name, _, rest = text.rpartition(" ")
    sizes, _, kind = rest.partition(":")
    shape = tuple(int(size) for size in sizes.split("x"))
    is_matrix = len(shape) > 1 and shape[0] % 32 == 0 and prod(shape) > 0
    usual = TensorType.Q8_0 if is_matrix else TensorType.F32
    return TensorSpec(prefix + name, shape, TensorType[kind] if kind else usual)
