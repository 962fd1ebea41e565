"""What the rules judge: facts and lines, each of which may be missing."""

from __future__ import annotations

from dataclasses import field

from bringup.records import dataclass
from bringup.stack.lines import Lines
from bringup.stack.stack import Stack


@dataclass(frozen=True)
class Scene:
    """A stack and the lines that programs printed on it."""

    stack: Stack = field(default_factory=Stack)
    lines: Lines = field(default_factory=Lines)
