"""What the doctor's commands print for programs fits the schemas in docs/schema."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest
from tests.doctor.schema import FOLDER, load_schema, problems
from tests.faults.cases import CASES, all_cases
from tests.stubs.command_line import Home, run_cli

from bringup.faults._catalogue import load_catalogue
from bringup.faults._fault import Layer

MACHINES = (
    "driver-library-mismatch/morning",
    "gpu-not-on-bus/never-had-one",
    "nouveau-in-use/before-the-reboot",
)


def answered(home: Path, *arguments: str, stdin: bytes = b"") -> tuple[int, Any]:
    done = run_cli(Home(home), *arguments, stdin=stdin)
    assert done.stderr == ""
    return done.returncode, json.loads(done.stdout)


@pytest.mark.parametrize("name", MACHINES)
@pytest.mark.parametrize("more", [(), ("--verbose",)])
def test_doctor(own_home: Path, name: str, more: tuple[str, ...]) -> None:
    code, value = answered(own_home, "doctor", "--from", str(CASES / name), "--json", *more)
    assert problems(value, load_schema("examination")) == []
    assert code == {"healthy": 0, "faults": 1, "cannot-tell": 3}[value["verdict"]]
    assert ("facts" in value) == bool(more)
    assert all(fact["source"] for fact in value.get("facts", []))


def test_doctor_live(own_home: Path) -> None:
    code, value = answered(own_home, "doctor", "--json", "--verbose")
    assert problems(value, load_schema("examination")) == []
    assert code in (0, 1, 3)
    assert any(fact["took_s"] for fact in value["facts"])


def test_diagnose_and_a_paste_without_a_fault(own_home: Path) -> None:
    text = b"Failed to initialize NVML: Driver/library version mismatch\nNVML library version: 570.172\n"
    code, value = answered(own_home, "diagnose", "--json", "-", stdin=text)
    assert code == 1
    assert value["faults"][0]["id"] == "driver-library-mismatch"
    assert problems(value, load_schema("examination")) == []
    code, value = answered(own_home, "diagnose", "--json", stdin=b"all is well\n")
    assert (code, value["verdict"], value["faults"]) == (0, "healthy", [])
    assert problems(value, load_schema("examination")) == []


def test_every_paste_case_gives_valid_json() -> None:
    from bringup.actions.diagnosis.doctor import examine_text
    from bringup.faces.render.diagnosis_json import examination_json

    schema = load_schema("examination")
    for case in [one for one in all_cases() if not one.is_machine][::5]:
        text = (case.folder / "paste.txt").read_text(encoding="utf-8")
        value = json.loads(json.dumps(examination_json(examine_text(text, subject="paste"))))
        assert problems(value, schema) == [], case.name
        roles = [fault["role"] for fault in value["faults"]]
        assert roles == sorted(roles, key=["root", "follows"].index)


def test_faults(own_home: Path) -> None:
    code, value = answered(own_home, "faults", "--json")
    assert (code, problems(value, load_schema("faults"))) == (0, [])
    assert [fault["id"] for fault in value["faults"]] == [fault.id for fault in load_catalogue()]
    code, value = answered(own_home, "faults", "nouveau-in-use", "--json")
    assert (code, problems(value, load_schema("fault"))) == (0, [])


@pytest.mark.parametrize("name", MACHINES)
def test_fix_that_is_only_shown(own_home: Path, name: str) -> None:
    wanted = ("fix", name.split("/")[0], "--dry-run", "--json", "--from", str(CASES / name))
    done = run_cli(Home(own_home), *wanted)
    if done.returncode:
        assert (done.returncode, done.stdout) == (1, "")
        assert "[fault-not-found]" in done.stderr
        return
    value = json.loads(done.stdout)
    assert problems(value, load_schema("fix")) == []
    assert (value["schema"], value["id"], value["unfinished"]) == (1, name.split("/")[0], [])
    for step in value["steps"]:
        assert step["way"] == ("elsewhere" if step["command"] else "by-hand")
        assert shlex.join(step["argv"]) == step["command"]


def test_each_fault_is_valid_json() -> None:
    from bringup.faces.render.faults import fault_json

    schema = load_schema("fault")
    for fault in load_catalogue():
        assert problems(json.loads(json.dumps(fault_json(fault))), schema) == [], fault.id


def test_the_schemas_name_every_layer() -> None:
    wanted = [layer.name.lower() for layer in Layer]
    for schema in (load_schema("fault"), load_schema("faults")["properties"]["faults"]["items"]):
        assert schema["properties"]["layer"]["enum"] == wanted


def test_the_validator_finds_what_is_wrong() -> None:
    schema = load_schema("examination")
    assert problems({"schema": 1}, schema)
    good = {"schema": 1, "subject": "", "verdict": "healthy", "faults": [], "could_not_tell": [], "looks": [],
            "known_bad": []}  # fmt: skip
    assert problems(good, schema) == []
    for name, bad in (("schema", True), ("verdict", "fine"), ("faults", [{}]), ("looks", 1), ("more", 1)):
        assert problems(good | {name: bad}, schema), name


def test_every_schema_is_used() -> None:
    tests = Path(__file__).parents[1].glob("*/test_*.py")
    text = "".join(path.read_text(encoding="utf-8") for path in tests)
    for path in FOLDER.glob("*.json"):
        assert f'load_schema("{path.stem}")' in text, path.stem
