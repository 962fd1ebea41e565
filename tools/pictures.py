"""Draws the README's pictures of `top` and `web`, of the made machine of tests/live: nothing is measured.

Run: `.venv-test/bin/python -m tools.pictures`. The page's picture needs Debian's chromium.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "docs/pictures"


def draw_top() -> None:
    """docs/pictures/top.svg."""
    from tests.live.test_top import made_view, settle

    from bringup.faces.tui.top import TopApp

    async def run() -> str:
        app = TopApp(made_view()[0])
        async with app.run_test(size=(110, 34)) as pilot:
            await settle(app, pilot)
            return app.export_screenshot(title="bringup top (a made machine)", simplify=True)

    svg = re.sub(r"@font-face \{.*?\}", "", asyncio.run(run()), flags=re.DOTALL)
    (FOLDER / "top.svg").write_text(svg + "\n", encoding="utf-8")


def draw_web(program: str) -> None:
    """docs/pictures/web-memory.png of the made machine, web-stack.png of a recorded morning."""
    from playwright.sync_api import sync_playwright
    from tests.faults.cases import CASES
    from tests.web.site import serving, serving_view

    from bringup.actions.live.view import open_view

    view = open_view(str(CASES / "driver-library-mismatch/morning"), interval_s=1.0)
    view.faults.look_now()
    view.sampler._publish(view.sampler.look(), None)
    with sync_playwright() as playwright, serving() as site, serving_view(view) as (access, base_url):
        options = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=program, args=options)
        page = browser.new_page(viewport={"width": 1120, "height": 900})
        page.goto(site.entry)
        page.goto(f"{site.base_url}/memory")
        page.wait_for_timeout(500)
        page.screenshot(path=str(FOLDER / "web-memory.png"))
        page.goto(f"{base_url}/?token={access.token}")
        page.wait_for_timeout(500)
        page.screenshot(path=str(FOLDER / "web-stack.png"))
        browser.close()


def main() -> int:
    """Write both; 1 without chromium."""
    os.environ["TZ"] = "UTC"
    time.tzset()
    FOLDER.mkdir(exist_ok=True)
    draw_top()
    program = shutil.which("chromium")
    if program is None:
        print("no chromium: docs/pictures/web-*.png stay as they are", file=sys.stderr)
        return 1
    draw_web(program)
    return 0


if __name__ == "__main__":
    sys.exit(main())
