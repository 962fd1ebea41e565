"""A made machine in the place of this one, day after day: every command of bringup sees it and acts on it."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.cases._make.machine import Made
from tests.doctor.shown import shown_by
from tests.fix.person import Person

from bringup.faces.cli.main import run
from bringup.machine.clock import local_unix_s
from bringup.machine.live import LiveMachine
from bringup.machine.recorded import RecordedMachine

EYES = ("read", "read_text", "list_folder", "stat", "run", "environment", "disk_space", "now_s")


class Days:
    """What `LiveMachine` sees is a recorded folder, which programs of our own may exchange for another one.

    Only those programs can be run by a fix: the real ones of this machine are out of reach.
    """

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.now_s = 0.0
        self.boot = "first"
        self.programs = folder / "programs"
        self.programs.mkdir()
        self._state = folder / "state"
        self._machines: dict[str, RecordedMachine] = {}
        for name in EYES:
            monkeypatch.setattr(LiveMachine, name, partial(self._see, name))
        monkeypatch.setattr("bringup.machine.effects.find_program", self._find)
        monkeypatch.setattr("bringup.machine.clock.wall_s", lambda: self.now_s)
        monkeypatch.setattr("bringup.actions.journal.fix_record.wall_s", lambda: self.now_s)
        monkeypatch.setattr("bringup.actions.journal.fix_record.boot_id", lambda: self.boot)
        monkeypatch.setattr("bringup.actions.journal.moment._BOOT_FILE", str(folder / "boot"))
        (folder / "boot").write_text(self.boot)
        monkeypatch.setenv("TERM", "xterm")
        monkeypatch.setenv("NO_COLOR", "1")

    def _see(self, name: str, *arguments: Any, **more: Any) -> Any:
        return getattr(self._machines[self._state.read_text().strip()], name)(*arguments, **more)

    def _find(self, name: str, _search: str) -> str | None:
        path = self.programs / name
        return str(path) if path.exists() else None

    def state(self, name: str, made: Made) -> None:
        """A way that the machine can be."""
        made.write(self.folder / name, origin="made", expected=())
        self._machines[name] = RecordedMachine(str(self.folder / name))

    def program(
        self, name: str, *, becomes: str = "", only_with: str = "", prints: str = "", code: int = 0
    ) -> None:
        """A program that a fix may run: it notes its words, may change the machine, and ends."""
        change = (
            f'case "$*" in {only_with or "*"}) echo {becomes} > {self._state};; esac\n' if becomes else ""
        )
        path = self.programs / name
        more = path.read_text() if path.exists() else f'#!/bin/sh\necho "{name} $*" >> {self.folder}/ran\n'
        path.write_text(
            more.replace("exit 0\n", "")
            + change
            + (f"echo {prints!r}\n" if prints else "")
            + f"exit {code}\n"
        )
        path.chmod(0o755)

    @property
    def ran(self) -> list[str]:
        """What was run, word for word."""
        path = self.folder / "ran"
        return path.read_text().splitlines() if path.exists() else []

    def be(self, name: str, when: str) -> None:
        """The machine is in a state at a moment."""
        self._state.write_text(name)
        self.at(when)

    def at(self, when: str) -> None:
        """Time goes on."""
        self.now_s = local_unix_s(f"{when}:00")

    def restarted(self) -> None:
        """The machine has booted anew."""
        self.boot = "second"
        (self.folder / "boot").write_text(self.boot)

    def says(self, *words: str, code: int) -> str:
        """What a command shows."""
        ended, text = shown_by(*words)
        assert ended == code, text
        return text

    def walks(self, *words: str, answers: Sequence[bytes], code: int) -> Person:
        """A command with a person at the terminal."""
        with Person(*answers) as person:
            ended = run(words, console=person.console)
        assert ended == code, person.text
        return person


def in_one_line(text: str) -> str:
    return re.sub(r"\s+", " ", text)


Maker = Callable[[], Made]
