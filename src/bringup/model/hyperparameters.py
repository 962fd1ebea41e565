"""Checked access to `<architecture>.*` keys: each figure is bounded before anyone divides by it."""

from __future__ import annotations

from typing import Final

from bringup.errors import GgufError
from bringup.model.values import INTEGERS, ArrayValue, Metadata, ValueType
from bringup.records import dataclass

LARGEST: Final = 2**31 - 1
"""llama.cpp keeps these figures in 32-bit integers, many of them signed."""

_FLAG_TYPES: Final = INTEGERS | {ValueType.BOOL}


@dataclass(frozen=True, slots=True)
class Hyperparameters:
    """The keys of one architecture.

    Attributes:
        name: `general.architecture`.
        metadata: of the file.
        source: name of the file, for messages.
        end_offset: where the metadata ends; errors about a key that is not there point here.
    """

    name: str
    metadata: Metadata
    source: str
    end_offset: int

    def key(self, suffix: str) -> str:
        """Full key: `llama.block_count` for `block_count`."""
        return f"{self.name}.{suffix}"

    def optional(self, suffix: str, *, least: int = 0, most: int = LARGEST) -> int | None:
        """A whole number within bounds; `None` when the file does not have it.

        Raises:
            GgufError: of another type, or out of bounds.
        """
        value = self.metadata.integer(self.key(suffix))
        if value is None:
            return None
        return self._bounded(suffix, value, least, most)

    def required(self, suffix: str, *, least: int = 0, most: int = LARGEST) -> int:
        """A whole number within bounds that every model of the kind has.

        Raises:
            GgufError: not there, of another type, or out of bounds.
        """
        value = self.optional(suffix, least=least, most=most)
        if value is None:
            raise GgufError(
                source=self.source,
                offset_bytes=self.end_offset,
                expected=f"the key {self.key(suffix)!r} in the metadata",
                found="no such key",
                hint="The conversion is incomplete: get another one of this model.",
                reference="gguf-missing-key",
            )
        return value

    def per_layer(
        self, suffix: str, n_layer: int, *, default: int | None, most: int = LARGEST
    ) -> tuple[int, ...] | None:
        """A whole number for each layer; the file holds one for all or an array.

        Args:
            suffix: of the key.
            n_layer: layers, which is the length that an array must have.
            default: for each layer when the file does not have the key; `None` gives `None`.
            most: bound of each number.

        Raises:
            GgufError: wrong type, length or size.
        """
        key = self.key(suffix)
        value = self.metadata.get(key)
        if value is None:
            return None if default is None else (default,) * n_layer
        if not isinstance(value, ArrayValue):
            return (self.required(suffix, most=most),) * n_layer
        if len(value) != n_layer:
            raise self.metadata.wrong(
                key, f"one number or {n_layer:,}, one a layer", f"{len(value):,} numbers"
            )
        numbers = self._whole_numbers(suffix, value)
        return tuple(self._bounded(suffix, number, 0, most) for number in numbers)

    def flags(self, suffix: str, n_layer: int) -> tuple[bool, ...] | None:
        """A flag for each layer from an array; layers behind its end have none set.

        `None` when the file has no such key, or one number in its place.

        Raises:
            GgufError: an array of something else.
        """
        value = self.metadata.get(self.key(suffix))
        if not isinstance(value, ArrayValue):
            return None
        given = [bool(number) for number in self._whole_numbers(suffix, value)[:n_layer]]
        return tuple(given + [False] * (n_layer - len(given)))

    def numbers(self, suffix: str) -> tuple[int, ...]:
        """Whole numbers of an array of any length; empty when the file has no such key.

        Raises:
            GgufError: an array of something else, or a number out of bounds.
        """
        value = self.metadata.get(self.key(suffix))
        if not isinstance(value, ArrayValue):
            return ()
        return tuple(
            self._bounded(suffix, number, 0, LARGEST) for number in self._whole_numbers(suffix, value)
        )

    def _whole_numbers(self, suffix: str, value: ArrayValue) -> tuple[int, ...]:
        if value.element_type not in _FLAG_TYPES or len(value) > 65_536:
            raise self.metadata.wrong(self.key(suffix), "at most 65,536 whole numbers")
        return tuple(int(number) for number in value.numbers())

    def _bounded(self, suffix: str, value: int, least: int, most: int) -> int:
        if not least <= value <= most:
            raise self.metadata.wrong(
                self.key(suffix), f"a whole number from {least:,} to {most:,}", f"{value:,}"
            )
        return value
