"""The page in Debian's Chromium: it loads without a murmur, stays text, serves everybody, follows along."""

from __future__ import annotations

import json
import os
import re
import shutil
import threading
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Error, Page, sync_playwright
from tests.cases._make.machines import healthy, morning
from tests.faults.cases import CASES
from tests.journal.test_founding_morning import Day
from tests.live import made
from tests.serve.conftest import serve_in_front
from tests.stubs.command_line import Home
from tests.web.payloads import PAYLOADS
from tests.web.site import serving, serving_view

from bringup.actions.engine_map import open_maps
from bringup.actions.journal import Note, record
from bringup.actions.live import LiveProcess
from bringup.actions.live_view import open_view
from bringup.actions.sampler import Sampler
from bringup.journal.entry import Kind
from bringup.machine.clock import local_time_text
from bringup.machine.folders import our_folders
from bringup.machine.sockets import free_port
from bringup.reading import Known

PAGES = (
    *("/", "/memory", "/live", "/plan", "/prompt", "/log", "/log/compare", "/log/since"),
    *("/explain", "/explain/driver-library-mismatch", "/explain/term/kv-cache"),
)
PICTURES = Path(__file__).parents[2] / ".cache/pictures"
MACHINES = {
    "healthy": "container-runtime-missing/machine-there",
    "broken": "driver-library-mismatch/morning",
    "no-card": "gpu-not-on-bus/never-had-one",
}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("no chromium")
    with sync_playwright() as playwright:
        # The sandbox needs rights that root in a container has not; only pages of ours are opened.
        options = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=program, args=options)
        yield browser
        browser.close()


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


def visit(
    browser: Browser,
    entry: str,
    base_url: str,
    name: str,
    *,
    paths: tuple[str, ...] = PAGES,
    is_whole: bool = True,
) -> None:
    """Every page, light and wide; a whole visit also dark, narrow as a phone, and by axe-core."""
    watched = Watched(base_url)
    with browser.new_context(viewport={"width": 1200, "height": 900}) as wide:
        page = watched.open(wide)
        page.goto(entry)
        assert "token" not in page.url
        for path in paths:
            page.goto(base_url + path)
            page.wait_for_timeout(150)
            assert page.locator("h1").count() == 1
            keep(page, f"{name}{path.replace('/', '-').rstrip('-')}-wide")
        state = wide.storage_state()
    watched.check()
    if not is_whole:
        return
    with browser.new_context(
        viewport={"width": 390, "height": 800}, color_scheme="dark", storage_state=state
    ) as narrow:
        page = watched.open(narrow)
        for path in paths:
            page.goto(base_url + path)
            page.wait_for_timeout(300)
            assert page.evaluate("document.documentElement.scrollWidth") <= 390, path
            keep(page, f"{name}{path.replace('/', '-').rstrip('-')}-narrow")
    watched.check()
    for scheme in ("light", "dark"):
        with browser.new_context(color_scheme=scheme, bypass_csp=True, storage_state=state) as plain:  # type: ignore[arg-type]
            page = plain.new_page()
            for path in paths:
                page.goto(base_url + path)
                assert serious(page) == [], (path, scheme)


@pytest.mark.parametrize("machine", MACHINES)
def test_recorded_machines(browser: Browser, machine: str) -> None:
    view = open_view(str(CASES / MACHINES[machine]), interval_s=1.0)
    view.faults.look_now()
    view.sampler._publish(view.sampler.look(), None)
    with serving_view(view) as (access, base_url):
        entry = f"{base_url}/?token={access.token}"
        visit(browser, entry, base_url, machine, paths=("/", "/memory", "/live"), is_whole=False)


def test_the_made_machine_and_everybody_can_use_it(browser: Browser) -> None:
    with serving() as site:
        visit(browser, site.entry, site.base_url, "made")


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


def test_the_stack_opens_on_a_click_and_tells_the_root_fault(browser: Browser) -> None:
    view = open_view(str(CASES / MACHINES["broken"]), interval_s=1.0)
    view.faults.look_now()
    view.sampler._publish(view.sampler.look(), None)
    with serving_view(view) as (access, base_url), browser.new_context() as context:
        page = context.new_page()
        page.goto(f"{base_url}/?token={access.token}")
        assert "570.169" in page.inner_text("#layer-kernel")
        check_access(browser, context, base_url + "/")
        assert not page.locator("#layer-hardware table").is_visible()
        page.click("#layer-hardware > summary")
        assert page.locator("#layer-hardware table").is_visible()
        page.click("text=the page of driver-library-mismatch")
        assert "bringup fix driver-library-mismatch" in page.inner_text("main")


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


