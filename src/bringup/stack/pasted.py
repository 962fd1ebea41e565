"""Pasted text is a machine too: what a terminal, a log or a forum post says, as lines and facts.

Each layer recognises the output of the commands that it also runs itself, so one set of rules judges pasted
text and live machines alike.
"""

from __future__ import annotations

from typing import Final

from bringup.patterns import regex
from bringup.stack import build, container, hardware, kernel, memory, runtime, toolkit, userspace
from bringup.stack.lines import Lines
from bringup.stack.raw_text import raw_lines, read_lines
from bringup.stack.smi_table import parse_smi_table
from bringup.stack.stack import Stack

_COMMIT: Final = regex(r"(?:[*|/\\ ]{1,20})?[0-9a-f]{7,12} (?:\([^()]{1,80}\) )?[^\s\[].{0,200}\(#\d{1,6}\)")
"""A line of `git log --oneline`: it tells what was mended, in the words of the trouble."""

_GUIDE: Final = regex(
    r"\b(?:if|when|whenever|should|in case) you (?:see|get|receive|encounter|run into)\b"
    r"|\b(?:errors?|messages?) (?:such as|like) [\"'`\u201c\u2018]"
    r"|^[-*#>\d. ]{0,6}(?:the )?(?:error|message)(?: message)? [\"'`\u201c\u2018]"
    r"[^`\u201c\u201d]{8,200}[\"'`\u201d\u2019]"
    r" (?:means|is|usually|often|appears|occurs)\b"
)
"""A sentence of a guide, which quotes a message for those who may get it: `If you see "..." now, restart.`"""
_GUIDE_ANCHORS: Final = (" you ", "error", "message")
_IN_FIRST_PERSON: Final = regex(r"\b(?:i|my|me|we|our)\b")
_SENTENCE_CHARACTERS: Final = 500
_NO_WSL: Final = "dxcore initialization failed, continuing assuming a non-wsl environment"
_ASKS_WSL: Final = "attempting to load dxcore to see if we are running under windows subsystem for linux"
"""What nvidia-container-cli logs on every Linux: Windows is named, and is not there."""


def read_pasted(text: str, *, source: str = "pasted text") -> tuple[Stack, Lines]:
    """Facts and lines of a text of any length and mixture; never fails.

    Rules also see the whole of each line that was cut at a width; facts are read from what stands there.
    """
    from bringup.stack.carried import pieces, plain_characters, uncarried, whole_lines
    from bringup.stack.translated import with_english

    raws = raw_lines(plain_characters(text))
    wholes = whole_lines(raws)
    parted = with_english(raws, {index: pieces(raw) for index, raw in enumerate(raws) if "\\" in raw})
    lines = _telling(uncarried(read_lines(raws, source, parted)))
    if not wholes:
        return recognise(lines), lines
    both = {index: (*parted.get(index, (raws[index],)), *found) for index, found in wholes.items()}
    return recognise(lines), _telling(uncarried(read_lines(raws, source, {**parted, **both})))


def _telling(lines: Lines) -> Lines:
    """The lines without those that name a trouble and tell of none; the same object where there are none."""
    idle = {
        n for n, line in enumerate(lines.lines) if line.text.endswith(")") and _COMMIT.fullmatch(line.text)
    }
    if any(lines.has(anchor) for anchor in _GUIDE_ANCHORS):
        idle |= {n for n, text in enumerate(lines.folded) if _is_of_a_guide(text)}
    if lines.has(_NO_WSL):
        idle |= {n for n, text in enumerate(lines.folded) if _NO_WSL in text or _ASKS_WSL in text}
    return Lines(tuple(line for n, line in enumerate(lines.lines) if n not in idle)) if idle else lines


def _is_of_a_guide(text: str) -> bool:
    """Whether a line speaks to whoever may get a message, and not of one that came."""
    if len(text) > _SENTENCE_CHARACTERS or not any(anchor in text for anchor in _GUIDE_ANCHORS):
        return False
    return bool(_GUIDE.search(text)) and not _IN_FIRST_PERSON.search(text)


def recognise(lines: Lines) -> Stack:
    """The facts that known commands' output in the lines gives away."""
    return Stack(
        hardware=hardware.recognise(lines),
        kernel=kernel.recognise(lines),
        userspace=userspace.recognise(lines),
        nvml=parse_smi_table(lines),
        toolkit=toolkit.recognise(lines),
        build=build.recognise(lines),
        runtime=runtime.recognise(lines),
        memory=memory.recognise(lines),
        container=container.recognise(lines),
    )
