"""Pages that answer what one types, in Debian's Chromium: a plan, the log, what a real engine is sent."""

from __future__ import annotations

import json
import threading
import urllib.request
from pathlib import Path

import pytest
from playwright.sync_api import Browser
from tests.cases._make.machines import healthy, morning
from tests.journal.test_founding_morning import Day
from tests.serve.conftest import serve_in_front
from tests.stubs.command_line import Home
from tests.web.payloads import PAYLOADS
from tests.web.site import serving, serving_view
from tests.web.watching import Watched, check_access, keep, wait_for

from bringup.actions.journal.writing import Note, record
from bringup.actions.live.engine_map import open_maps
from bringup.actions.live.sampler import Sampler
from bringup.actions.live.view import open_view
from bringup.journal.entry import Kind
from bringup.machine.folders import our_folders
from bringup.machine.sockets import free_port


def test_a_model_of_this_disk_is_planned(browser: Browser, small_model: Path, own_home: Path) -> None:
    models = own_home / ".cache/bringup/models"
    models.mkdir(parents=True)
    (models / small_model.name).symlink_to(small_model)
    with serving() as site, browser.new_context() as context:
        watched = Watched(site.base_url)
        page = watched.open(context)
        page.goto(site.entry)
        page.goto(site.base_url + "/plan")
        page.fill("input[name=gpu]", "RTX 3060")
        page.fill("input[name=ctx]", "4k")
        wait_for(page, "#plan", "--ctx-size 4096")
        assert "gpu=RTX+3060" in page.url, "the address follows, so that it can be kept"
        assert page.locator("#plan .bar").count() == 2
        assert page.locator("#plan tr.chosen").count() == 1
        check_access(browser, context, page.url)
        keep(page, "plan")
        with page.expect_download() as saved:
            page.click("text=save it as a picture")
        assert saved.value.path().read_text().startswith("<svg")
        page.goto(site.base_url + "/plan?model=0&ctx=many")
        assert "is not a number of tokens" in page.inner_text("[role=alert]")
        page.goto(site.base_url + "/plan?model=../../etc/passwd")
        assert "no such model" in page.inner_text("[role=alert]")
        watched.check()


def test_the_log_says_what_changed_since_it_worked(browser: Browser, own_home: Path, tmp_path: Path) -> None:
    """The made morning of tests/journal, in the journal of a home of its own; and a stranger's note."""
    day = Day(tmp_path)
    day.place = our_folders()
    assert day.place.state.startswith(str(own_home))
    day.look(healthy(), "2025-07-14 23:10")
    day.look(morning(), "2025-07-15 08:12")
    payload = PAYLOADS[0]
    assert record(Note(Kind.NOTE, payload, f"{payload} was tried", {})) == ""
    with serving() as site, browser.new_context() as context:
        watched = Watched(site.base_url)
        page = watched.open(context)
        page.goto(site.entry)
        page.goto(site.base_url + "/log/since")
        assert "570.169" in page.inner_text(".rank >> nth=0")
        assert "driver-library-mismatch" in page.inner_text(".pair")
        keep(page, "log-since")
        page.goto(site.base_url + "/log/compare?first=first&second=now")
        assert "570.172.08" in page.inner_text("main")
        page.goto(site.base_url + "/log/compare?first=1999-01-01&second=now")
        assert "no state of the machine was kept" in page.inner_text("[role=alert]")
        page.goto(site.base_url + "/log?layer=kernel")
        assert "different versions" in page.inner_text("main")
        page.goto(site.base_url + "/log?q=tried")
        assert page.locator(".line").count() == 1
        assert payload in page.inner_text(".line .text")
        keep(page, "log-search")
        check_access(browser, context, page.url, site.base_url + "/log/since")
        page.click(".line a")
        assert payload in page.inner_text("pre")
        watched.check()


def test_a_real_engine_at_work(
    browser: Browser, small_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = Home(tmp_path)
    words = ("--port", str(free_port()), "--alias", "small", "--page")
    with serve_in_front(home, str(small_model), *words) as served:
        for name, value in home.environment().items():
            monkeypatch.setenv(name, value)
        view = open_view(None, interval_s=0.5)
        assert isinstance(view.sampler, Sampler)
        assert our_folders().state.startswith(str(tmp_path))
        body = {"messages": [{"role": "user", "content": "Count."}], "max_tokens": 150, "ignore_eos": True}
        headers = {"Authorization": f"Bearer {home.key}", "Content-Type": "application/json"}
        request = urllib.request.Request(
            served.base_url + "/v1/chat/completions", json.dumps(body).encode(), headers
        )
        view.sampler.start()
        work = threading.Thread(target=lambda: urllib.request.urlopen(request, timeout=100).read())
        try:
            with (
                serving_view(view, open_maps(is_live=True).of) as (access, base_url),
                browser.new_context() as context,
            ):
                watched = Watched(base_url)
                page = watched.open(context)
                page.goto(f"{base_url}/?token={access.token}")
                page.goto(base_url + "/live")
                work.start()
                wait_for(page, "#part-engines", "generated [1-9]", timeout_s=60)
                chat = page.get_attribute("text=Chat on the engine's own page", "href") or ""
                assert chat.startswith(served.base_url)
                asked = urllib.request.Request(chat, headers={"Accept-Encoding": "gzip"})
                with urllib.request.urlopen(asked, timeout=60) as answer:
                    assert answer.headers["Content-Type"].startswith("text/html")
                keep(page, "real-live")
                page.goto(base_url + "/memory")
                wait_for(page, "#part-windows", "Every layer's weights and cache")
                assert page.locator("#part-windows .columns g").count() == 32, "30 layers, two ends"
                assert "the settings that the journal has" in (page.text_content("#part-windows .more") or "")
                keep(page, "real-memory")
                work.join()
                asked = urllib.request.Request(served.base_url + "/slots", headers=headers)
                slot = {"is_processing": True}
                while slot["is_processing"]:
                    with urllib.request.urlopen(asked, timeout=60) as answer:
                        slot = json.load(answer)[0]
                n_held = slot["n_prompt_tokens"]
                page.goto(base_url + "/live")
                wait_for(page, "#part-engines", f"slot 0: {n_held:,} of 8,192 kept")
                page.goto(base_url + "/prompt?text=Hello%20%3Cb%3Ethere&sends=1&engine=" + str(served.port))
                assert "<b>there" in page.inner_text("pre.tokens")
                assert page.locator("pre.tokens .special").count() >= 2
                assert page.locator("pre.tokens .yours").count() >= 2
                shares = [float(one.rstrip(" %")) for one in page.locator(".likely > span").all_inner_texts()]
                assert len(shares) == 10
                assert 0 < sum(shares) <= 100.1
                assert shares == sorted(shares, reverse=True)
                keep(page, "real-prompt")
                check_access(browser, context, page.url)
                page.reload()
                n_tokens = int(page.inner_text("dl.tiles dd >> nth=0"))
                assert page.inner_text("dl.tiles dd >> nth=3").startswith(f"{n_tokens - 1}\n"), "now reused"
                watched.check()
        finally:
            work.join()
            view.sampler.close()
