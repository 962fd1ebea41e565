"""One wording of a cause in an engine's log."""

from __future__ import annotations

import re

from bringup.engine.exits import ExitKind
from bringup.records import dataclass


@dataclass(frozen=True, slots=True)
class Sign:
    """One wording of one cause.

    Attributes:
        reference: id of the fault.
        kind: what callers decide on.
        needles: plain texts of which a matching line has one; they keep the search fast.
        pattern: searched in a line.
        sentence: the cause for people; `{name}` is replaced by the pattern's group.
        hint: the next step.
        is_general: says that something failed but not what for; any other row in the same attempt wins.
    """

    reference: str
    kind: ExitKind
    needles: tuple[str, ...]
    pattern: re.Pattern[str]
    sentence: str
    hint: str = ""
    is_general: bool = False
