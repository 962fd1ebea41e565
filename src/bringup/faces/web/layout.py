"""The frame of every page: head, navigation, parts that are drawn again while one looks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from bringup import __version__
from bringup.faces.web.html import Html, tag

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


def page(title: str, path: str, *body: Html, action_token: str, live: str = "") -> str:
    """A whole document.

    Args:
        title: of the page.
        path: its address, which is marked in the navigation.
        body: what it holds.
        action_token: what our own script sends with an action.
        live: name of the page in the stream of events; empty for a page that stands still.
    """
    links = [
        tag("li", tag("a", name, href=address, aria_current="page" if address == path else None))
        for address, name in PAGES
    ]
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="bringup-action", content=action_token),
        tag("title", f"{title} · bringup"),
        tag("link", rel="stylesheet", href="/static/style.css"),
        tag("link", rel="icon", href="/static/icon.svg", type="image/svg+xml"),
        tag("noscript", tag("meta", http_equiv="refresh", content="5")) if live else None,
        tag("script", src="/static/live.js", defer=True),
    )
    navigation = tag("nav", tag("ul", links), aria_label="pages")
    top = tag("header", tag("a", "bringup", href="/", class_="name"), navigation)
    foot = tag(
        "footer",
        f"bringup {__version__}: this page is served by your own machine and asks no other.",
        tag("p", "", id="stream-state", role="status"),
    )
    main = tag("main", tag("h1", title), body, id="main", tabindex="-1")
    skip = tag("a", "to the content", href="#main", class_="skip")
    document = tag("html", head, tag("body", skip, top, main, foot, data_live=live or None), lang="en")
    return f"<!doctype html>\n{document}\n"


def parts(fragments: Mapping[str, Html]) -> list[Html]:
    """Named parts; the stream replaces their inside."""
    return [tag("section", inside, id=f"part-{name}", data_part=name) for name, inside in fragments.items()]
