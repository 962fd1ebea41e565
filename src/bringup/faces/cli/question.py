"""The question of a run that gives one answer: the built-in one, or what standard input holds."""

from __future__ import annotations

from typing import Final

from bringup.errors import WrongUse
from bringup.faces.render.console import Console

DEMO_QUESTION: Final = "In one sentence: what is a language model?"
STDIN_LIMIT_BYTES: Final = 16 * 1024**2


def read_question(console: Console) -> str:
    """The question that stands on standard input.

    Raises:
        WrongUse: nothing is there, it is not text, or it is larger than 16 MiB.
    """
    data = b"" if console.stdin is None else console.stdin.buffer.read(STDIN_LIMIT_BYTES + 1)
    if len(data) > STDIN_LIMIT_BYTES:
        raise WrongUse(
            f"standard input is larger than {STDIN_LIMIT_BYTES // 1024**2} MiB", reference="input-too-large"
        )
    try:
        text = data.decode()
        nul = text.find("\0")
        if nul >= 0:
            raise UnicodeDecodeError("utf-8", b"\0", 0, 1, "a zero byte")
    except UnicodeDecodeError as problem:
        at = data.find(b"\0") if problem.reason == "a zero byte" else problem.start
        raise WrongUse(
            f"standard input is not text: byte {data[at]:#04x} at offset {at:,}",
            hint="A question is UTF-8 text.",
            reference="input-not-text",
        ) from problem
    if not text.strip():
        raise WrongUse(
            "there is no question",
            context=("standard input is not a terminal and has nothing in it",),
            hint='Give one: bringup run --prompt "..." or through a pipe.',
            reference="no-question",
        )
    return text
