"""What a fault is made of: signs, evidence, steps. Data only.

A fault is a module `faults/<layer>/<id with underscores>.py`. Its docstring carries title, `Symptom:`,
`Reason:`, `Sources:` and optionally `Limits:`; `_catalogue` reads its names `STEPS`, and where it has them
`SIGNS`, `STORIES`, `OVER`, `EXPLAINS`, `IS_AHEAD` and `check`.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, IntEnum
from typing import TYPE_CHECKING, Final, TypeAlias

from bringup.records import dataclass
from bringup.stack.told import Told

if TYPE_CHECKING:
    from bringup.faults._scene import Scene


class Layer(IntEnum):
    """Layers of the stack, bottom up; a lower one explains a higher one. Folders bear the same names.

    A container wraps the user space of what runs in it, so it stands below that.
    """

    HARDWARE = 1
    KERNEL = 2
    CONTAINER = 3
    USERSPACE = 4
    TOOLKIT = 5
    BUILD = 6
    MODEL = 7
    MEMORY = 8
    CONTEXT = 9
    RUNTIME = 10


class Certainty(IntEnum):
    """How sure a verdict is. `LIKELY` names the look that would decide."""

    LIKELY = 1
    SURE = 2


class Safety(Enum):
    """What a step may do to the machine."""

    LOOK = "look"
    SAFE = "safe"
    DISRUPTIVE = "disruptive"
    RISKY = "risky"


class Slot(Enum):
    """A place in a command that a fact fills; each has a pattern that the value must match whole.

    No pattern lets a value begin with a hyphen (an option), a package end with one (apt removes it), or a
    process be the first.
    """

    KERNEL_RELEASE = r"[0-9][0-9A-Za-z.+~_-]{0,80}"
    PACKAGE = r"[a-z0-9][a-z0-9.+-]{0,79}[a-z0-9+](?::[a-z0-9]{1,12})?"
    VERSION = r"[0-9][0-9A-Za-z.+~:_-]{0,80}"
    UNIT = r"[A-Za-z0-9][A-Za-z0-9@._-]{0,79}\.(?:service|target|socket|timer)"
    MODULE = r"[a-z0-9_]{1,40}"
    PCI_ADDRESS = r"(?:[0-9a-f]{4}:)?[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]"
    PATH = r"(?=.{2,200}\Z)(?:/(?!\.\.?(?:/|\Z))[A-Za-z0-9._+@:-]+)+"
    PID = r"[2-9]|[1-9][0-9]{1,7}"
    GPU_INDEX = r"[0-9]{1,2}"


Word: TypeAlias = str | Slot


@dataclass(frozen=True, slots=True)
class Sign:
    """A line that a program prints when this fault is there.

    Attributes:
        pattern: regular expression, searched in one line without its log prefix; linear.
        anchor: a literal in lower case that every match contains; other lines are never tried.
        example: a line that matches, as a program printed it.
        certainty: how much this line alone decides.
        unless: anchors (lower-case literals) that silence the sign when they stand anywhere in the text.
        needs: anchors that must stand somewhere in the text too.
        is_weak: a person's own words, or a line that stands in healthy logs too: it counts only in a short
            text in which nothing else tells of any fault. Always likely, never sure.
    """

    pattern: str
    anchor: str
    example: str
    certainty: Certainty = Certainty.SURE
    unless: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    is_weak: bool = False


@dataclass(frozen=True, slots=True)
class Story:
    """What somebody's own words tell where this fault is there; heard only where no program's line says more.

    Attributes:
        told: all of these are told.
        unless: none of these is told.
        decides: the look that would decide, a command; empty where it is the first look of the fault's steps.
        strength: among stories the stronger goes first; all are weaker than a line.
    """

    told: tuple[Told, ...]
    unless: tuple[Told, ...] = ()
    decides: str = ""
    strength: int = -2


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a remedy.

    Attributes:
        say: what it does, one imperative sentence.
        command: argv words, constants or slots; empty where a person must act (reseat a card).
        safety: what it may do.
        needs_root: whether the command wants root; shown with `sudo` to others, never raised by us.
        undo: how to take it back; for risky steps required, or the reason why there is none.
        verify: argv of the look that shows that it worked.
        touches: what changes on the machine, in a few words.
        values: what fills the slots of this step alone, before those of the evidence.
        asks: whether the command holds a dialogue of its own (a password), so that a person has to type it.
        only: the distribution that alone has it, with its kin: `ubuntu`, `debian`; empty where all have.
    """

    say: str
    command: tuple[Word, ...] = ()
    safety: Safety = Safety.SAFE
    needs_root: bool = False
    undo: str = ""
    verify: tuple[Word, ...] = ()
    touches: str = ""
    values: tuple[tuple[Slot, str], ...] = ()
    asks: bool = False
    only: str = ""


@dataclass(frozen=True, slots=True)
class Evidence:
    """Why a fault is said to be there.

    Attributes:
        saw: the facts or the line, with figures.
        expected: what a healthy machine would show.
        sources: path, command or `pasted text, line N` of each fact.
        certainty: sure or likely.
        decides: for a likely one: the look that would decide, a command.
        steps: steps that replace the fault's own, worked out from this machine's facts.
        values: what fills the slots of the steps.
        strength: among roots of equal certainty the stronger goes first; 0 is a plain sign, facts that
            were compared with each other are 10.
    """

    saw: str
    expected: str
    sources: tuple[str, ...] = ()
    certainty: Certainty = Certainty.SURE
    decides: str = ""
    steps: tuple[Step, ...] = ()
    values: tuple[tuple[Slot, str], ...] = ()
    strength: int = 0


NVIDIA_SMI_WORKS: Final = Sign(
    r"NVIDIA-SMI \d[\d.]{2,20}\s{1,40}(?:KMD |Driver )Version: \d",
    anchor="version: ",
    example="| NVIDIA-SMI 570.172.08             Driver Version: 570.172.08     CUDA Version: 12.8     |",
)
"""The head of nvidia-smi's table: it is printed only where program, library and module work together."""

Check: TypeAlias = "Callable[[Scene], Evidence | None]"


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault of the catalogue, as its module says it.

    Attributes of note:
        stories: what people tell in their own words where it is there.
        over: lines that can only be printed where the fault is not, or not any more: what a text tells of it
            before such a line is history.
        is_ahead: it is foretold: nothing fails yet.
    """

    id: str
    layer: Layer
    title: str
    symptom: str
    reason: str
    sources: tuple[str, ...]
    limits: str
    signs: tuple[Sign, ...]
    explains: tuple[str, ...]
    steps: tuple[Step, ...]
    check: Check | None
    over: tuple[Sign, ...] = ()
    stories: tuple[Story, ...] = ()
    is_ahead: bool = False
