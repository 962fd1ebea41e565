"""The first four bytes of a file as loaders print them, and what they mean."""

from __future__ import annotations

from enum import Enum

from bringup.patterns import regex
from bringup.records import dataclass
from bringup.stack.lines import Line, Lines


class Found(Enum):
    """What begins like this."""

    WEB_PAGE = "a web page was saved instead of the model"
    LFS_POINTER = "a git-LFS pointer, not the file it points to"
    OTHER_FORMAT = "weights of another format (PyTorch, zip, pickle, JSON)"
    ERROR_TEXT = "the server's error message was saved instead of the model"
    OLD_GGML = "a GGML file of before August 2023"
    GGUF = "a good GGUF file"
    NOTHING = "no bytes at all: a folder or an empty file"
    ZEROS = "zeros: room was reserved and never filled"
    STRANGE = "not the beginning of a model"


@dataclass(frozen=True, slots=True)
class Magic:
    """A magic that a loader printed, decoded."""

    line: Line
    text: str
    found: Found


_HEX = regex(r"magic(?: number)?:? (?:0x)?([0-9a-fA-F]{8})\b|combination: ([0-9a-fA-F]{8})")
_CHARACTERS = regex(r"(?:invalid|bad|unexpected) magic(?: characters?)?:? (?:'(.{0,8}?)'|(\w\S{3,7}))")
_BEGINNINGS = (
    (Found.WEB_PAGE, ("<!DO", "<!do", "<htm", "<HTM", "<?xm", "<!--", "\n<!D", "<hea")),
    (Found.LFS_POINTER, ("vers",)),
    (Found.OTHER_FORMAT, ("PK", "\x80\x02", "\x80\x04", '{"me', '{"__', "{\n")),
    (Found.ERROR_TEXT, ("Inva", "Entr", "Acce", "Not ", "Repo", '{"er')),
    (Found.OLD_GGML, ("ggjt", "ggmf", "ggml", "ggla", "tjgg", "fmgg", "lmgg", "algg")),
    (Found.GGUF, ("GGUF", "FUGG")),
    (Found.ZEROS, ("\0\0\0\0",)),
)


def found_magic(lines: Lines) -> Magic | None:
    """The first magic that a loader printed in the lines.

    Raw lines: `gguf_init_from_file: invalid magic number 4f44213c`,
    `gguf_init_from_file: invalid magic characters 'vers'`, in 2023 without quotes and with what followed,
    `error loading model: unknown (magic, version) combination: 67676a74, 00000003; is this really ...`.
    """
    for line in lines.with_anchor("magic"):
        hexadecimal = _HEX.search(line.text)
        if hexadecimal is not None:
            number = int(hexadecimal[1] or hexadecimal[2], 16)
            text = number.to_bytes(4, "little").decode("latin-1")
            if text in ("tjgg", "fmgg", "lmgg", "algg"):
                text = text[::-1]
            return Magic(line, text, _decode(text))
        characters = _CHARACTERS.search(line.text)
        if characters is not None:
            text = characters[1] if characters[1] is not None else characters[2]
            return Magic(line, text, _decode(text))
    return None


def _decode(text: str) -> Found:
    for found, beginnings in _BEGINNINGS:
        if text.startswith(beginnings):
            return found
    printable = "".join(character for character in text if character.isprintable() and character != "\ufffd")
    return Found.STRANGE if len(printable) >= 3 else Found.NOTHING
