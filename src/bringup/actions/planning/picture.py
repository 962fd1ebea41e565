"""Write a plan's picture where the user wants it, and never over something that is no picture."""

from __future__ import annotations

from typing import Final

from bringup.errors import WrongUse
from bringup.machine import files, paths

_START: Final = b"<svg"
_LIMIT_BYTES: Final = 16 * 1024**2


def write_picture(path: str, text: str) -> None:
    """Write it; an older picture is replaced, any other file is not.

    Raises:
        WrongUse: something that is no SVG picture is at the path, or there is no such folder.
        FileTrouble: it cannot be written.
    """
    target = paths.absolute(path)
    if not files.is_folder(paths.dirname(target)):
        raise WrongUse(
            f"there is no folder {paths.dirname(target)}", hint="Give a name in one that is there."
        )
    if files.exists(target) and not _is_picture(target):
        raise WrongUse(f"{path} is there and is no SVG picture", hint="Give another name: --svg plan.svg")
    files.write_atomic(target, text.encode(), mode=0o644)


def _is_picture(path: str) -> bool:
    if files.is_folder(path) or files.size_bytes(path) > _LIMIT_BYTES:
        return False
    return (files.read_small(path, limit_bytes=_LIMIT_BYTES) or b"").startswith(_START)
