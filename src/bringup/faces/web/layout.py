"""The frame of every page: head, navigation, root faults, parts that are drawn again while one looks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from bringup import __version__
from bringup.actions.live.faults import Health, RootFault
from bringup.faces.web.html import Html, tag
from bringup.records import dataclass

PAGES: Final = (
    ("/", "Stack"),
    ("/memory", "Memory"),
    ("/live", "Live"),
    ("/plan", "Plan"),
    ("/prompt", "Prompt"),
    ("/log", "Log"),
    ("/explain", "Explain"),
)
"""Address and name of each page, in the order of the navigation."""

SCRIPTS: Final = ("live.js", "look.js", "forms.js")


@dataclass(frozen=True, slots=True)
class Frame:
    """What stands around every page.

    Attributes:
        action_token: what our own script sends with an action.
        subject: which machine, in words.
        health: what the doctor said; `None` before it did.
    """

    action_token: str
    subject: str = ""
    health: Health | None = None


def page(frame: Frame, title: str, path: str, *body: Html, live: str = "", beside: Html | None = None) -> str:
    """A whole document.

    Args:
        frame: see there.
        title: of the page.
        path: its address; the page in the navigation that it begins with is marked.
        body: what it holds.
        live: name of the page in the stream of events; empty for a page that stands still.
        beside: what stands beside the title.
    """
    head = tag(
        "div", tag("h1", title), tag("p", frame.subject) if frame.subject else None, beside, class_="head"
    )
    faults = [] if path == "/" else parts({"banner": banner(frame.health)})
    main = tag("main", head, faults, body, id="main", tabindex="-1")
    skip = tag("a", "to the content", href="#main", class_="skip")
    inside = tag("body", skip, _top(path), main, _foot(), data_live=live or None)
    document = tag("html", _head(frame, title, is_live=bool(live)), inside, lang="en")
    return f"<!doctype html>\n{document}\n"


def _head(frame: Frame, title: str, *, is_live: bool) -> Html:
    return tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="bringup-action", content=frame.action_token),
        tag("title", f"{title} · bringup"),
        tag("link", rel="stylesheet", href="/static/style.css"),
        tag("link", rel="icon", href="/static/icon.svg", type="image/svg+xml"),
        tag("noscript", tag("meta", http_equiv="refresh", content="5")) if is_live else None,
        [tag("script", src=f"/static/{name}", defer=True) for name in SCRIPTS],
    )


def _top(path: str) -> Html:
    links = [
        tag("li", tag("a", name, href=address, aria_current="page" if _is_here(address, path) else None))
        for address, name in PAGES
    ]
    mark = tag("img", src="/static/icon.svg", alt="", width=22, height=22)
    navigation = tag("nav", tag("ul", links), aria_label="pages")
    return tag(
        "header", tag("div", tag("a", mark, "bringup", href="/", class_="name"), navigation), class_="top"
    )


def _is_here(address: str, path: str) -> bool:
    return path == address or (address != "/" and path.startswith(f"{address}/"))


def _foot() -> Html:
    invite = tag(
        "form",
        tag("button", "Open in another browser", type="submit"),
        action="/invitation",
        method="post",
        data_action=True,
        data_answer="invitation",
        class_="needs-script",
    )
    return tag(
        "footer",
        tag("p", "", id="stream-state", role="status"),
        tag("p", f"bringup {__version__}: served by your own machine, asks no other."),
        invite,
        tag("p", "", id="invitation", role="status"),
    )


def banner(health: Health | None) -> Html:
    """The root faults, open ones and those that are to come; nothing where there are none."""
    if health is None or not health.roots:
        return Html("")
    rows = [
        tag(
            "p",
            tag("strong", _word(root)),
            root.title,
            " ",
            tag("a", "reason and cure", href=f"/#fault-{root.id}"),
        )
        for root in health.roots
    ]
    is_calm = all(root.is_ahead for root in health.roots)
    return tag("div", rows, class_="banner ahead" if is_calm else "banner")


def _word(root: RootFault) -> str:
    if root.is_ahead:
        return "Foretold, nothing fails yet: "
    return "Root fault: " if root.is_sure else "Likely: "


def parts(fragments: Mapping[str, Html], before: Mapping[str, Html] | None = None) -> list[Html]:
    """Named parts; the stream replaces their inside. What stands before one of them stays as it is."""
    still = before or {}
    return [
        piece
        for name, inside in fragments.items()
        for piece in (still.get(name), tag("div", inside, id=f"part-{name}", data_part=name))
        if piece is not None
    ]
