"""Cards by name, as their driver says it or as people type it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from bringup.errors import UnknownCard
from bringup.patterns import regex
from bringup.plan.cards import Card, card_at, card_titles
from bringup.records import dataclass
from bringup.units import GIB

_PIECES: Final = regex(r"\d+gb|sxm\d?|hbm\d?|[a-z]+|\d+")
_MEMORY: Final = regex(r"\d+gb")
_SAME: Final = {"mobile": "laptop", "notebook": "laptop", "s": "super"}
_NOISE: Final = frozenset(
    (
        *("nvidia", "corporation", "geforce", "tesla", "generation", "amd", "radeon", "instinct"),
        *("intel", "apple", "graphics", "gpu", "card", "desktop"),
    )
)
"""Words that tell no card from another."""
_SERIES: Final = frozenset(("rtx", "gtx", "rx", "arc", "blackwell", "workstation", "edition"))
"""Words that may be left out: the number says the same."""
_VARIANTS: Final = regex(r"\d+gb|pcie|sxm\d?|hbm\d?")
"""Words that may be left out where only one card remains."""
_LIKE: Final = 0.8
"""From here on a name is near: most of its letters in order, or half of them and a shared word."""
_MEMORY_TOLERANCE: Final = 0.12
"""A driver keeps some of a card's memory for itself; sizes that are sold differ by a fifth at least."""


@dataclass(frozen=True, slots=True)
class _Title:
    """One name of a card: its place in the file, and its words."""

    place: int
    name: str
    memory_gib: float
    words: frozenset[str]
    extra: frozenset[str]
    """Words in round brackets, which nobody needs to type."""
    spelled: str
    """All words in order."""


def find_card(name: str, memory_bytes: int = 0) -> Card | None:
    """The card of this name; `None` when none is listed, or several are and nothing tells them apart.

    Only whole names match: an `RTX 4070` is not an `RTX 4070 Ti`.

    Args:
        name: `NVIDIA GeForce RTX 3060`, `3060 12gb`, `4090 laptop`.
        memory_bytes: what the driver says; tells cards of one name apart. 0 where not known.
    """
    places = _candidates(name, memory_bytes)
    return card_at(places[0]) if len(places) == 1 else None


def card_named(name: str) -> Card:
    """The card of this name.

    Raises:
        UnknownCard: it is not listed, or several are; the hint names them.
    """
    places = _candidates(name, 0)
    if len(places) == 1:
        return card_at(places[0])
    if places:
        names = ", ".join(card_at(place).name for place in places)
        raise UnknownCard(f"several cards are called {name!r}", hint=f"Say which: {names}.")
    near = near_names(name)
    say = f"Near names: {', '.join(near)}. " if near else ""
    raise UnknownCard(
        f"no card {name!r} is known here",
        hint=f"{say}For a card that is not listed give its memory with --vram; its speed is then not told.",
    )


def near_names(name: str, *, count: int = 5) -> tuple[str, ...]:
    """Listed names that are like this one, the nearest first; none where nothing is like it."""
    import difflib

    wanted, _, memory_gib = _words_of(name)
    if not wanted - _SERIES:
        return ()
    typed = " ".join(_split(_spelled(name)))
    rated: dict[str, float] = {}
    for title in _titles():
        shared = len(wanted & title.words - _SERIES) / len(wanted | title.words)
        likeness = difflib.SequenceMatcher(None, typed, title.spelled).ratio()
        score = likeness + shared + (0.2 if memory_gib and memory_gib == title.memory_gib else 0.0)
        rated[title.name] = max(score, rated.get(title.name, 0.0))
    best = sorted(rated, key=lambda one: -rated[one])
    return tuple(one for one in best if rated[one] >= _LIKE)[:count]


def _candidates(name: str, memory_bytes: int) -> Sequence[int]:
    """Places of the cards that a name may mean; the plainest reading alone where there is one."""
    wanted, extra, memory_gib = _words_of(name)
    if not wanted - _SERIES:
        return ()
    exact: list[_Title] = []
    loose: list[_Title] = []
    for title in _titles([word for word in wanted if word.isdigit()]):
        left = title.words - wanted - _SERIES
        if not wanted <= title.words or (memory_gib and title.memory_gib != memory_gib):
            continue
        if all(_VARIANTS.fullmatch(word) for word in left):
            (loose if left else exact).append(title)
    if memory_bytes:
        fitting = [one for one in (*exact, *loose) if _is_of_size(one, memory_bytes)]
        exact, loose = (fitting, []) if fitting else (exact, loose)
    same_extra = [title for title in exact if title.extra == extra]
    return tuple(dict.fromkeys(title.place for title in same_extra or exact or loose))


def _is_of_size(title: _Title, memory_bytes: int) -> bool:
    return abs(title.memory_gib * GIB - memory_bytes) <= _MEMORY_TOLERANCE * title.memory_gib * GIB


def _spelled(name: str) -> str:
    """Lower case, memory sizes in one word, the name in square brackets alone where pci.ids gives a chip too.

    Raw: `GA102 [GeForce RTX 3080 Ti]`.
    """
    lowered = name.lower().replace("gib", "gb")
    inside = re.search(r"\[(.+?)\]", lowered)
    return re.sub(r"(\d)\s+(gb)\b", r"\1\2", inside[1] if inside else lowered)


def _words_of(name: str) -> tuple[frozenset[str], frozenset[str], float]:
    """Words outside and inside round brackets, and the memory in GiB that is among them (0 for none)."""
    spelled = _spelled(name)
    plain = _split(re.sub(r"\(.*?\)", " ", spelled))
    inside = _split(" ".join(re.findall(r"\((.*?)\)", spelled)))
    sizes = [word for word in plain if _MEMORY.fullmatch(word)]
    return frozenset(plain) - set(sizes), frozenset(inside), float(sizes[0][:-2]) if sizes else 0.0


def _split(text: str) -> list[str]:
    words = [_SAME.get(word, word) for word in _PIECES.findall(text)]
    return [word for word in words if word not in _NOISE]


def _titles(numbers: Iterable[str] = ()) -> Iterator[_Title]:
    """All names of all cards, or only of those that hold these numbers: taking names apart is slow."""
    for place, (names, memory_gib) in enumerate(card_titles()):
        for name in names:
            if all(number in name for number in numbers):
                yield _title(place, names[0], memory_gib, name)


def _title(place: int, first_name: str, memory_gib: float, name: str) -> _Title:
    words, extra, memory = _words_of(name)
    if memory:
        words |= {f"{memory:.0f}gb"}
    return _Title(place, first_name, memory_gib, words, extra, " ".join(_split(_spelled(name))))
