"""Which options a llama-server has, read from the text of its own `--help`.

llama.cpp renames and adds options all the time; a build is asked what it knows instead of guessed at
from its version.
"""

from __future__ import annotations

import re

from bringup.records import dataclass

# An option list starts a line (until late 2024 indented by a few blanks, since then by none):
#   -fa,   --flash-attn [on|off|auto]       set Flash Attention use
#   -lv,   --verbosity, --log-verbosity N   Set the verbosity threshold
#   -e,    --escape, --no-escape            whether to process escapes sequences
_OPTION = re.compile(r"-{1,2}[A-Za-z][A-Za-z0-9_-]*")
_LINE = re.compile(r"^ {0,12}(?P<list>-{1,2}[A-Za-z][\w-]*(?:,? +-{1,2}[A-Za-z][\w-]*)*),?(?P<rest>.*)$")
_VALUE = re.compile(r"^ (?:\[?[A-Z][A-Za-z0-9_,.:=/<>|\[\]-]*|[<{\[][^ ]+)(?: |$)")
_LINE_LIMIT = 400


@dataclass(frozen=True, slots=True)
class HelpText:
    """The options of one build.

    Attributes:
        with_value: options that are followed by a value.
        alone: options that stand alone.
    """

    with_value: frozenset[str]
    alone: frozenset[str]

    def has(self, option: str) -> bool:
        """Whether the build knows this option (an `=value` part is ignored)."""
        name = option.split("=", 1)[0]
        return name in self.with_value or name in self.alone

    def takes_value(self, option: str) -> bool:
        """Whether a value must follow the option."""
        return option in self.with_value


def parse_help(text: str) -> HelpText:
    """Read the option lists of a `--help` text; explanations are skipped.

    Raw line: `-c,    --ctx-size N                     size of the prompt context`.
    """
    with_value: set[str] = set()
    alone: set[str] = set()
    for line in text.splitlines():
        match = _LINE.match(line[:_LINE_LIMIT])
        if match is None:
            continue
        names = _OPTION.findall(match["list"])
        (with_value if _VALUE.match(match["rest"]) else alone).update(names)
    return HelpText(frozenset(with_value), frozenset(alone))
