"""Which model a command line means, before anything is looked for."""

from __future__ import annotations

from bringup.store.catalogue import DEFAULT_MODEL
from bringup.store.names import ShortName, parse_name


def model_to_run(typed: str | None, configured: str | None) -> str:
    """The name to look for: as typed, else as configured, else the small default model.

    An empty one that was typed (a variable that is not set) is not taken for none.
    """
    return typed if typed is not None else configured or DEFAULT_MODEL


def short_name(name: str) -> str | None:
    """A typed short name as the catalogue writes it; `None` for a path, a repository or an address.

    Raises:
        WrongUse: the name is none.
    """
    return name.strip().lower() if isinstance(parse_name(name), ShortName) else None
