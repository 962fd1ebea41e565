"""Words as a shell reads them: what is shown can be copied, and names the same bytes."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from typing import Final

from bringup.faces.render.clean import clean

_ESCAPES: Final = {0x5C: "\\\\", 0x27: "\\'", 0x0A: "\\n", 0x09: "\\t"}


def shell_word(word: str) -> str:
    r"""One word, quoted where it has to be.

    A name with bytes that are no text, control characters or marks that turn the writing round is spelled
    byte by byte (`$'caf\351.gguf'`; bash and zsh): shown as it is, it would be another one once it is copied.
    """
    if word.isprintable() and clean(word) == word:
        return shlex.quote(word)
    return f"$'{''.join(_spelled(character) for character in word)}'"


def shell_line(words: Iterable[str]) -> str:
    """A command in one line."""
    return " ".join(map(shell_word, words))


def _spelled(character: str) -> str:
    if character.isprintable() and clean(character) == character and character not in "\\'":
        return character
    data = character.encode("utf-8", "surrogateescape")
    return "".join(_ESCAPES.get(byte, f"\\{byte:03o}") for byte in data)
