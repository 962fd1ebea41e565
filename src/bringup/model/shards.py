"""Models in one file or in several (`name-00001-of-00003.gguf`), read as one."""

from __future__ import annotations

import re
from typing import Final

from bringup.errors import ModelFileError
from bringup.model.architecture import Architecture, read_architecture
from bringup.model.gguf import GgufHeader, Tensor
from bringup.model.values import Metadata
from bringup.patterns import regex
from bringup.records import dataclass

SHARDS_LIMIT: Final = 1000
_SHARD: Final = regex(r"(?P<stem>.+)-(?P<number>\d{5})-of-(?P<count>\d{5})\.gguf", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Model:
    """A whole model: the headers of all its files, the first one first."""

    headers: tuple[GgufHeader, ...]

    @property
    def header(self) -> GgufHeader:
        """Header of the first file; its metadata are those of the model."""
        return self.headers[0]

    @property
    def name(self) -> str:
        """Path, URL or label of the first file."""
        return self.header.name

    @property
    def metadata(self) -> Metadata:
        """Metadata of the model."""
        return self.header.metadata

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """Tensors of all files."""
        return tuple(tensor for header in self.headers for tensor in header.tensors)

    @property
    def weights_bytes(self) -> int:
        """Bytes of all tensors, without padding."""
        return sum(tensor.size_bytes for header in self.headers for tensor in header.tensors)

    @property
    def file_size_bytes(self) -> int:
        """Bytes of all files."""
        return sum(header.file_size_bytes for header in self.headers)

    @property
    def missing_bytes(self) -> int:
        """Bytes of weights that the headers promise and the files do not have."""
        return sum(header.missing_bytes for header in self.headers)

    @property
    def whole_bytes(self) -> int:
        """Bytes of all files once they are whole."""
        return self.file_size_bytes + self.missing_bytes

    @property
    def architecture(self) -> Architecture:
        """Figures of the model, worked out on each call.

        Raises:
            GgufError: a key is missing, of a wrong type, or has an impossible value.
        """
        return read_architecture(self.header, tensors=self.tensors)


def shard_names(name: str) -> tuple[str, ...]:
    """Names of all files of the model that this file belongs to, the first one first.

    Args:
        name: `dir/x-00002-of-00003.gguf` gives three names; any other name gives itself.
    """
    match = _SHARD.fullmatch(name)
    if match is None:
        return (name,)
    count, number = int(match["count"]), int(match["number"])
    if not 1 <= number <= count <= SHARDS_LIMIT:
        return (name,)
    return tuple(f"{match['stem']}-{index:05d}-of-{match['count']}.gguf" for index in range(1, count + 1))


def assemble(headers: tuple[GgufHeader, ...]) -> Model:
    """One model of the headers of all its files, in order.

    Raises:
        ModelFileError: a file is missing, of another model, or at the wrong place.
    """
    first = headers[0]
    count = _split_number(first, "split.count", default=1)
    if max(count, 1) != len(headers):
        raise _wrong_count(first, count, len(headers))
    if count > 1:
        for index, header in enumerate(headers):
            _check_place(header, index, count)
        _check_tensors(headers)
    return Model(headers)


def _split_number(header: GgufHeader, key: str, *, default: int) -> int:
    value = header.metadata.integer(key)
    return default if value is None else value


def _wrong_count(first: GgufHeader, count: int, given: int) -> ModelFileError:
    number = _split_number(first, "split.no", default=0) + 1
    return ModelFileError(
        f"{first.name}: part {number:,} of a model in {count:,} files, and {given:,} were found",
        context=(f"split.count in the file: {count:,}",),
        hint="Keep all files in one folder under their own names: NAME-00001-of-0000N.gguf and so on.",
        reference="missing-shard",
    )


def _check_place(header: GgufHeader, index: int, count: int) -> None:
    said = (header.metadata.integer("split.no"), header.metadata.integer("split.count"))
    if said != (index, count):
        raise ModelFileError(
            f"{header.name}: not part {index + 1} of {count} of this model",
            context=(f"split.no {said[0]}, split.count {said[1]} in the file; {index} and {count} expected",),
            hint="A file of another model, or renamed: fetch this part again.",
            reference="wrong-shard",
        )


def _check_tensors(headers: tuple[GgufHeader, ...]) -> None:
    seen: set[str] = set()
    for header in headers:
        for tensor in header.tensors:
            if tensor.name in seen:
                raise ModelFileError(
                    f"{header.name}: holds a tensor that an earlier part has too",
                    context=(f"tensor: {tensor.name!r}",),
                    hint="The parts are of different conversions: fetch all of one.",
                    reference="wrong-shard",
                )
            seen.add(tensor.name)
    expected = _split_number(headers[0], "split.tensors.count", default=len(seen))
    if expected != len(seen):
        raise ModelFileError(
            f"{headers[0].name}: {len(seen):,} tensors in all parts, {expected:,} are promised",
            hint="The parts are of different conversions: fetch all of one.",
            reference="wrong-shard",
        )
