"""What the browser's tests share: who listens to what a page murmurs, waits for its text, asks axe-core."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Page

PICTURES = Path(__file__).parents[2] / ".cache/pictures"


@dataclass
class Watched:
    """What a browser's context murmured and whom it asked."""

    base_url: str
    murmurs: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)

    def open(self, context: BrowserContext) -> Page:
        page = context.new_page()
        page.on("console", lambda message: self.murmurs.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: self.murmurs.append(str(error)))
        page.on("dialog", lambda dialog: (self.murmurs.append(dialog.message), dialog.dismiss()))
        page.on("request", self.note)
        return page

    def note(self, request: Any) -> None:
        if not request.url.startswith((self.base_url, "data:")):
            self.foreign.append(request.url)

    def check(self) -> None:
        assert self.murmurs == []
        assert self.foreign == []


def keep(page: Page, name: str) -> None:
    """Keep a picture, to be looked at."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=str(PICTURES / f"{name}.png"), full_page=True)


def wait_for(page: Page, selector: str, pattern: str, *, timeout_s: float = 20.0) -> None:
    """Wait until a part's text matches; the page's policy lets no browser evaluate a condition."""
    until_s = time.monotonic() + timeout_s
    text = ""
    while time.monotonic() < until_s:
        text = page.inner_text(selector)
        if re.search(pattern, text):
            return
        page.wait_for_timeout(100)
    raise AssertionError(f"{selector} never matched {pattern!r}: {text[:2000]}")


def serious(page: Page) -> list[str]:
    """What axe-core finds that keeps people out."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page).response["violations"]
    return [
        f"{one['id']}: {one['nodes'][0]['html'][:160]}"
        for one in found
        if one["impact"] in ("serious", "critical")
    ]


def check_access(browser: Browser, context: BrowserContext, *addresses: str) -> None:
    """What axe-core says of pages with something on them; light and dark, and as wide as a phone."""
    state = context.storage_state()
    for scheme in ("light", "dark"):
        with browser.new_context(
            color_scheme=scheme,  # type: ignore[arg-type]
            bypass_csp=True,
            storage_state=state,
            viewport={"width": 390, "height": 800},
        ) as plain:
            page = plain.new_page()
            for address in addresses:
                page.goto(address)
                assert serious(page) == [], (address, scheme)
                assert page.evaluate("document.documentElement.scrollWidth") <= 390, address
