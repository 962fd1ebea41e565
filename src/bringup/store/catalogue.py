"""Short names: the catalogue and the nearest entries to a name that is not in it."""

from __future__ import annotations

from functools import cache
from typing import Any

from bringup.errors import WrongUse
from bringup.machine import files, paths
from bringup.records import dataclass
from bringup.store.names import HubName, ShortName
from bringup.units import MIB

DEFAULT_MODEL = "smollm2-135m"
"""What a fresh machine runs when no model is named."""


@dataclass(frozen=True, slots=True)
class CatalogueEntry:
    """A short name and what it stands for.

    `sha256` and `size_bytes` are `None` where nobody of ours computed them; `checked` is the day on which
    somebody saw repository and file, `None` when nobody did. `temperature` and `top_p` are what its authors
    recommend for sampling, `None` where the engine's own defaults serve.
    """

    name: str
    aliases: tuple[str, ...]
    repo: str
    file: str | None
    quant: str | None
    sha256: str | None
    size_bytes: int | None
    about: str
    checked: str | None
    temperature: float | None = None
    top_p: float | None = None

    @property
    def hub_name(self) -> HubName:
        """Where the hub has it."""
        return HubName(self.repo, None if self.file else self.quant, self.file)


@cache
def catalogue() -> tuple[CatalogueEntry, ...]:
    """All entries, in the order of the file."""
    import tomllib

    # Read by its path: importlib.resources loads archives and random numbers, and every run comes here.
    data = files.read_small(paths.join(paths.dirname(__file__), "catalogue.toml"), limit_bytes=MIB)
    return tuple(_entry(record) for record in tomllib.loads((data or b"").decode())["model"])


def _entry(record: dict[str, Any]) -> CatalogueEntry:
    return CatalogueEntry(
        name=record["name"],
        aliases=tuple(record.get("aliases", ())),
        repo=record["repo"],
        file=record.get("file"),
        quant=record.get("quant"),
        sha256=record.get("sha256"),
        size_bytes=record.get("size_bytes"),
        about=record.get("about", ""),
        checked=record.get("checked"),
        temperature=record.get("temperature"),
        top_p=record.get("top_p"),
    )


def entry_of_file(name: str) -> CatalogueEntry | None:
    """The entry whose file bears this name, wherever it lies; `None` for a file that is in no entry."""
    return next((entry for entry in catalogue() if entry.file == name), None)


def look_up(name: ShortName) -> tuple[CatalogueEntry, HubName]:
    """The entry of a short name and the hub name it means; `qwen3:4b` is read as `qwen3-4b`.

    Raises:
        WrongUse: no such entry; the nearest ones are listed.
    """
    whole = f"{name.name}-{name.variant.lower()}" if name.variant else name.name
    for wanted, quant in ((whole, None), (name.name, name.variant)):
        for entry in catalogue():
            if wanted == entry.name or wanted in entry.aliases:
                return entry, HubName(entry.repo, quant) if quant else entry.hub_name
    raise WrongUse(
        f"no model is called {whole!r} here",
        context=(f"{'like it' if is_like_any(whole) else 'short names'}: {', '.join(nearest(whole))}",),
        hint="`bringup models --catalogue` lists short names; user/repo or a path do as well.",
        reference="unknown-model",
    )


def nearest(text: str) -> tuple[str, ...]:
    """Up to five short names most like a text; the first five where none is."""
    return _like(text) or tuple(entry.name for entry in catalogue()[:5])


def is_like_any(text: str) -> bool:
    """Whether a text is like any short name at all."""
    return bool(_like(text))


def _like(text: str) -> tuple[str, ...]:
    import difflib

    names = [name for entry in catalogue() for name in (entry.name, *entry.aliases)]
    return tuple(difflib.get_close_matches(text, names, n=5, cutoff=0.4))
