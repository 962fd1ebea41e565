"""What people tell in their own words: "after a kernel update the screen stays black".

Whoever asks for help often pastes no output at all, or one line that many causes share. What happened before,
what was noticed and what helped is in the sentences, and it tells which cause is the likely one. A telling is
never more than that: programs' lines decide wherever there are any.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import Enum
from functools import cache
from typing import Final

from bringup.records import dataclass
from bringup.stack.lines import Line, Lines

LIMIT_CHARACTERS: Final = 60_000
"""A longer text is a log of services, not somebody's words."""

_LISTS: Final = {
    "<change>": r"(?:up(?:dat|grad)\w{1,4}|chang\w{1,3}|switch\w{0,4}|mov(?:ed?|ing)|install\w{0,4}"
    r"|boot\w{0,3})",
    "<kernel>": r"(?<!cuda )(?<!gpu )(?<!jupyter )(?<!notebook )(?<!python )(?<!triton )"
    r"kernel\b(?![:_.]| module| driver| head| ring| mode)",
    "<nt>": r"(?:(?:do|does|did|ca|wo|is|are|was|could|would|has|have)(?:n['\u2019\u2018`\u00b4]?t| not))",
    "<fails>": r"(?:(?:is|are|was|does|do|did|could|ca|wo)(?:n.?t| not)|cannot|no longer|never|not"
    r"|stop(?:s|ped)?|fail(?:s|ed|ing)?(?: to)?|broken?|breaks|dead|gone|lost|crash\w{0,3})",
}
"""Words that many patterns of the table share."""


class Told(Enum):
    """One thing that a text tells; the value is how an answer repeats it."""

    NVIDIA = "an NVIDIA card"
    KERNEL_CHANGED = "the kernel was changed"
    OLD_KERNEL_WORKS = "another kernel works"
    SYSTEM_UPDATED = "the system was updated"
    DRIVER_SILENT = "the driver does not answer"
    SMI_MISSING = "there is no nvidia-smi"
    SMI_CANNOT_REACH = "nvidia-smi cannot reach the driver"
    RESTARTED = "the machine was restarted"
    NO_PICTURE = "no picture, or none from the card"
    BUILD_FAILED = "the module does not build"
    DKMS_FAILED = "DKMS or akmods failed"
    MODULE_REFUSED = "the installer could not load what it had built"
    MODULE = "the driver's module"
    HEADERS = "the kernel's headers are missing"
    NO_NODES = "the card's device files are missing"
    NOT_LOADED = "the module is not loaded"
    SIGNATURE = "Secure Boot or its keys"
    KEY_REFUSED = "the module's key is refused"
    SIGNATURE_OFF = "Secure Boot is off"
    NOUVEAU = "nouveau is in use"
    DROPPED = "newer drivers have dropped the card"
    NOUVEAU_INSTEAD = "nouveau took the place of the driver"
    UVM_RELOADED = "nvidia_uvm was loaded anew"
    HELPED = "that helped"
    OPEN_MODULE = "the open kernel modules"
    OLD_CARD = "a card without GSP"
    NEW_CARD = "a card of the Blackwell generation"
    NO_DEVICES = "nvidia-smi finds no device"
    POWER_SWITCH = "a laptop's switch between graphics"
    CARD_MOVED = "the card is on a riser, external, or was moved"
    ONE_GONE = "a card of several is gone"
    NOT_LISTED = "lspci does not list the card"
    OFF_BUS = "the card falls off the bus"
    SMI_HANGS = "nvidia-smi does not come back"
    TOO_HOT = "the card gets too hot"
    POWER_HELD = "the card's power is held down"
    LINK_NARROW = "the link is narrower or slower than it should be"
    ROOT_ONLY = "it works as root only"
    SLEPT = "the machine slept"
    NO_RIGHT = "this user may not use the GPU"
    SLEEP_FAILS = "sleep or waking fails"
    CONTAINER = "it runs in a container"
    LATER = "it had worked before"
    RESTART_HELPS = "a restart of the container helps"
    LIBRARY_GONE = "a library of the driver is missing"
    GPU_GONE = "the GPU is not used any more"
    GPU_UNSEEN = "programs see no GPU"
    WSL = "it runs on WSL"


@dataclass(frozen=True, slots=True)
class Telling:
    """Words for one thing.

    Attributes:
        told: what they tell.
        anchor: a literal in lower case that every match contains; a text without it is not searched.
        pattern: regular expression for text in lower case; linear, and within one line.
        example: such a sentence.
    """

    told: Told
    anchor: str
    pattern: str
    example: str


@cache
def tellings() -> Mapping[Told, tuple[Telling, ...]]:
    """The table told.tsv, by what is told."""
    from pkgutil import get_data

    data = get_data("bringup.stack", "told.tsv")
    assert data is not None
    found: dict[Told, tuple[Telling, ...]] = {}
    for line in data.decode().splitlines():
        if not line.startswith("#"):
            name, anchor, pattern, example = line.split("\t")
            told = Told[name.upper()]
            found[told] = (*found.get(told, ()), Telling(told, anchor, _expanded(pattern), example))
    return found


def _expanded(pattern: str) -> str:
    for name, words in _LISTS.items():
        pattern = pattern.replace(name, words)
    return pattern


class TextTold:
    """What a text tells, each thing searched when it is first asked for: most texts tell little."""

    def __init__(self, lines: Lines) -> None:
        """Nothing is heard in a text that is too long to be somebody's words."""
        self._lines = lines
        self._is_words = len(lines.whole) <= LIMIT_CHARACTERS
        self._found: dict[Told, Line | None] = {}

    def line(self, told: Told) -> Line | None:
        """The line that tells a thing; `None` where none does."""
        if told not in self._found:
            self._found[told] = self._search(told) if self._is_words else None
        return self._found[told]

    def _search(self, told: Told) -> Line | None:
        for telling in tellings()[told]:
            if self._lines.has(telling.anchor):
                match = re.search(telling.pattern, self._lines.whole)
                if match is not None:
                    return self._lines.lines[self._lines.whole.count("\n", 0, match.start())]
        return None


def read_told(lines: Lines) -> TextTold:
    """What these lines tell, the same for all who ask."""
    return lines.once(TextTold)
