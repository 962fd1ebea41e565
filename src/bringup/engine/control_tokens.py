"""Control tokens of chat formats that stand in an answer as text: caught and named as what they are.

The engine takes an answer apart by the model's own format. Where it does not (it is too old for the model, or
the model did not keep to its format), words that are meant for the engine reach the person.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from bringup.records import dataclass

_FORMATS: Final = (
    ("harmony, gpt-oss's format", r"<\|(?:channel|start|message|constrain|return|call|end)\|>"),
    ("harmony, gpt-oss's format", r"\bassistant(?:final|commentary|analysis)(?=[A-Z\s]|to=)"),
    ("ChatML", r"<\|im_(?:start|end)\|>"),
    ("Llama 3's format", r"<\|(?:eot_id|start_header_id|end_header_id|eom_id)\|>"),
    ("Gemma's format", r"<(?:start|end)_of_turn>"),
    ("Mistral's format", r"\[/?INST\]"),
)
_QUOTED: Final = re.compile(r"```.*?(?:```|\Z)|`[^`\n]*`", re.DOTALL)


@dataclass(frozen=True, slots=True)
class RawControl:
    """Control tokens in an answer.

    Attributes:
        tokens: each once, in the order in which they came.
        format_name: whose they are.
    """

    tokens: tuple[str, ...]
    format_name: str


def find_raw_control(answer: str, *, asked: Iterable[str] = ()) -> RawControl | None:
    """Control tokens in an answer that nobody asked for.

    Args:
        answer: the text that a person sees.
        asked: what was said before; a token that stands there may well be the subject of the talk.
    """
    if not any(mark in answer for mark in ("<", "assistant", "[")):
        return None
    bare = _QUOTED.sub(" ", answer)
    said = tuple(asked)
    for format_name, pattern in _FORMATS:
        found = dict.fromkeys(match.group() for match in re.finditer(pattern, bare))
        unasked = tuple(token for token in found if not any(token in text for text in said))
        if unasked:
            return RawControl(unasked, format_name)
    return None
