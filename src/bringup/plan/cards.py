"""Cards: what their makers say of each."""

from __future__ import annotations

import re
from enum import Enum
from functools import cache
from typing import Any, Final

from bringup.patterns import regex
from bringup.reading import parse_json
from bringup.records import dataclass
from bringup.units import GIB

_GIGA: Final = 10**9
_TERA: Final = 10**12


class Family(Enum):
    """Groups of processors that run the same kernels, and so reach about the same share of their rates."""

    PASCAL = "pascal"
    VOLTA = "volta"
    GTX16 = "gtx16"
    TURING = "turing"
    A100 = "a100"
    AMPERE = "ampere"
    ADA = "ada"
    HOPPER = "hopper"
    BLACKWELL = "blackwell"
    GB10 = "gb10"
    GCN = "gcn"
    RDNA2 = "rdna2"
    RDNA3 = "rdna3"
    RDNA4 = "rdna4"
    STRIX = "strix"
    APPLE = "apple"
    INTEL = "intel"
    CPU = "cpu"


@dataclass(frozen=True, slots=True)
class Card:
    """One card as its maker describes it.

    Attributes:
        name: as its driver says it.
        family: see `Family`.
        compute_capability: CUDA's number, such as `8.6`; empty for other makers.
        n_multiprocessors: of an NVIDIA card; 0 for other makers.
        memory_bytes: its memory; 0 where it uses main memory and the sheet names no size.
        bandwidth_bytes_per_s: to its memory.
        flops: half-precision operations a second on the matrix units (see `gpus.toml`).
        watts: what the board may draw; 0 where it is not one figure for all of that name.
        link_bytes_per_s: to main memory, one way; 0 where card and processor share it.
        is_unified: card and processor share one memory.
        aliases: other names of the same card.
        pci_ids: vendor and device on the PCI bus, `10de:2204`; another card may have the same.
    """

    name: str
    family: Family
    compute_capability: str
    memory_bytes: int
    bandwidth_bytes_per_s: float
    flops: float
    link_bytes_per_s: float
    is_unified: bool
    aliases: tuple[str, ...]
    pci_ids: tuple[str, ...] = ()
    watts: float = 0.0
    n_multiprocessors: int = 0


_NAMES: Final = regex(r"^(?:name|aliases) = .*$", re.MULTILINE)
_MEMORY: Final = regex(r"^memory_gib = ([\d.]+)$", re.MULTILINE)


@cache
def _blocks() -> tuple[str, ...]:
    """The file's tables as text: most questions are about one card, and parsing all of them takes long."""
    from pkgutil import get_data  # `importlib.resources` takes several times as long to import

    data = get_data("bringup.plan", "gpus.toml")
    assert data is not None, "the package was built without its list of cards"
    return tuple(data.decode().split("[[card]]\n")[1:])


@cache
def card_titles() -> tuple[tuple[tuple[str, ...], float], ...]:
    """Of each card its names, the driver's first, and its memory in GiB (0 where not said)."""
    found = []
    for block in _blocks():
        names = tuple(re.findall(r'"([^"]+)"', "".join(_NAMES.findall(block))))
        memory = _MEMORY.search(block)
        found.append((names, float(memory[1]) if memory else 0.0))
    return tuple(found)


def card_at(place: int) -> Card:
    """The card at a place in the file."""
    return _card(_record(_blocks()[place]))


def _record(block: str) -> dict[str, Any]:
    """A table of the file. Its values are written as JSON has them too; `tomllib` takes long to import."""
    lines = (line for line in block.splitlines() if line and not line.startswith("#"))
    return {key: parse_json(value) for key, _, value in (line.partition(" = ") for line in lines)}


def cards_with_id(vendor_id: int, device_id: int) -> tuple[Card, ...]:
    """The cards that a PCI id may stand for, the smallest first; none where it is not listed."""
    wanted = f'"{vendor_id:04x}:{device_id:04x}"'
    found = [card_at(place) for place, block in enumerate(_blocks()) if wanted in block]
    return tuple(sorted(found, key=lambda card: card.memory_bytes))


def all_cards() -> tuple[Card, ...]:
    """All cards, in the order of the file."""
    return tuple(card_at(place) for place in range(len(_blocks())))


def _card(record: dict[str, Any]) -> Card:
    return Card(
        name=record["name"],
        family=_family(record),
        compute_capability=record.get("capability", ""),
        memory_bytes=int(record.get("memory_gib", 0) * GIB),
        bandwidth_bytes_per_s=record["bandwidth_gb_s"] * _GIGA,
        flops=record["tflops"] * _TERA,
        link_bytes_per_s=record.get("link_gb_s", 0) * _GIGA,
        is_unified=record.get("unified", False),
        aliases=tuple(record.get("aliases", ())),
        pci_ids=tuple(record.get("pci", ())),
        watts=record.get("watts", 0.0),
        n_multiprocessors=record.get("sm", 0),
    )


_BY_CAPABILITY: Final = (
    ("6", Family.PASCAL),
    ("7.0", Family.VOLTA),
    ("7.5", Family.TURING),
    ("8.0", Family.A100),
    ("8.9", Family.ADA),
    ("8", Family.AMPERE),
    ("9", Family.HOPPER),
    ("10", Family.HOPPER),
    ("12.1", Family.GB10),
    ("12", Family.BLACKWELL),
)
_BY_TARGET: Final = (
    ("gfx9", Family.GCN),
    ("gfx10", Family.RDNA2),
    ("gfx115", Family.STRIX),
    ("gfx11", Family.RDNA3),
    ("gfx12", Family.RDNA4),
)


def _family(record: dict[str, Any]) -> Family:
    capability, target = record.get("capability", ""), record.get("target", "")
    if capability == "7.5" and "GTX" in record["name"]:
        return Family.GTX16
    for start, family in _BY_CAPABILITY if capability else _BY_TARGET:
        if (capability or target).startswith(start):
            return family
    return Family.APPLE if record["vendor"] == "Apple" else Family.INTEL
