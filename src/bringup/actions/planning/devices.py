"""Where a plan is made for: the cards and the memory of this machine, or those that the user describes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from bringup.actions.planning.place import Described, Place, check_described, reserved_bytes
from bringup.engine.threads import choose_threads
from bringup.errors import CannotTell, WrongUse
from bringup.machine.protocol import Machine
from bringup.plan.card_names import card_named, find_card, near_names
from bringup.plan.cards import all_cards
from bringup.plan.rates import kind_of
from bringup.plan.request import CPU, Device, DeviceKind
from bringup.reading import Known
from bringup.records import replace
from bringup.units import GIB, MIB

if TYPE_CHECKING:
    from bringup.stack.host import Host

ASSUMED_RAM_BYTES: Final = 32 * GIB
"""Main memory of a described machine when nobody says how much."""
ASSUMED_THREADS: Final = 8
"""Cores of a described machine."""
_SYSTEM_BYTES: Final = 2 * GIB
"""What the system itself and a desktop hold of a described machine's main memory."""


def look_for_place(machine: Machine, described: Described, *, expects_driver: bool = False) -> Place:
    """The place that is meant.

    Args:
        machine: that is looked at, unless another one is described.
        described: what the user said.
        expects_driver: a card whose driver does not load is planned for all the same: nothing is started.

    Raises:
        WrongUse: an unknown card (with near names), or figures that do not go together.
        CannotTell: this machine does not say how much memory is free.
    """
    check_described(described)
    if described.is_another_machine:
        return _described_place(described)
    # Only a look at this machine pays for these imports.
    from bringup.stack.host import probe_host

    host = probe_host(machine)
    place = Place((_main_memory(host),), (), _threads(host))
    if described.ram_bytes is not None:
        place = _with_ram(place, described.ram_bytes)
    if described.cpu_only:
        return replace(place, is_card_hidden=True)
    from bringup.actions.planning.cards import with_cards
    from bringup.stack.nvml import probe_nvml

    return with_cards(machine, place, probe_nvml(machine), expects_driver=expects_driver)


def _described_place(described: Described) -> Place:
    found = [_described_card(described, index) for index in range(max(1, len(described.gpus)))]
    cards = _numbered([card for card, _, _ in found])
    warnings = tuple(warning for _, warning, _ in found if warning)
    ram = described.ram_bytes or ASSUMED_RAM_BYTES
    free = max(0, ram - _SYSTEM_BYTES)
    assumptions = [
        f"Of {ram / GIB:g} GiB main memory {_SYSTEM_BYTES / GIB:g} GiB are taken by the system.",
        f"{ASSUMED_THREADS} processor cores.",
    ]
    if described.ram_bytes is None:
        assumptions[0] = f"{ram / GIB:g} GiB main memory (--ram), {_SYSTEM_BYTES / GIB:g} GiB of it taken."
    if described.held_bytes:
        assumptions.append(
            f"Other programs hold {described.held_bytes / MIB:,.0f} MiB of each card (--held)."
        )
    else:
        assumptions.append("Nothing else is on the card: a desktop takes 0.3 to 1.5 GiB (--held 1G).")
    kept = " and ".join(dict.fromkeys(f"{kept / MIB:,.0f} MiB" for _, _, kept in found))
    assumptions.append(f"The driver keeps {kept} of a card for itself, as logs of other cards show.")
    assumptions += _backends(cards)
    main = Device(CPU, DeviceKind.CPU, ram, free, "main memory")
    return Place((*cards, main), (), ASSUMED_THREADS, tuple(assumptions), warnings, is_this_machine=False)


def _described_card(described: Described, index: int) -> tuple[Device, str, int]:
    """The card, a warning where it is not listed (empty for none), and what its driver keeps for itself."""
    sizes = described.vram_bytes
    given = sizes[min(index, len(sizes) - 1)] if sizes else 0
    title, capability, warning, kind = "a card", None, "", DeviceKind.CUDA
    if described.gpus:
        title = described.gpus[index]
        card = find_card(title, given) if given else card_named(title)
        if card is None:
            near = ", ".join(near_names(title))
            warning = f"No card {title!r} is known here{f'; near names: {near}' if near else ''}."
        else:
            title, capability, kind = card.name, _capability(card.compute_capability), kind_of(card)
            given = given or card.memory_bytes
    if not given:
        raise WrongUse(f"the sheet of {title} names no memory of its own", hint="Give it with --vram 16G.")
    if described.held_bytes > given:
        raise WrongUse(
            f"--held {described.held_bytes / MIB:,.0f} MiB is more than {title} has",
            hint="It is what other programs hold of the card's memory.",
        )
    kept = reserved_bytes(given, capability, kind)
    free = max(0, given - kept - described.held_bytes)
    return Device(f"{kind.value}{index}", kind, given - kept, free, title, capability), warning, kept


def _numbered(cards: Sequence[Device]) -> tuple[Device, ...]:
    """Cards by the names that the engine gives them: each backend counts its own from 0."""
    kinds = [card.kind for card in cards]
    return tuple(
        replace(card, name=f"{card.kind.value}{kinds[:index].count(card.kind)}")
        for index, card in enumerate(cards)
    )


def _backends(cards: Sequence[Device]) -> Iterator[str]:
    """Which build of the engine cards of other makers are planned for."""
    kinds = {card.kind for card in cards}
    if DeviceKind.ROCM in kinds:
        yield "The engine is built for ROCm (HIP): with Vulkan it takes some hundred MiB more of an AMD card."
    if DeviceKind.VULKAN in kinds:
        yield "The engine is built for Vulkan."


def _capability(text: str) -> tuple[int, int] | None:
    major, dot, minor = text.partition(".")
    return (int(major), int(minor)) if dot and major.isdigit() and minor.isdigit() else None


def _threads(host: Host) -> int:
    return choose_threads(
        physical_cores=host.physical_cores,
        affinity_cpus=host.affinity_cpus,
        cgroup_quota_cpus=host.cgroup_quota_cpus,
        load_1min=host.load_1min,
    )


def _main_memory(host: Host) -> Device:
    free = host.free_for_us_bytes
    total = host.memory_total_bytes
    limit = host.cgroup_memory_limit_bytes
    if not isinstance(total, Known):
        raise CannotTell("could not see how much memory this machine has", hint="Give it: --ram 32G")
    size = min(total.value, limit.value) if isinstance(limit, Known) else total.value
    return Device(CPU, DeviceKind.CPU, max(size, free), free, "main memory")


def _with_ram(place: Place, ram_bytes: int) -> Place:
    held = min(_SYSTEM_BYTES, ram_bytes // 2)
    main = Device(CPU, DeviceKind.CPU, ram_bytes, ram_bytes - held, "main memory")
    said = f"{ram_bytes / GIB:g} GiB main memory as told, {held / GIB:g} GiB of it taken by the system."
    return Place((main,), (), place.n_threads, (said,), is_this_machine=False)


@lru_cache(maxsize=1)
def known_cards() -> tuple[str, ...]:
    """Names of the cards that can be planned for without having one."""
    return tuple(sorted(card.name for card in all_cards()))
