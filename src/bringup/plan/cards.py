"""Cards by name: what a card's sheet says, and the nearest names to one that is not listed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from functools import cache
from typing import Any, Final

from bringup.errors import WrongUse
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


class Body(Enum):
    """What a card's power and cooling allow beside others of its family."""

    DESKTOP = "desktop"
    WORKSTATION = "workstation"
    LAPTOP = "laptop"


@dataclass(frozen=True, slots=True)
class Card:
    """One card as its maker describes it.

    Attributes:
        name: as its driver says it.
        family: see `Family`.
        body: see `Body`.
        compute_capability: CUDA's number, such as `8.6`; empty for other makers.
        memory_bytes: its memory; 0 where it uses main memory and the sheet names no size.
        bandwidth_bytes_per_s: to its memory.
        flops: half-precision operations a second on the matrix units (see `cards.toml`).
        is_rate_worked_out: no sheet says `flops`.
        link_bytes_per_s: to main memory, one way; 0 where card and processor share it.
        is_unified: card and processor share one memory.
        aliases: other names of the same card.
    """

    name: str
    family: Family
    body: Body
    compute_capability: str
    memory_bytes: int
    bandwidth_bytes_per_s: float
    flops: float
    is_rate_worked_out: bool
    link_bytes_per_s: float
    is_unified: bool
    aliases: tuple[str, ...]


@cache
def all_cards() -> tuple[Card, ...]:
    """All cards, in the order of the file."""
    import tomllib
    from importlib.resources import files

    text = (files("bringup.plan") / "cards.toml").read_text(encoding="utf-8")
    return tuple(_card(record) for record in tomllib.loads(text)["card"])


def _card(record: dict[str, Any]) -> Card:
    return Card(
        name=record["name"],
        family=_family(record),
        body=_body(record["name"]),
        compute_capability=record.get("capability", ""),
        memory_bytes=int(record.get("memory_gib", 0) * GIB),
        bandwidth_bytes_per_s=record["bandwidth_gb_s"] * _GIGA,
        flops=record["tflops"] * _TERA,
        is_rate_worked_out=record.get("worked_out", False),
        link_bytes_per_s=record.get("link_gb_s", 0) * _GIGA,
        is_unified=record.get("unified", False),
        aliases=tuple(record.get("aliases", ())),
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


_CONSUMER: Final = ("GeForce", "TITAN", "Radeon RX", "Apple", "Arc")
_OWN_FAMILY: Final = ("A100", "A30", "H100", "H200", "GH200", "B200", "GB10", "P100", "V100")


def _body(name: str) -> Body:
    if "Laptop" in name:
        return Body.LAPTOP
    if any(word in name for word in (*_CONSUMER, *_OWN_FAMILY)):
        return Body.DESKTOP
    return Body.WORKSTATION if name.startswith(("NVIDIA", "Quadro", "Tesla")) else Body.DESKTOP


_NOISE: Final = re.compile(
    r"\b(?:nvidia|geforce|amd|radeon|intel|apple|graphics|gpu|tesla|quadro)\b|[^a-z0-9]+"
)


def _key(name: str) -> str:
    """`NVIDIA GeForce RTX 3060 12GB` and `rtx3060-12gb` alike."""
    lowered = re.sub(r"(\d)\s+(gb|gib)\b", r"\1gb", name.lower().replace("gib", "gb"))
    return _NOISE.sub("", lowered)


def find_card(name: str) -> Card | None:
    """The card of this name, as its driver or a person writes it; `None` when it is not listed.

    Only whole names match: an `RTX 4070` is not an `RTX 4070 Ti`.
    """
    wanted = _key(name)
    for card in all_cards():
        if wanted in (_key(card.name), *map(_key, card.aliases)):
            return card
    return None


def card_named(name: str) -> Card:
    """The card of this name.

    Raises:
        WrongUse: it is not listed; the hint names the nearest that are.
    """
    card = find_card(name)
    if card is None:
        raise WrongUse(
            f"no card {name!r} is known here",
            hint=_near_hint(name),
            reference="unknown-card",
        )
    return card


def _near_hint(name: str) -> str:
    near = near_names(name)
    say = f"Near names: {', '.join(near)}. " if near else ""
    return f"{say}For a card that is not listed give its memory with --vram; its speed is then not told."


def near_names(name: str, *, count: int = 4) -> tuple[str, ...]:
    """Listed names that are like this one, the nearest first."""
    import difflib

    wanted = _key(name)
    keys = {_key(card.name): card.name for card in all_cards()}
    inside = [full for key, full in keys.items() if wanted and wanted in key]
    close = [keys[key] for key in difflib.get_close_matches(wanted, list(keys), n=count, cutoff=0.6)]
    return tuple(dict.fromkeys((*close, *inside)))[:count]
