"""The screen of `bringup top`: keys by Textual's pilot, golden pictures at three sizes, a real terminal."""

from __future__ import annotations

import asyncio
import difflib
import os
import pty
import re
import select
import signal
import subprocess
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.faults.cases import CASES
from tests.live import made
from tests.stubs.command_line import Home, argv

from bringup.actions.live.faults import Health
from bringup.actions.live.sample import LiveProcess, Sample
from bringup.actions.live.view import LiveView, open_view
from bringup.faces.tui.board import PROCESSES
from bringup.faces.tui.dialogs import EndQuestion, FilterLine, TextScreen
from bringup.faces.tui.top import TopApp
from bringup.machine import process

GOLDEN = Path(__file__).with_name("golden")
SIZES = ((60, 20), (110, 40), (250, 60))
MACHINES = {
    "healthy": "container-runtime-missing/machine-there",
    "mismatch": "driver-library-mismatch/morning",
    "no-card": "gpu-not-on-bus/never-had-one",
}


class MadeSampler:
    """Hands out samples that a test makes."""

    def __init__(self, sample: Sample) -> None:
        self.sample = sample
        self.history = made.history()
        self.interval_s = 1.0
        self.problem: Exception | None = None
        self._tell: Callable[[], object] | None = None

    def on_sample(self, tell: Callable[[], object] | None) -> None:
        self._tell = tell

    def latest(self) -> Sample:
        return self.sample

    def give(self, sample: Sample) -> None:
        self.sample = replace(sample, number=self.sample.number + 1)
        self.tell()

    def fail(self, problem: Exception) -> None:
        self.problem = problem
        self.tell()

    def tell(self) -> None:
        assert self._tell is not None, "the screen wants to be told"
        self._tell()


class MadeFaults:
    """What the doctor said."""

    health: Health | None = made.HEALTH
    events = made.EVENTS


def made_view(sample: Sample | None = None, *, is_live: bool = True) -> tuple[LiveView, MadeSampler]:
    sampler = MadeSampler(sample or made.sample())
    view: Any = LiveView(sampler, MadeFaults(), is_live)  # type: ignore[arg-type]
    return view, sampler


@pytest.fixture(autouse=True)
def in_utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


async def settle(app: TopApp, pilot: Any) -> None:
    """Wait until the first sample is shown and the screen stands still."""
    before = ""
    for _ in range(100):
        await pilot.pause(0.1)
        text = shown(app)
        if text == before and "COMMAND" in text and app._sample is not None:
            return
        before = text
    raise AssertionError(f"the screen did not come to rest:\n{before}")


async def until(pilot: Any, holds: Callable[[], bool]) -> None:
    """Wait until it holds; what never comes fails."""
    for _ in range(300):
        await pilot.pause()
        if holds():
            return
        await asyncio.sleep(0.02)
    raise AssertionError(f"it never came:\n{shown(pilot.app)}")


def drive(
    view: LiveView, steps: Callable[[TopApp, Any], Awaitable[None]], size: tuple[int, int] = (110, 40)
) -> None:
    """Run the screen without a terminal and let a pilot press keys."""

    async def run() -> None:
        app = TopApp(view)
        async with app.run_test(size=size) as pilot:
            await settle(app, pilot)
            await steps(app, pilot)

    asyncio.run(run())


def shown(app: TopApp) -> str:
    """The screen as text."""
    lines = []
    for strip in app.screen._compositor.render_strips():
        lines.append("".join(segment.text for segment in strip).rstrip())
    return "\n".join(lines)


def picture(app: TopApp) -> str:
    """The screen as SVG, without the address of a font."""
    svg = app.export_screenshot(title="bringup top", simplify=True)
    return re.sub(r"@font-face \{.*?\}", "", svg, flags=re.DOTALL) + "\n"


