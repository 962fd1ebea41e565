"""A made-up fault in the catalogue, so that real commands can run through the real walk."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

import bringup.actions.diagnosis.doctor
import bringup.actions.diagnosis.faults
import bringup.faults._catalogue
from bringup.actions.diagnosis.doctor import Examination
from bringup.faults._catalogue import load_catalogue
from bringup.faults._diagnose import diagnose
from bringup.faults._fault import Evidence, Fault, Layer, Safety, Slot, Step, Word
from bringup.faults._scene import Scene
from bringup.stack.stack import Stack

MADE_ID = "made-up-fault"


def made_fault(
    steps: tuple[Step, ...],
    *,
    is_there: Callable[[], bool] = lambda: True,
    values: tuple[tuple[Slot, str], ...] = (),
) -> Fault:
    """A fault that is found while `is_there` says so; everything about it is made up."""

    def check(_scene: Scene) -> Evidence | None:
        if not is_there():
            return None
        return Evidence(saw="it is there", expected="nothing", sources=("made up",), values=values)

    return Fault(
        id=MADE_ID,
        layer=Layer.RUNTIME,
        title="A made-up fault",
        symptom="A test fails.",
        reason="It was put there by a test.",
        sources=("https://example.org/",),
        limits="",
        signs=(),
        explains=(),
        steps=steps,
        check=check,
    )


def step(
    *command: Word, safety: Safety = Safety.SAFE, needs_root: bool = False, verify: tuple[Word, ...] = ()
) -> Step:
    """A step that runs a command."""
    return Step(
        "Do it.", command, safety, needs_root=needs_root, undo="none needed", touches="a test", verify=verify
    )


def put(monkeypatch: pytest.MonkeyPatch, fault: Fault) -> None:
    """Add a fault to the catalogue for one test."""
    more = (*load_catalogue(), fault)
    for module in (
        bringup.actions.diagnosis.doctor,
        bringup.actions.diagnosis.faults,
        bringup.faults._catalogue,
    ):
        monkeypatch.setattr(module, "load_catalogue", lambda: more)


def quick_look(monkeypatch: pytest.MonkeyPatch, fault: Fault) -> None:
    """Judge an empty stack by one rule in place of the whole machine by all, for many trials."""

    def look() -> Examination:
        return Examination(Stack(), diagnose(Scene(), (fault,)), (), "this machine")

    monkeypatch.setattr("bringup.faces.cli.fixing.look_again", look)


def exists(path: Path) -> Callable[[], bool]:
    """Whether a file is there."""
    return lambda: os.path.exists(path)
