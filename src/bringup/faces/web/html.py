"""HTML built from calls: every text is cleaned and escaped, only `Html` goes in as it is."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import Final, TypeAlias

from bringup.faces.render.clean import clean


class Html(str):
    """Markup of ours. Made by `tag`, `join` and `text` only."""

    __slots__ = ()


Child: TypeAlias = "str | Iterable[str] | None"
Attribute: TypeAlias = "str | int | float | bool | None"

_VOID: Final = frozenset({"meta", "link", "input", "img"})
_EMPTY: Final = frozenset({"rect", "line", "polyline", "path", "circle"})


def text(value: str) -> Html:
    """Foreign or own text as text."""
    return value if isinstance(value, Html) else Html(escape(clean(value), quote=True))


def join(parts: Iterable[str], between: str = "") -> Html:
    """Pieces one after the other."""
    return Html(text(between).join(text(part) for part in parts))


def tag(name: str, /, *children: Child, **attributes: Attribute) -> Html:
    """One element. Attributes: `class_` for class, `_` for `-`; `None` and `False` leave one out."""
    told = []
    for key, value in attributes.items():
        if value is None or value is False:
            continue
        shown = key.rstrip("_").replace("_", "-")
        told.append(f" {shown}" if value is True else f' {shown}="{text(_shown(value))}"')
    head = f"<{name}{''.join(told)}>"
    if name in _VOID:
        return Html(head)
    if name in _EMPTY:
        return Html(head[:-1] + "/>")
    return Html(f"{head}{_inside(children)}</{name}>")


def _shown(value: str | int | float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)


def _inside(children: Iterable[Child]) -> str:
    parts: list[str] = []
    for child in children:
        if child is None:
            continue
        if isinstance(child, str):
            parts.append(text(child))
        else:
            parts += [text(one) for one in child]
    return "".join(parts)


def table(
    titles: Iterable[str], rows: Iterable[Iterable[str]], *, caption: str, right: frozenset[int]
) -> Html:
    """A table; the columns in `right` hold figures."""
    head = [
        tag("th", title, scope="col", class_="n" if at in right else None) for at, title in enumerate(titles)
    ]
    body = [
        tag("tr", *(tag("td", cell, class_="n" if at in right else None) for at, cell in enumerate(row)))
        for row in rows
    ]
    inside = tag("table", tag("caption", caption), tag("thead", tag("tr", *head)), tag("tbody", *body))
    return tag("div", inside, class_="scroll", tabindex=0, role="region", aria_label=caption)
