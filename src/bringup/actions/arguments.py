"""Text that is none: bytes that the system could not decode, and handed on as halves of characters."""

from __future__ import annotations

from collections.abc import Sequence

from bringup.errors import WrongUse
from bringup.machine import files


def checked_text(text: str, what: str) -> str:
    """The same text, where it is one.

    Raises:
        WrongUse: it holds a byte that is no UTF-8; `what` says where.
    """
    try:
        text.encode()
    except UnicodeEncodeError as problem:
        byte = ord(text[problem.start]) & 0xFF
        raise WrongUse(
            f"{what} is not text: byte {byte:#04x} at character {problem.start:,}",
            hint="Text is UTF-8 here, and so must the terminal's locale be (LC_ALL=C.UTF-8).",
            reference="input-not-text",
        ) from problem
    return text


def refuse_bytes(arguments: Sequence[str]) -> None:
    """Let the name of a file pass, which may be any bytes, and refuse all else that is no text.

    Raises:
        WrongUse: an argument holds a byte that is no UTF-8, and no file is called so.
    """
    for number, argument in enumerate(arguments, start=1):
        value = argument.partition("=")[2] if argument.startswith("--") else argument
        if not files.is_named(value):
            checked_text(value, f"argument {number}")
