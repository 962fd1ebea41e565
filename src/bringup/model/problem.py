"""What pre-flight found wrong with a model file."""

from __future__ import annotations

from enum import Enum

from bringup.errors import GgufError
from bringup.model.values import Metadata
from bringup.records import dataclass


class Gravity(Enum):
    """What a problem means for an engine."""

    REFUSED = "refused"
    """The engine would refuse the file, end with it, or read memory that is not its own."""
    WARNING = "warning"
    """The engine loads the file and may behave other than expected."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with a file.

    Attributes:
        reference: kebab-case name of the kind of problem.
        gravity: whether an engine may see the file at all.
        message: what is wrong, one line.
        expected: what should be there.
        found: what is there.
        offset_bytes: where in the file, `None` for a thing that is missing.
    """

    reference: str
    gravity: Gravity
    message: str
    expected: str
    found: str
    offset_bytes: int | None = None


def of_error(problem: GgufError) -> Problem:
    """A reader's error as a problem of the file."""
    return Problem(
        reference=problem.reference,
        gravity=Gravity.REFUSED,
        message=f"wrong at byte {problem.offset_bytes:,}",
        expected=problem.expected,
        found=problem.found,
        offset_bytes=problem.offset_bytes,
    )


def wrong_value(metadata: Metadata, key: str, expected: str, found: str) -> Problem:
    """A key whose value an engine would refuse, or read as something else."""
    entry = metadata.entry(key)
    return Problem(
        "gguf-wrong-value",
        Gravity.REFUSED,
        f"{key!r} is not what llama.cpp reads there",
        expected,
        found,
        None if entry is None else entry.offset_bytes,
    )
