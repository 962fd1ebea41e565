"""Pieces that several pages are put together from: panels, figures, legends, maps, commands."""

from __future__ import annotations

from collections.abc import Iterable

from bringup.errors import BringupError, CannotTell
from bringup.faces.render.shell_words import shell_line
from bringup.faces.web.html import Html, join, tag
from bringup.faces.web.html import text as plain
from bringup.records import dataclass


@dataclass(frozen=True, slots=True)
class Tile:
    """One figure: its name, itself, a word behind it, and whether it is one to be heeded."""

    name: str
    figure: str
    note: str = ""
    look: str = ""


def panel(
    title: str | Html, *body: Html, note: str | Html = "", right: str | Html = "", below: bool = False
) -> Html:
    """A titled box; `below` where it stands under a title of the second rank."""
    head = tag(
        "header",
        tag("h3" if below else "h2", title),
        tag("span", note, class_="soft") if note else None,
        tag("span", right, class_="right") if right else None,
    )
    return tag("section", head, *body, class_="panel")


def tiles(found: Iterable[Tile]) -> Html:
    """Figures side by side."""
    drawn = [
        tag(
            "div",
            tag("dt", one.name),
            tag(
                "dd", one.figure, tag("small", f" {one.note}") if one.note else None, class_=one.look or None
            ),
        )
        for one in found
    ]
    return tag("dl", drawn, class_="tiles") if drawn else Html("")


def pill(words: str, look: str = "") -> Html:
    """A state in a word or two."""
    return tag("span", words, class_=f"pill {look}".strip())


def swatch(look: str) -> Html:
    """The colour of a part, in a legend."""
    square = tag("rect", width=12, height=12, class_=f"use {look}")
    return tag("svg", square, viewBox="0 0 12 12", class_="swatch", aria_hidden="true")


def key(entries: Iterable[tuple[str, str]]) -> Html:
    """A legend: look and words of each part."""
    return tag("ul", [tag("li", swatch(look), " ", words) for look, words in entries], class_="key")


def more(title: str, *body: Html, id_: str) -> Html:
    """What is opened by a click; `id_` keeps it open when the part is drawn again."""
    return tag("details", tag("summary", title), *body, class_="more", id=id_)


def prose(text: str) -> list[Html]:
    """Paragraphs of ours, in which `words` stand for code."""
    return [tag("p", *inline(piece)) for piece in text.split("\n\n")]


def inline(text: str) -> Iterable[Html]:
    """A sentence of ours, in which `words` stand for code."""
    for number, piece in enumerate(text.split("`")):
        if piece:
            yield tag("code", piece) if number % 2 else plain(piece)


def command(argv: Iterable[str] | str) -> Html:
    """A command to copy."""
    text = argv if isinstance(argv, str) else shell_line(argv)
    copy = tag("button", "Copy", type="button", class_="needs-script", data_copy=True)
    return tag("div", tag("pre", text), copy, class_="command")


def trouble(problem: BringupError) -> Html:
    """An error as a person reads it."""
    words = [problem.message, *problem.context, problem.hint]
    look = "note warn" if isinstance(problem, CannotTell) else "note fault"
    return tag("div", [tag("p", word) for word in words if word], role="alert", class_=look)


def field(
    label: str, name: str, value: str, *, example: str = "", list_: str = "", wide: bool = False
) -> Html:
    """A line of a form."""
    typed = tag("input", name=name, value=value, placeholder=example or None, list=list_ or None)
    return tag("label", label, typed, class_="wide" if wide else None)


def choice(
    label: str, name: str, options: Iterable[tuple[str, str]], chosen: str, *, wide: bool = False
) -> Html:
    """A choice of a form: value and words of each option."""
    drawn = [tag("option", words, value=value, selected=value == chosen) for value, words in options]
    return tag("label", label, tag("select", drawn, name=name), class_="wide" if wide else None)


def tabs(pages: Iterable[tuple[str, str]], here: str) -> Html:
    """Pages of one kind, side by side: address and name."""
    links = [
        tag("li", tag("a", name, href=address, aria_current="page" if address == here else None))
        for address, name in pages
    ]
    return tag("nav", tag("ul", links, class_="tabs"), aria_label="views")


def mapped(drawing: Html, *below: Html) -> Html:
    """A drawing whose parts say what they are where one points or goes with the arrow keys."""
    return tag("div", drawing, join(below), class_="map")
