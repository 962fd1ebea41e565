"""Versions as ordered values; strings are never compared."""

from __future__ import annotations

import re
from functools import total_ordering
from typing import Final

from bringup.patterns import regex
from bringup.records import dataclass

_DRIVER: Final = regex(r"(?<!\d)(?<!\d\.)(\d{2,4})\.(\d{1,4})(?:\.(\d{1,3}))?(?![\d.]*\d)")
_NUMBERS: Final = regex(r"\d+|[a-z]+", re.IGNORECASE)


@total_ordering
@dataclass(frozen=True, slots=True)
class DriverVersion:
    """An NVIDIA driver version: `570.169`, `570.172.08`; `.04` and `.06` differ.

    Attributes:
        parts: the numbers in order, two or three of them.
        text: as it was written.
    """

    parts: tuple[int, ...]
    text: str

    @property
    def branch(self) -> int:
        """The first number: 570."""
        return self.parts[0]

    def fits(self, other: DriverVersion) -> bool:
        """Whether both can name one driver.

        NVML prints only two of three numbers ("NVML library version: 570.172" of 570.172.08), so a version
        of two numbers fits every version that begins with them.
        """
        shared = min(len(self.parts), len(other.parts))
        return self.parts[:shared] == other.parts[:shared]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DriverVersion) and self.parts == other.parts

    def __hash__(self) -> int:
        return hash(self.parts)

    def __lt__(self, other: DriverVersion) -> bool:
        return self.parts < other.parts

    def __str__(self) -> str:
        return self.text


def parse_driver_version(text: str) -> DriverVersion:
    """The driver version in a text such as `570.172.08-0ubuntu0.24.04.1` or `nvidia/595.71.05`.

    Raises:
        ValueError: there is none.
    """
    match = _DRIVER.search(text)
    if match is None:
        raise ValueError(f"no driver version in {text[:60]!r}")
    parts = tuple(int(part) for part in match.groups() if part is not None)
    return DriverVersion(parts, match.group(0))


def find_driver_version(text: str) -> DriverVersion | None:
    """As `parse_driver_version`, `None` where there is none."""
    try:
        return parse_driver_version(text)
    except ValueError:
        return None


@total_ordering
@dataclass(frozen=True, slots=True)
class KernelRelease:
    """A kernel release as `uname -r` prints it, ordered as boot loaders order kernels."""

    text: str

    @property
    def key(self) -> tuple[tuple[int, int, str], ...]:
        """Sorting key: numbers compare as numbers and stand above letters; `-rc` stands below the release."""
        return (
            *(
                (2, int(token), "") if token.isdigit() else (-1 if token.lower() == "rc" else 1, 0, token)
                for token in _NUMBERS.findall(self.text)
            ),
            (0, 0, ""),
        )

    def __lt__(self, other: KernelRelease) -> bool:
        return self.key < other.key

    def __str__(self) -> str:
        return self.text
