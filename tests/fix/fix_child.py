"""`bringup` with a made-up fault in its catalogue: FOLDER COMMAND... -- ARGUMENTS of bringup.

The fault is there while FOLDER/cured is not. A COMMAND that begins with `root ` needs root, one that begins
with `look ` only looks. Everything else is the program as it is.
"""

from __future__ import annotations

import os
import shlex
import sys

import bringup.actions.diagnosis.doctor
import bringup.actions.diagnosis.faults
import bringup.faults._catalogue
from bringup.faces.cli.main import run
from bringup.faults._catalogue import load_catalogue
from bringup.faults._fault import Evidence, Fault, Layer, Safety, Step
from bringup.faults._scene import Scene
from bringup.machine import rights


def made_step(text: str) -> Step:
    kind, _, rest = text.partition(" ")
    words = tuple(shlex.split(rest if kind in ("root", "look") else text))
    safety = Safety.LOOK if kind == "look" else Safety.SAFE
    return Step("Do it.", words, safety, needs_root=kind == "root", undo="none needed", touches="a test")


def main() -> int:
    folder, *rest = sys.argv[1:]
    at = rest.index("--")
    commands, arguments = rest[:at], rest[at + 1 :]

    def check(_scene: Scene) -> Evidence | None:
        if os.path.exists(f"{folder}/cured"):
            return None
        return Evidence(saw="it is there", expected="nothing", sources=("made up",))

    fault = Fault(
        "made-up-fault",
        Layer.RUNTIME,
        "A made-up fault",
        "A test fails.",
        "It was put there by a test.",
        ("https://example.org/",),
        "",
        (),
        (),
        tuple(map(made_step, commands)),
        check,
    )
    more = (*load_catalogue(), fault)
    for module in (
        bringup.actions.diagnosis.doctor,
        bringup.actions.diagnosis.faults,
        bringup.faults._catalogue,
    ):
        module.load_catalogue = lambda: more  # type: ignore[attr-defined]
    if os.path.isdir(f"{folder}/roots-home"):
        rights.own_home = lambda: f"{folder}/roots-home"
    return run(arguments)


if __name__ == "__main__":
    sys.exit(main())
