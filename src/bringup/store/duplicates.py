"""Which models are on the disk twice, and how sure that is."""

from __future__ import annotations

import hashlib
from enum import Enum
from itertools import combinations

from bringup.errors import FileTrouble
from bringup.machine import files, tree
from bringup.records import dataclass
from bringup.store.local import LocalModel

_SAMPLES = 16
_SAMPLE_BYTES = 64 * 1024


class Sameness(Enum):
    """Why two models are held to be the same, from surest down."""

    FILE = "the same file under two names: no space is lost"
    HASH = "the same SHA-256"
    SAMPLES = "the same size and the same bytes at 16 places"


@dataclass(frozen=True, slots=True)
class Duplicate:
    """Two models with the same content. `lost_bytes` is what the second one takes."""

    first: LocalModel
    second: LocalModel
    sameness: Sameness

    @property
    def lost_bytes(self) -> int:
        """Space that one of them would give back."""
        return 0 if self.sameness is Sameness.FILE else self.second.size_bytes


def find_duplicates(models: tuple[LocalModel, ...]) -> tuple[Duplicate, ...]:
    """Pairs with the same content; only models of equal size are looked into."""
    by_size: dict[int, list[LocalModel]] = {}
    for model in models:
        by_size.setdefault(model.size_bytes, []).append(model)
    found = []
    for group in by_size.values():
        twins: set[int] = set()
        for first, second in combinations(range(len(group)), 2):
            if second in twins:
                continue  # it is told once, beside the first of its kind
            sameness = _compare(group[first], group[second])
            if sameness is not None:
                twins.add(second)
                found.append(Duplicate(group[first], group[second], sameness))
    return tuple(found)


def _compare(first: LocalModel, second: LocalModel) -> Sameness | None:
    if len(first.paths) != len(second.paths):
        return None
    identities = _identities(first)
    if None not in identities and identities == _identities(second):
        return Sameness.FILE
    if first.claimed_sha256 and second.claimed_sha256:
        return Sameness.HASH if first.claimed_sha256 == second.claimed_sha256 else None
    samples = _samples(first)
    return Sameness.SAMPLES if samples is not None and samples == _samples(second) else None


def _identities(model: LocalModel) -> list[tuple[int, int] | None]:
    entries = [tree.look_at(path) for path in model.paths]
    return [None if entry is None else (entry.device, entry.inode) for entry in entries]


def _samples(model: LocalModel) -> str | None:
    """A hash over evenly spread samples of each file; `None` when one cannot be read."""
    digest = hashlib.sha256()
    try:
        for path in model.paths:
            with files.open_binary(path) as handle:
                size = handle.seek(0, 2)
                for number in range(_SAMPLES):
                    handle.seek(max(0, size - _SAMPLE_BYTES) * number // (_SAMPLES - 1))
                    digest.update(handle.read(_SAMPLE_BYTES))
    except (FileTrouble, OSError):
        return None
    return digest.hexdigest()
