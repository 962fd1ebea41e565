"""A build that is known to be bad is named wherever an engine is looked at; no verdict changes for it."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from tests.actions.test_engine_plan import EXTERNAL, chosen, machine_with
from tests.doctor.schema import load_schema, problems
from tests.stubs.command_line import Home, run_cli

from bringup.actions.diagnosis.doctor import examine_text
from bringup.actions.diagnosis.known_bad import bad_build
from bringup.engine.known_bad import bad_ranges
from bringup.units import GIB

PASTE = "build: {} (0000000) with cc 12.2.0 for x86_64-linux-gnu\nmain: model loaded\n"
CASES = Path(__file__).parents[1] / "cases"
OLD, MENDED = 6090, bad_ranges()[-1].before


def test_all_that_is_wrong_is_one_sentence_with_the_cure() -> None:
    found = bad_build("/opt/llama-server", OLD)
    assert found is not None and found.mended_in == MENDED
    said = found.sentence()
    assert all((one.what in said) is (one.before > OLD) for one in bad_ranges())
    assert "/opt/llama-server is build 6090" in said and f"Build {MENDED} and later" in said
    assert "bringup setup" in said
    assert bad_build("x", MENDED) is None and bad_build("x", None) is None


def test_a_pasted_log_names_it_and_stays_as_healthy_as_it_was() -> None:
    old, new = (examine_text(PASTE.format(number), subject="a log") for number in (OLD, MENDED))
    assert old.verdict is new.verdict
    assert [one.number for one in old.bad_builds] == [OLD] and new.bad_builds == ()


def test_the_doctor_names_the_engine_of_a_machine(own_home: Path, tmp_path: Path) -> None:
    """Made: a recorded machine whose engine is given the number of an old build."""
    where = tmp_path / "machine"
    shutil.copytree(CASES / "engine-lost-cuda/machine-rebuilt", where, symlinks=True)
    info = where / "root/home/user/llama.cpp/build/common/build-info.cpp"
    info.write_text(re.sub(r"(BUILD_NUMBER = )\d+", rf"\g<1>{OLD}", info.read_text()))
    done = run_cli(Home(own_home), "doctor", "--from", str(where), "--json")
    value = json.loads(done.stdout)
    assert problems(value, load_schema("examination")) == []
    (bad,) = value["known_bad"]
    assert bad["engine"].endswith("/llama-server") and bad["mended_in"] == MENDED > bad["number"]
    done = run_cli(Home(own_home), "doctor", "--from", str(where))
    assert f"build {OLD}, which is known to be bad" in " ".join(done.stdout.split())


@pytest.mark.parametrize(("version", "is_said"), [("b6090", True), ("b11434", False)])
def test_the_plan_of_a_run_names_its_engine(version: str, tmp_path: Path, *, is_said: bool) -> None:
    machine = machine_with(tmp_path / "m", free_bytes=48 * GIB)
    notes = chosen(machine, build=replace(EXTERNAL, version=version)).plan.notes
    assert any("known to be bad" in note for note in notes) is is_said