def compare(name: str, svg: str, request: pytest.FixtureRequest) -> None:
    path = GOLDEN / f"{name}.svg"
    if request.config.getoption("--update-golden"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(svg, encoding="utf-8")
    there = path.read_text(encoding="utf-8") if path.is_file() else ""
    difference = list(difflib.unified_diff(there.splitlines(), svg.splitlines(), lineterm="", n=0))[:10]
    assert there == svg, "\n".join([f"{name} differs; look at it, then --update-golden", *difference])


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def test_the_made_machine_looks_as_it_did(size: tuple[int, int], request: pytest.FixtureRequest) -> None:
    async def look(app: TopApp, _: Any) -> None:
        compare(f"made-{size[0]}x{size[1]}", picture(app), request)

    drive(made_view()[0], look, size)


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("machine", MACHINES)
def test_recorded_machines_look_as_they_did(
    machine: str, size: tuple[int, int], request: pytest.FixtureRequest
) -> None:
    view = open_view(str(CASES / MACHINES[machine]), interval_s=1.0)
    sample = view.sampler.look()
    view.faults.look_now()
    view.sampler._publish(sample, None)

    async def look(app: TopApp, _: Any) -> None:
        assert "recording" in shown(app)
        compare(f"{machine}-{size[0]}x{size[1]}", picture(app), request)

    drive(view, look, size)


def test_the_memory_bar_names_every_holder() -> None:
    async def look(app: TopApp, _: Any) -> None:
        text = shown(app)
        for words in (
            "weights 6.0 GiB",
            "KV cache, filled",
            "KV cache, reserved",
            "compute 398 MiB",
            "Xorg 210 MiB",
        ):
            assert words in text, words
        assert "held down by power limit" in text
        assert "card 1  NVIDIA GeForce RTX 3060  GPU is lost" in text
        assert "A card does not answer on the PCIe bus any more" in text
        assert "2,512 of 8,192: reused 1,800, read 400, generated 312" in text
        assert "2 waiting" in text

    drive(made_view()[0], look)


def chosen(app: TopApp) -> LiveProcess:
    found = app.board.table.chosen
    assert found is not None
    return found


def test_sort_tree_filter() -> None:
    async def press(app: TopApp, pilot: Any) -> None:
        assert chosen(app).process_id == 812
        await pilot.press("M")
        await pilot.press("home")
        assert chosen(app).process_id == 812
        await pilot.press("P", "r", "home")
        assert chosen(app).cpu_share == 0.0
        await pilot.press("s", "home")
        assert app.board.table.view.order.value == "USER"
        await pilot.press("t")
        assert "└ llama-server" in shown(app)
        await pilot.press("slash", *"xorg")
        assert chosen(app).name == "Xorg"
        assert "firefox" not in shown(app)
        await pilot.press("enter")
        assert not app.query_one(FilterLine).display
        await pilot.press("escape")
        assert "firefox" in shown(app)
        await pilot.press("f", *"nothing-fits", "enter", "e")
        assert isinstance(app.screen, TextScreen), "with no row chosen the help is shown"

    drive(made_view()[0], press)


def test_the_cursor_stays_on_its_process() -> None:
    view, sampler = made_view()

    async def press(app: TopApp, pilot: Any) -> None:
        await pilot.press("down", "down")
        number = chosen(app).process_id
        rows = made.processes("x")
        sampler.give(replace(sampler.sample, processes=tuple(reversed(rows)), subject="turned round"))
        await until(pilot, lambda: "turned round" in shown(app))
        assert chosen(app).process_id == number
        sampler.give(replace(sampler.sample, processes=()))
        await until(pilot, lambda: app.board.table.chosen is None)
        await pilot.press("down", "up", "end", "pagedown", "k")
        assert not isinstance(app.screen, EndQuestion), "nobody is chosen, so nobody is ended"

    drive(view, press)


def test_pause_stands_still_and_goes_on() -> None:
    view, sampler = made_view()

    async def press(app: TopApp, pilot: Any) -> None:
        await pilot.press("space")
        sampler.give(replace(sampler.sample, subject="a later machine"))
        await until(pilot, lambda: "paused" in shown(app))
        assert "a later machine" not in shown(app)
        await pilot.press("space")
        await until(pilot, lambda: "a later machine" in shown(app))
        await pilot.press("plus")
        assert sampler.interval_s == 2.0

    drive(view, press)


@pytest.mark.parametrize(
    ("tabs", "title", "words"),
    [
        (1, "this machine", "page cache"),
        (2, "card 0", "taken for the rest of the window"),
        (3, "card 1", "bringup doctor has the reason"),
        (4, "engine 8080", "as 8080.log says"),
        (0, "process", "mapped files included"),
    ],
)
def test_what_has_the_focus_is_explained(tabs: int, title: str, words: str) -> None:
    async def press(app: TopApp, pilot: Any) -> None:
        await pilot.press(*["tab"] * tabs, "e")
        text = shown(app)
        assert title in text
        assert words in text
        await pilot.press("escape")
        assert not isinstance(app.screen, TextScreen)

    drive(made_view()[0], press)


def test_help_names_every_key_and_every_sign() -> None:
    async def press(app: TopApp, pilot: Any) -> None:
        await pilot.press("question_mark")
        text = shown(app)
        assert "after a question" in text
        assert "keys and values of the tokens" in text

    drive(made_view()[0], press, (110, 50))


def test_a_card_that_vanishes_and_an_engine_that_comes(request: pytest.FixtureRequest) -> None:
    view, sampler = made_view()

    async def press(app: TopApp, pilot: Any) -> None:
        await pilot.press("tab", "tab")
        assert app.board.chosen == "card 0"
        sampler.give(made.without_cards("the library killed the process that asked it (signal 11)"))
        await until(pilot, lambda: "signal 11" in shown(app))
        assert app.board.chosen == PROCESSES, "what is gone is not chosen any more"
        sampler.give(replace(made.sample(), engines=()))
        await until(pilot, lambda: "No engine is running." in shown(app))
        sampler.give(made.sample())
        await until(pilot, lambda: "engine 8080" in shown(app))

    drive(view, press)


def test_a_hostile_name_stays_text() -> None:
    async def look(app: TopApp, _: Any) -> None:
        text = shown(app)
        assert "evil[red]<script>alert(1)</script>" in text
        assert "\x1b" not in text
        assert "\u202e" not in text

    drive(made_view(made.sample(made.HOSTILE))[0], look, (160, 40))


def victim() -> subprocess.Popen[bytes]:
    return subprocess.Popen(["sleep", "300"])


def as_row(child: subprocess.Popen[bytes]) -> LiveProcess:
    identity = process.identity_of(child.pid)
    assert identity is not None
    row = made.process(child.pid, os.getpid(), "sleep", "sleep 300", resident=1, cpu=0.0)
    return replace(row, start_ticks=identity.start_ticks)


@pytest.mark.parametrize(("key", "ended_by"), [("y", signal.SIGTERM), ("K", signal.SIGKILL)])
def test_a_process_is_ended_after_a_yes(key: str, ended_by: signal.Signals) -> None:
    child = victim()
    view, _ = made_view(replace(made.sample(), processes=(as_row(child),)))

    async def press(app: TopApp, pilot: Any) -> None:
        await pilot.press("k")
        assert isinstance(app.screen, EndQuestion)
        await pilot.press(key)
        await until(pilot, lambda: f"process {child.pid}: " in shown(app))

    try:
        drive(view, press)
        assert child.wait(5) == -ended_by
    finally:
        child.kill()
        child.wait()


@pytest.mark.parametrize("key", ["n", "escape", "enter", "x", "k", "Y", "space"])
def test_anything_else_is_a_no(key: str) -> None:
    child = victim()
    view, _ = made_view(replace(made.sample(), processes=(as_row(child),)))

    async def press(app: TopApp, pilot: Any) -> None:
        await pilot.press("k", key)
        await until(pilot, lambda: not isinstance(app.screen, EndQuestion))

    try:
        drive(view, press)
        assert child.poll() is None
    finally:
        child.kill()
        child.wait()


def test_another_process_with_the_number_is_left_alone() -> None:
    child = victim()
    row = replace(as_row(child), start_ticks=1)
    view, _ = made_view(replace(made.sample(), processes=(row,)))

    async def press(app: TopApp, pilot: Any) -> None:
        await pilot.press("k", "K")
        await until(pilot, lambda: "it had ended already" in shown(app))

    try:
        drive(view, press)
        assert child.poll() is None
    finally:
        child.kill()
        child.wait()


def test_a_recorded_machine_has_nobody_to_end() -> None:
    async def press(app: TopApp, pilot: Any) -> None:
        await pilot.press("k")
        assert not isinstance(app.screen, EndQuestion)
        assert "a recorded machine has no process to end" in shown(app)

    drive(made_view(is_live=False)[0], press)


def test_a_sampler_that_fails_ends_the_screen_with_its_error() -> None:
    view, sampler = made_view()

    async def run() -> Exception | None:
        app = TopApp(view)
        async with app.run_test() as pilot:
            await pilot.pause()
            sampler.fail(RuntimeError("made"))
            await until(pilot, lambda: app.return_value is not None)
        return app.return_value

    assert asyncio.run(run()) is sampler.problem


def read_for(descriptor: int, seconds: float, until: bytes) -> bytes:
    """What a terminal was told, until it was told this."""
    data = b""
    end_s = time.monotonic() + seconds
    while until not in data and time.monotonic() < end_s:
        if select.select([descriptor], [], [], 0.1)[0]:
            try:
                data += os.read(descriptor, 65536)
            except OSError:
                break
    return data


def test_in_a_real_terminal_it_comes_and_goes(own_home: Path) -> None:
    ours, theirs = pty.openpty()
    import fcntl
    import struct
    import termios

    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 110, 0, 0))
    environment = Home(own_home).environment()
    child = subprocess.Popen(argv("top"), stdin=theirs, stdout=theirs, stderr=theirs, env=environment)
    os.close(theirs)
    try:
        assert b"CPU" in read_for(ours, 20, b"leave")
        os.write(ours, b"q")
        rest = read_for(ours, 20, b"\x1b[?1049l")
        assert b"\x1b[?1049l" in rest, "the terminal gets its own screen back"
        assert child.wait(20) == 0
    finally:
        child.kill()
        child.wait()
        os.close(ours)


def test_without_a_terminal_it_is_one_look(own_home: Path) -> None:
    from tests.stubs.command_line import run_cli

    done = run_cli(Home(own_home), "top", "--interval", "0.2")
    assert (done.returncode, done.stderr) == (0, "")
    assert "COMMAND" in done.stdout
    wrong = run_cli(Home(own_home), "top", "--interval", "0")
    assert wrong.returncode == 2