def test_it_follows_along_and_says_when_it_cannot(browser: Browser) -> None:
    with browser.new_context() as context:
        with serving() as site:
            page = context.new_page()
            page.goto(site.entry)
            page.goto(site.base_url + "/live")
            assert "2,512 of 8,192" in page.inner_text("#part-engines")
            engine = made.engine()
            assert isinstance(engine.slots, Known)
            grown = replace(engine.slots.value[0], n_generated=400, n_tokens=2600)
            slots = Known((grown, *engine.slots.value[1:]), "/slots")
            site.sampler.give(replace(site.sampler.sample, engines=(replace(engine, slots=slots),)))
            wait_for(page, "#part-engines", "2,600 of 8,192")
            page.locator("#part-cards g").first.focus()
            site.sampler.give(made.sample())
            wait_for(page, "#part-engines", "2,512 of 8,192")
            assert page.evaluate("document.activeElement.getAttribute('aria-label')").startswith("weights")
        wait_for(page, "#stream-state", "is old")


def test_pages_can_be_read_without_javascript(browser: Browser) -> None:
    with serving() as site, browser.new_context(java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(site.entry)
        for path, words in (
            ("/memory", "KV cache, filled"),
            ("/live", "2,512 of 8,192"),
            ("/explain?q=bus", "faults"),
        ):
            page.goto(site.base_url + path)
            assert words in page.inner_text("main")
        assert page.locator("main button").is_visible(), "what a script would do, a button does"
        page.goto(site.base_url + "/live")
        assert not page.locator("text=Stop the engine").is_visible(), "and what only it can do is not offered"


def focused(page: Page) -> str:
    return str(page.evaluate("document.activeElement.getAttribute('aria-label')"))


def test_the_keyboard_reaches_every_part(browser: Browser) -> None:
    """Tab goes from map to map, the arrows from part to part; what has the focus is told beside it."""
    with serving() as site, browser.new_context() as context:
        page = context.new_page()
        page.goto(site.entry)
        page.goto(site.base_url + "/memory")
        stops = page.locator('.map [role="img"][tabindex="0"]').count()
        assert stops == page.locator(".map").count(), "one stop in each map"
        seen: set[str] = set()
        for selector in ("#part-cards .map", "#part-ram .map", "#part-windows .map >> nth=2"):
            page.locator(selector).first.locator('[tabindex="0"]').focus()
            label, before = focused(page), ""
            while label != before:
                seen.add(label)
                assert page.inner_text(".tip") == label
                page.keyboard.press("ArrowRight")
                label, before = focused(page), label
        assert len(seen) > 60
        for begins in (
            "layer 23 on CUDA0: 27.3 MiB (attention 26.9 MiB",
            "layer 23 on CUDA0: its experts 404 MiB",
            "KV cache of slot 1 of gpt-oss-20b: 6,600 of 8,192 tokens, filled",
            "plan: weights 6.1 GiB",
            "Xorg 210 MiB; by NVML",
            "page cache: gpt-oss-20b 5.0 GiB; by fincore",
            "layer 0: on CPU",
        ):
            assert any(label.startswith(begins) for label in seen), (begins, sorted(seen))
        page.keyboard.press("Escape")
        assert page.locator(".tip").count() == 0


def test_what_the_pointer_is_on_is_told(browser: Browser) -> None:
    with serving() as site, browser.new_context() as context:
        page = context.new_page()
        page.goto(site.entry)
        page.goto(site.base_url + "/memory")
        page.locator("#part-cards .map g", has=page.locator(".other")).hover()
        assert page.inner_text(".tip") == "Xorg 210 MiB; by NVML"
        page.goto(site.base_url + "/live")
        page.locator(".fine-chart .chart").first.hover()
        assert re.fullmatch(r"[\d:APM ]+: gpt-oss-20b \d+\.\d tokens/s", page.inner_text(".tip"))


def test_an_action_asks_first(browser: Browser) -> None:
    with serving() as site, browser.new_context() as context:
        page = context.new_page()
        page.goto(site.entry)
        page.goto(site.base_url + "/live")
        asked = []
        page.once("dialog", lambda dialog: (asked.append(dialog.message), dialog.dismiss()))
        page.click("text=Stop the engine on port 8080")
        assert len(asked) == 1
        assert page.inner_text("#stream-state") == "live"
        page.once("dialog", lambda dialog: dialog.accept())
        page.click("text=Stop the engine on port 8080")
        wait_for(page, "#stream-state", "no engine is called")


def test_the_doctor_looks_again_when_asked_to(browser: Browser) -> None:
    with serving() as site, browser.new_context() as context:
        page = context.new_page()
        page.goto(site.entry)
        page.click("text=Look again")
        wait_for(page, "#stream-state", "looks again")
        assert site.faults.n_again == 1
        page.click("text=Open in another browser")
        wait_for(page, "#invitation", "token=")
        with browser.new_context() as other:
            second = other.new_page()
            second.goto(page.inner_text("#invitation"))
            assert second.inner_text("h1") == "Stack"


def hostile_process(number: int, payload: str) -> LiveProcess:
    row = made.process(1000 + number, 1, payload[:15], "", resident=1, cpu=0.0)
    return replace(row, command=(payload,), user=payload)


def test_two_hundred_payloads_stay_text(browser: Browser) -> None:
    assert len(set(PAYLOADS)) == 200
    with serving() as site, browser.new_context() as context:
        watched = Watched(site.base_url)
        page = watched.open(context)
        page.goto(site.entry)
        page.goto(site.base_url + "/live")
        rows = tuple(hostile_process(number, payload) for number, payload in enumerate(PAYLOADS))
        for start in range(0, 200, 10):
            few = PAYLOADS[start : start + 10]
            engines = tuple(
                replace(made.engine(payload), port=9000 + at, state="failed", trouble=payload, build=payload)
                for at, payload in enumerate(few)
            )
            cards = tuple(
                replace(card, card=replace(card.card, name=Known(few[at], "NVML")))
                for at, card in enumerate(made.cards(engines))
            )
            sample = replace(
                made.sample(),
                engines=engines,
                cards=Known(cards, "NVML"),
                processes=rows,
                subject=few[0],
                taken_s=made.NOW_S + start + 1,
            )
            site.sampler.give(sample)
            wait_for(page, "#part-now", local_time_text(sample.taken_s)[11:19])
            assert page.locator("#part-engines form").count() == 10
        for path in (
            "/memory",
            "/live",
            "/",
            *(f"/explain?q={urllib.request.quote(p)}" for p in PAYLOADS[::20]),
        ):
            page.goto(site.base_url + path)
            for part in page.locator(".map").all():
                part.locator('[tabindex="0"]').focus()
                assert page.locator(".tip *").count() == 0, "what is told beside a part is text"
        assert page.evaluate("window.hit") is None
        page.goto(site.base_url + "/live")
        assert "<script>window.hit=1</script>" in page.inner_text("#part-processes")
        assert (
            page.locator("main script, main iframe, main object, main base, main link, main img").count() == 0
        )
        watched.check()


def test_payloads_do_act_where_nobody_escapes_and_the_policy_is_a_second_wall(browser: Browser) -> None:
    """The test above can fail: these texts act as markup, and even then our own page refuses them."""
    with serving() as site:
        with browser.new_context(bypass_csp=True) as unguarded:
            page = unguarded.new_page()
            page.goto(site.entry)
            page.evaluate("(text) => { document.body.innerHTML = text }", PAYLOADS[10])
            page.wait_for_timeout(300)
            assert page.evaluate("window.hit") == 1
        with browser.new_context() as guarded:
            page = guarded.new_page()
            page.goto(site.entry)
            with pytest.raises(Error, match="TrustedHTML"):
                page.evaluate("(text) => { document.body.innerHTML = text }", PAYLOADS[10])
            assert page.evaluate("window.hit") is None


def test_a_real_engine_at_work(
    browser: Browser, small_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = Home(tmp_path)
    with serve_in_front(home, str(small_model), "--port", str(free_port()), "--alias", "small") as served:
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
                keep(page, "real-live")
                page.goto(base_url + "/memory")
                wait_for(page, "#part-windows", "Every layer's weights and cache")
                assert page.locator("#part-windows .columns g").count() == 32, "30 layers, two ends"
                assert "the settings that the journal has" in (page.text_content("#part-windows .more") or "")
                keep(page, "real-memory")
                work.join()
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
