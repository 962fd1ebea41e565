"""Models in several files."""

from __future__ import annotations

import pytest
from tests.model.writing import STRING, Pair, TensorSpec, build

from bringup.errors import ModelFileError
from bringup.model.gguf import read_header
from bringup.model.shards import assemble, shard_names
from bringup.model.source import BufferSource
from bringup.model.values import ValueType


def test_names_of_all_parts_are_known_from_any_of_them() -> None:
    names = tuple(f"/m/x-{n:05d}-of-00003.gguf" for n in (1, 2, 3))
    assert all(shard_names(name) == names for name in names)


@pytest.mark.parametrize(
    "name",
    ["x.gguf", "x-1-of-3.gguf", "x-00004-of-00003.gguf", "x-00000-of-00003.gguf", "x-00001-of-99999.gguf"],
)
def test_any_other_name_stands_for_itself(name: str) -> None:
    assert shard_names(name) == (name,)


def part(number: int, count: int, tensors: list[str], total: int = 3) -> bytes:
    pairs: list[Pair] = [
        ("general.architecture", STRING, "llama"),
        ("split.no", ValueType.UINT16, number),
        ("split.count", ValueType.UINT16, count),
        ("split.tensors.count", ValueType.INT32, total),
    ]
    return bytes(build(pairs, [TensorSpec(name, (32,)) for name in tensors]).data)


def read(*parts: bytes) -> int:
    sources = (BufferSource(data, name=f"x-{n:05d}.gguf") for n, data in enumerate(parts))
    model = assemble(tuple(map(read_header, sources)))
    assert model.file_size_bytes == sum(map(len, parts))
    assert [tensor.name for tensor in model.tensors] == ["a", "b", "c"]
    return model.weights_bytes


def test_the_parts_are_one_model() -> None:
    assert read(part(0, 2, ["a", "b"]), part(1, 2, ["c"])) == 3 * 32 * 4
    assert read(part(0, 2, []), part(1, 2, ["a", "b", "c"])) == 3 * 32 * 4


@pytest.mark.parametrize(
    ("parts", "reference", "says"),
    [
        ([part(0, 2, ["a", "b", "c"])], "missing-shard", "part 1 of a model in 2 files, and 1 were found"),
        ([part(0, 2, ["a"]), part(0, 2, ["b", "c"])], "wrong-shard", "not part 2 of 2"),
        ([part(1, 2, ["a"]), part(0, 2, ["b", "c"])], "wrong-shard", "not part 1 of 2"),
        ([part(0, 2, ["a"]), part(1, 3, ["b", "c"])], "wrong-shard", "not part 2 of 2"),
        ([part(0, 2, ["a", "b"]), part(1, 2, ["b"])], "wrong-shard", "an earlier part has too"),
        ([part(0, 2, ["a", "b"]), part(1, 2, [])], "wrong-shard", "2 tensors in all parts, 3 are promised"),
    ],
)
def test_parts_that_do_not_belong_together_are_told(parts: list[bytes], reference: str, says: str) -> None:
    with pytest.raises(ModelFileError) as told:
        read(*parts)
    assert told.value.reference == reference
    assert says in told.value.message
