"""Logs that people posted (`data/logs.toml`): `cuda`, `other`, and `harmless` ones that name no cause."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Recorded:
    """One log, what it was, and the part of a line that says so."""

    kind: str
    source: str
    reference: str
    shows: str
    text: str


def read_logs() -> tuple[Recorded, ...]:
    """All of them."""
    with Path(__file__).with_name("data").joinpath("logs.toml").open("rb") as handle:
        return tuple(Recorded(**row) for row in tomllib.load(handle)["log"])


LOGS = read_logs()
CUDA = tuple(log for log in LOGS if log.kind == "cuda")
OTHERS = tuple(log for log in LOGS if log.kind == "other")
HARMLESS = tuple(log for log in LOGS if log.kind == "harmless")
