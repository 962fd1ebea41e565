"""Reads the locks in requirements/: what is pinned, and the hashes of its files. Standard library only."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

_PIN = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)==([^\s;\\]+)(?:\s*;\s*([^\\]+?))?\s*")
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")
_OPTIONS = frozenset({"--require-hashes", "--only-binary :all:"})


@dataclass(frozen=True, slots=True)
class Pin:
    """One line of a lock: a version of a package for some environments."""

    name: str
    version: str
    marker: str
    hashes: tuple[str, ...]
    wanted_by: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Lock:
    """A lock file: pins, and the options of pip that it sets itself."""

    pins: tuple[Pin, ...]
    options: frozenset[str]


def normalise(name: str) -> str:
    """A package's name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def parse_lock(text: str) -> Lock:
    r"""The pins of a lock.

    Raw lines: `click==8.5.1 \`, `    --hash=sha256:8bb5...`, `    # via rich`.

    Raises:
        ValueError: a line that is none of these.
    """
    pins: list[Pin] = []
    options: set[str] = set()
    via = False
    for raw in text.splitlines():
        line = raw.strip().removesuffix("\\").strip()
        if line in _OPTIONS:
            options.add(line)
        elif found := _PIN.fullmatch(line):
            pins.append(Pin(normalise(found[1]), found[2], found[3] or "", (), ()))
            via = False
        elif pins and (found := _HASH.fullmatch(line)):
            pins[-1] = _with(pins[-1], hashes=(found[1],))
        elif pins and raw.startswith("    #"):
            word = line.removeprefix("#").strip()
            via = via or word.startswith("via")
            wanted = word.removeprefix("via").strip()
            pins[-1] = _with(pins[-1], wanted_by=(wanted,) if via and wanted else ())
        elif line and not line.startswith("#"):
            raise ValueError(f"not a pin, a hash or a known option: {raw!r}")
    return Lock(tuple(pins), frozenset(options))


def _with(pin: Pin, *, hashes: tuple[str, ...] = (), wanted_by: tuple[str, ...] = ()) -> Pin:
    return Pin(pin.name, pin.version, pin.marker, pin.hashes + hashes, pin.wanted_by + wanted_by)


def read_lock(path: Path) -> Lock:
    """The lock in a file."""
    return parse_lock(path.read_text(encoding="utf-8"))
