"""What could not be seen although the verdict hangs on it.

A machine is called healthy only where each look that could have shown a fault succeeded. Which looks those
are depends on the machine: without an NVIDIA card nobody needs its driver's messages, and where the driver
answers for every card, an unreadable kernel log hides nothing that stops them from working.
"""

from __future__ import annotations

from typing import Any, Final

from bringup.reading import NOT_LOOKED, Absent, Reading, Unreadable
from bringup.records import dataclass
from bringup.stack.stack import Stack

_MODULE_LOOK: Final = "cat /proc/driver/nvidia/version"


@dataclass(frozen=True, slots=True)
class Unseen:
    """A look that failed and that would decide.

    Attributes:
        layer: as in `Stack`.
        what: what was to be seen, in words.
        source: the path or the command that was asked.
        why: what stood in the way.
        decides: the command that would show it to somebody with the rights; empty where there is none.
    """

    layer: str
    what: str
    source: str
    why: str
    decides: str = ""


def find_unseen(stack: Stack) -> tuple[Unseen, ...]:
    """Failed looks without which nobody can call the machine healthy; layers not looked at are told apart."""
    wanted = [
        _unseen("hardware", "the cards on the bus", stack.hardware.pci_devices, "lspci -nnk"),
        _unseen("memory", "the main memory", stack.memory.floors, "free -h"),
    ]
    if stack.hardware.nvidia_devices:
        wanted += [
            _unseen("kernel", "the loaded driver", stack.kernel.loaded_driver, _MODULE_LOOK),
            _unseen(
                "userspace", "the driver's libraries", stack.userspace.driver_library_versions, "ldconfig -p"
            ),
        ]
        if not driver_answers(stack):
            wanted += [
                _unseen("nvml", "what the driver says of its cards", stack.nvml.error, "nvidia-smi"),
                _unseen("kernel", "the kernel's messages", stack.kernel.log_text, "sudo dmesg"),
            ]
    return tuple(one for one in wanted if one is not None)


def driver_answers(stack: Stack) -> bool:
    """Whether the driver starts, and speaks of its cards without one being lost."""
    cards = stack.nvml.cards
    if not isinstance(stack.nvml.error, Absent):
        return False
    return not isinstance(cards, (Absent, Unreadable)) and not any(card.is_lost for card in cards.value)


def _unseen(layer: str, what: str, reading: Reading[Any], decides: str) -> Unseen | None:
    if not isinstance(reading, Unreadable) or reading is NOT_LOOKED:
        return None
    return Unseen(layer, what, reading.source, reading.why, decides)
