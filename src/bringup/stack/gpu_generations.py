"""NVIDIA's GPU generations: which device ids belong to one, and which driver branches know it.

Device ids are handed out in blocks by chip, so a generation is a list of id ranges, written by hand.
Checked on 2026-11-24 against pci.ids (Debian's package 0.0~2023.04.11, vendor 10de): all 754 entries that
name a chip lie in the block of their generation; Blackwell is younger than that list and comes from
kernel logs of such cards. Branch limits: NVIDIA's legacy list
(https://www.nvidia.com/en-us/drivers/unix/legacy-gpu/) and the READMEs of the branches. An id outside
every block is unknown, which is not the same as new.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

from bringup.records import dataclass


class Generation(Enum):
    """GPU generations, oldest first."""

    BEFORE_FERMI = "older than Fermi"
    FERMI = "Fermi"
    KEPLER = "Kepler"
    MAXWELL = "Maxwell"
    PASCAL = "Pascal"
    VOLTA = "Volta"
    TURING = "Turing"
    AMPERE = "Ampere"
    HOPPER = "Hopper"
    ADA = "Ada"
    BLACKWELL = "Blackwell"


@dataclass(frozen=True, slots=True)
class Support:
    """Which drivers drive a generation.

    Attributes:
        first_branch: the first branch that knew a card of it.
        last_branch: the last branch that still drives it; `None` while the newest does.
        open_modules: whether NVIDIA's open kernel modules can drive it (it has a GSP).
        closed_modules: whether the proprietary modules can.
    """

    first_branch: int
    last_branch: int | None
    open_modules: bool
    closed_modules: bool = True


SUPPORT: Final[dict[Generation, Support]] = {
    Generation.BEFORE_FERMI: Support(1, 340, open_modules=False),
    Generation.FERMI: Support(195, 390, open_modules=False),
    Generation.KEPLER: Support(295, 470, open_modules=False),
    Generation.MAXWELL: Support(334, 580, open_modules=False),
    Generation.PASCAL: Support(367, 580, open_modules=False),
    Generation.VOLTA: Support(384, 580, open_modules=False),
    Generation.TURING: Support(410, None, open_modules=True),
    Generation.AMPERE: Support(450, None, open_modules=True),
    Generation.HOPPER: Support(520, None, open_modules=True),
    Generation.ADA: Support(520, None, open_modules=True),
    Generation.BLACKWELL: Support(570, None, open_modules=True, closed_modules=False),
}

_BLOCKS: Final[tuple[tuple[int, int, Generation], ...]] = (
    (0x0020, 0x06BF, Generation.BEFORE_FERMI),
    (0x06C0, 0x06DF, Generation.FERMI),
    (0x06E0, 0x0DBF, Generation.BEFORE_FERMI),
    (0x0DC0, 0x0F06, Generation.FERMI),
    (0x0FC0, 0x103F, Generation.KEPLER),
    (0x1040, 0x10BF, Generation.FERMI),
    (0x10C0, 0x10DF, Generation.BEFORE_FERMI),
    (0x1140, 0x117F, Generation.FERMI),
    (0x1180, 0x11FF, Generation.KEPLER),
    (0x1200, 0x127F, Generation.FERMI),
    (0x1280, 0x133F, Generation.KEPLER),
    (0x1340, 0x15EF, Generation.MAXWELL),
    (0x15F0, 0x15FF, Generation.PASCAL),
    (0x1600, 0x171F, Generation.MAXWELL),
    (0x1720, 0x172F, Generation.PASCAL),
    (0x1730, 0x1AFF, Generation.MAXWELL),
    (0x1B00, 0x1D7F, Generation.PASCAL),
    (0x1D80, 0x1DFF, Generation.VOLTA),
    (0x1E00, 0x1FFF, Generation.TURING),
    (0x2080, 0x20FF, Generation.AMPERE),
    (0x2180, 0x21FF, Generation.TURING),
    (0x2200, 0x22FF, Generation.AMPERE),
    (0x2300, 0x237F, Generation.HOPPER),
    (0x2400, 0x25FF, Generation.AMPERE),
    (0x2600, 0x28FF, Generation.ADA),
    (0x2900, 0x2FFF, Generation.BLACKWELL),
    (0x3180, 0x31FF, Generation.BLACKWELL),
)


def find_generation(device_id: int) -> Generation | None:
    """The generation of a display device of NVIDIA, `None` for an id outside every known block."""
    return next((generation for first, last, generation in _BLOCKS if first <= device_id <= last), None)
