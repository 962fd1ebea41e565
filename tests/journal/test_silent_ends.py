"""What ends without a word (a kill, Ctrl-C, a power cut) is in the log, with when it was noticed."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.journal.writing import all_entries, place_in, python, verified
from tests.stubs.command_line import Home, argv, engine_processes, run_cli
from tests.stubs.terminal import Terminal

from bringup.actions.journal.silent_ends import own_mark, unclosed
from bringup.actions.journal.writing import Note, record
from bringup.actions.log.timeline import read_timeline
from bringup.actions.running.engine_ends import note_ends
from bringup.actions.setting_up import setup
from bringup.actions.setting_up.choice import SetupWishes
from bringup.actions.setting_up.record import SetupRecord
from bringup.actions.setting_up.source import SourceWishes
from bringup.journal.entry import Kind
from bringup.machine.folders import Folders


def place_of(home: Home) -> Folders:
    return Folders("", "", str(home.state))


def start(run: str, **more: Any) -> Note:
    return Note(Kind.RUN, "model", f"model runs as {run}", {"phase": "started", "run": run, **more})


def texts(place: Folders) -> list[str]:
    return [entry.text for entry in all_entries(place)]


def test_a_chat_that_is_killed_is_closed_by_the_next_command(own_home: Path, small_model: Path) -> None:
    home = Home(own_home)
    words = argv("run", str(small_model), "--threads", "1", "--temperature", "0")
    with Terminal(words, home.environment()) as terminal:
        terminal.wait_for("Ctrl-D leaves")
        terminal.wait_until(lambda: "it goes on" in run_cli(home, "log").stdout)
        os.kill(terminal.process.pid, signal.SIGKILL)
        terminal.wait_until(lambda: not engine_processes(home))
    shown = run_cli(home, "log")
    assert shown.returncode == 0
    assert (
        "ended without a word: its program was killed, crashed or lost its terminal; it had begun"
        in shown.stdout
    )
    assert "(noticed at " in shown.stdout
    assert "it goes on" not in shown.stdout
    told = [entry for entry in all_entries(place_of(home)) if entry.kind is Kind.RUN]
    assert [entry.data["phase"] for entry in told] == ["started", "ended"]
    assert told[1].data["run"] == told[0].data["run"]
    assert run_cli(home, "log").stdout.count("ended without a word") == 1, "it is closed once"


def test_only_what_is_gone_and_tells_whose_it_was_is_closed(tmp_path: Path) -> None:
    place = place_in(tmp_path)
    pid, ticks = own_mark()["holder"]
    record(
        start("alive", **own_mark()),
        start("another-process-with-its-number", holder=[pid, ticks + 1]),
        start("nobody-knows"),
        start("ended", holder=[2**22 + 1, 5]),
        Note(Kind.RUN, "model", "model: stopped", {"phase": "ended", "run": "ended"}),
        ours=place,
    )
    before = len(texts(place))
    assert note_ends(place) == ""
    fresh = all_entries(place)[before:]
    assert [entry.data["run"] for entry in fresh] == ["another-process-with-its-number"]
    assert fresh[0].data["is_noticed_later"] is True
    assert "holder" not in fresh[0].data
    assert note_ends(place) == ""
    assert len(texts(place)) == before + 1
    assert verified(place).problems == ()


def test_after_a_restart_the_machine_ended_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = place_in(tmp_path)
    monkeypatch.setattr("bringup.actions.journal.moment._BOOT_FILE", str(tmp_path / "boot"))
    (tmp_path / "boot").write_text("first")
    record(start("a", **own_mark()), ours=place)
    assert note_ends(place) == ""
    assert len(texts(place)) == 1
    (tmp_path / "boot").write_text("second")
    assert note_ends(place) == ""
    assert "ended without a word: the machine was started again; it had begun" in texts(place)[-1]


def test_two_commands_at_once_close_it_once(tmp_path: Path) -> None:
    place = place_in(tmp_path)
    record(start("a", holder=[2**22 + 1, 5]), ours=place)
    code = (
        "import os\n"
        "from bringup.actions.running.engine_ends import note_ends\n"
        "from bringup.machine.folders import Folders\n"
        "children = []\n"
        "for _ in range(6):\n"
        "    child = os.fork()\n"
        "    if child == 0:\n"
        "        note_ends(Folders('', '', STATE))\n"
        "        os._exit(0)\n"
        "    children.append(child)\n"
        "print({os.waitpid(child, 0)[1] for child in children})\n"
    )
    done = python(code.replace("STATE", repr(place.state)), {"HOME": str(tmp_path)})
    assert done.stdout == "{0}\n", done.stderr
    assert [entry.data["phase"] for entry in all_entries(place)] == ["started", "ended"]


class Heard:
    """What a setup tells."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def step(self, _text: str) -> None: ...

    def planned(self, _plan: object) -> None: ...

    def warning(self, why: str) -> None:
        self.warnings.append(why)


def test_a_setup_that_a_person_stops_is_told_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = place_in(tmp_path)
    heard = Heard()

    def interrupted(_request: object, around: Any, watcher: Any, _model: str, record: SetupRecord) -> None:
        watcher.warning(record.begins(made_plan()))
        raise KeyboardInterrupt

    monkeypatch.setattr(setup, "_run", interrupted)
    around = type("Around", (), {"folders": place})()
    with pytest.raises(KeyboardInterrupt):
        setup.run_setup(setup.SetupRequest(SetupWishes(), SourceWishes()), around, heard, model_path="")  # type: ignore[arg-type]
    started, stopped = all_entries(place)
    assert (started.kind, started.text) == (Kind.SETUP, "b1-cpu is being built for cpu")
    assert stopped.text.startswith("b1-cpu: stopped by Ctrl-C after ")
    assert heard.warnings == ["", ""]
    (item,) = read_timeline(place, None, since_s=None, layer=None, last=9).items
    assert item.text == stopped.text
    assert unclosed(all_entries(place)) == []


def made_plan() -> setup.SetupPlan:
    from bringup.actions.setting_up.choice import Method, SetupChoice
    from bringup.engine.source_build import Backend

    choice = SetupChoice(Method.SOURCE, Backend.CPU, ("made for a test",))
    return replace(setup.SetupPlan(choice), name="b1-cpu")


def test_a_setup_that_is_killed_is_told_by_the_next_command(tmp_path: Path) -> None:
    place = place_in(tmp_path)
    code = (
        "import os, signal\n"
        "from tests.journal.test_silent_ends import made_plan\n"
        "from bringup.actions.setting_up.record import SetupRecord\n"
        "from bringup.machine.folders import Folders\n"
        f"assert SetupRecord(Folders('', '', {place.state!r})).begins(made_plan()) == ''\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    root = str(Path(__file__).parents[2])
    done = python(code, {"HOME": str(tmp_path), "PYTHONPATH": root})
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert note_ends(place) == ""
    assert (
        "b1-cpu: ended without a word: its program was killed, crashed or lost its terminal"
        in texts(place)[-1]
    )
