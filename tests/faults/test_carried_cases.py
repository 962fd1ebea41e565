"""Every pasted case gives the same roots when a mail, a web page, a logger or a container carried it."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from tests.faults.cases import all_cases

from bringup.faults._catalogue import load_catalogue
from bringup.faults._diagnose import diagnose
from bringup.faults._scene import Scene
from bringup.stack.pasted import read_pasted

CARRIERS: dict[str, Callable[[str], str]] = {
    "mail": lambda text: "\n".join("> " + line for line in text.split("\n")),
    "web page": lambda text: text.replace(" ", "\u00a0").replace("'", "\u2019").replace("<", "&lt;"),
    "logger": lambda text: "\n".join("2026-03-04T05:06:07.123Z " + line for line in text.split("\n")),
    "container": lambda text: "\n".join(
        json.dumps({"log": line + "\n", "stream": "stderr"}) for line in text.split("\n")
    ),
}


@pytest.mark.parametrize("carrier", CARRIERS.values(), ids=CARRIERS)
def test_a_carried_case_gives_its_roots(carrier: Callable[[str], str]) -> None:
    wrong = {}
    for case in all_cases():
        if not case.is_machine:
            text = carrier((case.folder / "paste.txt").read_text(encoding="utf-8"))
            stack, lines = read_pasted(text)
            roots = tuple(found.fault.id for found in diagnose(Scene(stack, lines), load_catalogue()).roots)
            if roots != case.expected:
                wrong[case.name] = roots
    assert wrong == {}
