"""The devices that a plan may use, and the machine that a user describes instead of this one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Final

from bringup.errors import WrongUse
from bringup.plan.request import CARD_BUILD, CPU, NEWEST_BUILD, Device, DeviceKind
from bringup.records import dataclass
from bringup.units import GIB, MIB

_RESERVED_BYTES: Final = 300 * MIB
_RESERVED_MORE_BYTES: Final = 100 * MIB
_RESERVED_SHARE: Final = 8.5 * MIB / GIB
"""What a driver keeps of an NVIDIA card for itself: `300 + 8.5 for each GiB` MiB, 100 more from
Blackwell on. Engines' logs name 11,911 MiB of an RTX 3060, 11,873 of a 4070, 15,849 of a 5060 Ti, 24,126 of
a 3090, 24,080 of a 4090, 32,106 of a 5090 and 97,288 of an RTX PRO 6000."""
_BLACKWELL: Final = 10
_AMD_RESERVED_BYTES: Final = 192 * MIB
"""The same of an AMD card: engines' logs name 16,192 MiB of an RX 9070 XT, 24,520 of a 7900 XTX."""


@dataclass(frozen=True, slots=True)
class Holder:
    """A program that holds memory of a card; `used_bytes` is `None` where the driver does not tell."""

    device: str
    process_id: int
    name: str
    used_bytes: int | None
    is_graphics: bool


@dataclass(frozen=True, slots=True)
class Described:
    """A machine in the user's words; nothing said means this machine.

    Attributes:
        gpus: names of cards, in order.
        vram_bytes: memory of each card, one figure for all or one each.
        held_bytes: of each card, what other programs hold (a desktop, a browser).
        ram_bytes: main memory.
        cpu_only: there is no card, or it shall not be used.
    """

    gpus: tuple[str, ...] = ()
    vram_bytes: tuple[int, ...] = ()
    held_bytes: int = 0
    ram_bytes: int | None = None
    cpu_only: bool = False

    @property
    def is_another_machine(self) -> bool:
        """Whether the cards are not those of this machine."""
        return bool(self.gpus or self.vram_bytes)

    @property
    def build(self) -> int:
        """The llama.cpp build that a plan is for where none is named."""
        return CARD_BUILD if self.is_another_machine else NEWEST_BUILD


@dataclass(frozen=True, slots=True)
class Place:
    """What a plan may use.

    Attributes:
        devices: cards in order, main memory last.
        holders: programs that hold memory of the cards, the largest first.
        n_threads: threads that an engine would get.
        assumptions: what was taken for granted, one sentence each.
        warnings: what could not be seen, one sentence each.
        is_this_machine: all of it was looked at here.
        is_card_hidden: the engine may see a card that the plan leaves out.
        links_bytes_per_s: by the cards' names, what their slots carry, where that was seen.
    """

    devices: tuple[Device, ...]
    holders: tuple[Holder, ...]
    n_threads: int
    assumptions: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    is_this_machine: bool = True
    is_card_hidden: bool = False
    links_bytes_per_s: Mapping[str, float] = field(default_factory=dict)

    @property
    def cards(self) -> tuple[Device, ...]:
        """The devices that are no main memory."""
        return tuple(device for device in self.devices if device.name != CPU)

    @property
    def main(self) -> Device:
        """Main memory."""
        return self.devices[-1]


def check_described(described: Described) -> None:
    """Refuse a description that contradicts itself, before anything is looked at.

    Raises:
        WrongUse: which options do not go together.
    """
    if described.cpu_only and described.is_another_machine:
        raise WrongUse("--cpu-only leaves no use for --gpu and --vram", hint="Leave one of them out.")
    if described.vram_bytes and len(described.vram_bytes) > max(1, len(described.gpus)):
        raise WrongUse(
            f"{len(described.vram_bytes)} sizes of --vram for {len(described.gpus) or 'no named'} card(s)",
            hint="Give --vram once for all cards, or once for each --gpu, in their order.",
        )
    for size, flag in ((described.ram_bytes, "--ram"), *((one, "--vram") for one in described.vram_bytes)):
        if size is not None and size < 64 * MIB:
            raise WrongUse(f"{flag} of {size:,} bytes cannot be", hint=f"An example: {flag} 24G")


def reserved_bytes(given: int, capability: tuple[int, int] | None, kind: DeviceKind = DeviceKind.CUDA) -> int:
    """What the driver keeps of a card's memory for itself; of a tiny card no more than a tenth."""
    if kind is DeviceKind.ROCM:
        return min(_AMD_RESERVED_BYTES, given // 10)
    more = _RESERVED_MORE_BYTES if capability is not None and capability[0] >= _BLACKWELL else 0
    return min(int(_RESERVED_BYTES + more + given * _RESERVED_SHARE), given // 10)
