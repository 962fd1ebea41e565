"""The pages of `bringup explain`: one Markdown file a term, with a few lines of data at its head."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from bringup.errors import WrongUse
from bringup.machine import files, paths
from bringup.records import dataclass

LEVELS: Final = (
    *("hardware", "kernel", "userspace", "toolkit", "build"),
    *("model", "memory", "context", "runtime"),
)
"""In the order of learning: from the card up to the answer."""

_HEAD: Final = ("also", "level", "facts", "look", "here", "faults", "see", "source")


@dataclass(frozen=True, slots=True)
class Term:
    """One page.

    Attributes:
        id: name of its file, kebab-case.
        title: as it is written.
        also: other words for it.
        level: which part of the stack it belongs to.
        order: its place within that part.
        facts: beginnings of the facts that tell of it, `layer name`.
        look: a command that shows it without us.
        here: figures of this machine that are no facts: `run.kv_cache`, `models`.
        faults: ids of what goes wrong with it.
        see: ids of other terms.
        source: where more is written.
        text: what it is, paragraphs.
        try_it: a small exercise and what one should see.
    """

    id: str
    title: str
    also: tuple[str, ...]
    level: str
    order: int
    facts: tuple[str, ...]
    look: str
    here: tuple[str, ...]
    faults: tuple[str, ...]
    see: tuple[str, ...]
    source: str
    text: str
    try_it: str


@lru_cache(maxsize=1)
def load_terms() -> tuple[Term, ...]:
    """Every page, in the order of learning."""
    folder = paths.join(paths.dirname(__file__), "terms")
    names = [name for name in files.list_names(folder) if name.endswith(".md")]
    terms = [
        parse_term(name.removesuffix(".md"), (files.read_small(paths.join(folder, name)) or b"").decode())
        for name in names
    ]
    return tuple(sorted(terms, key=lambda term: (LEVELS.index(term.level), term.order, term.id)))


def parse_term(term_id: str, text: str) -> Term:
    """A page's text.

    Raises:
        ValueError: a part is missing, or a line of its head is none of ours.
    """
    title, _, rest = text.partition("\n")
    head, _, body = rest.partition("\n\n")
    said = dict(re.findall(r"^([a-z]+): (.+)$", head, flags=re.MULTILINE))
    unknown = set(said) - set(_HEAD)
    level, _, order = said.get("level", "").partition(" ")
    what, _, try_it = body.partition("\n## Try it\n")
    missing = [name for name in ("level", "source") if not said.get(name)]
    if unknown or missing or level not in LEVELS or not order.isdigit() or not try_it.strip():
        wrong = f"unknown {sorted(unknown)}, missing {missing}, level {level!r}, or no exercise"
        raise ValueError(f"{term_id}.md: {wrong}")
    return Term(
        id=term_id,
        title=title.removeprefix("#").strip(),
        also=_split(said.get("also", ""), ","),
        level=level,
        order=int(order),
        facts=_split(said.get("facts", ""), ";"),
        look=said.get("look", ""),
        here=_split(said.get("here", ""), ","),
        faults=_split(said.get("faults", ""), ","),
        see=_split(said.get("see", ""), ","),
        source=said["source"],
        text=_paragraphs(what),
        try_it=_paragraphs(try_it),
    )


def find_term(words: str) -> Term:
    """The page of a term, by its name or another word for it; case, hyphens and a plural do not matter.

    Raises:
        WrongUse: there is none; the hint names the nearest.
    """
    wanted = _key(words)
    keys = {key: term for term in reversed(load_terms()) for key in _keys(term)}
    singular = f"{wanted.removesuffix('ies')}y" if wanted.endswith("ies") else wanted.removesuffix("s")
    found = keys.get(wanted) or keys.get(singular) or keys.get(f"{wanted}s")
    if found is not None:
        return found
    from difflib import get_close_matches

    inside = [key for key in keys if len(wanted) > 2 and (wanted in key or key in wanted)]
    near = dict.fromkeys(keys[key].title for key in [*get_close_matches(wanted, keys, n=4), *inside[:4]])
    hint = f"Near ones: {', '.join(list(near)[:4])}." if near else "bringup explain lists all terms."
    raise WrongUse(f"no page about {words[:60]}", hint=hint, reference="unknown-term")


def _keys(term: Term) -> tuple[str, ...]:
    return tuple(_key(word) for word in (term.id, term.title, *term.also))


def _key(words: str) -> str:
    return re.sub(r"[\s_-]+", " ", words.casefold()).strip(" .")


def _split(text: str, separator: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(separator) if part.strip())


def _paragraphs(text: str) -> str:
    """Paragraphs, each on one line."""
    return "\n\n".join(" ".join(part.split()) for part in text.strip().split("\n\n"))
