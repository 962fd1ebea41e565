"""Paths as text. The one place that joins a foreign name to a folder."""

from __future__ import annotations

import os.path

from bringup.errors import WrongUse

_NAME_LIMIT_BYTES = 200


def join(folder: str, *parts: str) -> str:
    """Join names of our own choosing (constants); never pass foreign text here."""
    return os.path.join(folder, *parts)


def join_foreign(folder: str, name: str) -> str:
    """Join one foreign name (from a hub, a header, a file) to a folder.

    The name must be a plain relative path: no `..`, not absolute, no backslash, no NUL or other control
    character, no empty component, each component at most 200 bytes.

    Raises:
        WrongUse: the name could leave the folder or is no usable file name.
    """
    if not is_safe_relative(name):
        raise WrongUse(
            f"refused the file name {name[:120]!r}",
            context=("a name from outside must be a plain relative path",),
            reference="unsafe-file-name",
        )
    return os.path.join(folder, *name.split("/"))


def is_safe_relative(name: str) -> bool:
    """Whether a foreign name is a plain relative path that stays below its folder."""
    if not name or len(name) > 1000 or "\\" in name or not name.isprintable():
        return False
    return all(
        part not in ("", ".", "..") and len(part.encode("utf-8", "surrogateescape")) <= _NAME_LIMIT_BYTES
        for part in name.split("/")
    )


def basename(path: str) -> str:
    """Last component."""
    return os.path.basename(path)


def dirname(path: str) -> str:
    """Everything before the last component."""
    return os.path.dirname(path)


def absolute(path: str) -> str:
    """Absolute, `~` expanded, `..` folded; links are kept."""
    return os.path.abspath(os.path.expanduser(path))


def real(path: str) -> str:
    """Absolute with all links followed."""
    return os.path.realpath(path)


def is_inside(path: str, folder: str) -> bool:
    """Whether a path lies in a folder once all links are followed."""
    inner, outer = os.path.realpath(path), os.path.realpath(folder)
    return inner == outer or inner.startswith(outer.rstrip("/") + "/")
