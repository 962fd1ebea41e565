"""`bringup log` as a person types it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.doctor.schema import load_schema, problems
from tests.stubs.command_line import Home, run_cli

from bringup.actions.log.since import ended_runs, run_differences
from bringup.journal.entry import Entry, Kind, Moment


@pytest.fixture
def home(own_home: Path) -> Home:
    one = Home(own_home)
    assert run_cli(one, "doctor").returncode in (0, 1, 3)
    return one


def answered(home: Home, *arguments: str) -> tuple[int, Any]:
    done = run_cli(home, *arguments)
    assert done.stderr == "", done.stderr
    return done.returncode, json.loads(done.stdout)


def test_a_note_goes_its_way_from_add_to_forget(home: Home) -> None:
    added = run_cli(
        home,
        *("log", "add", "--symptom", "it stutters", "--reason", "another user of the card"),
        *("--solution", "asked alice@example.com to stop", "--fault", "vram-taken-by-others"),
    )
    assert (added.returncode, added.stderr) == (0, "Kept.\n")
    assert run_cli(home, "log", "add", "a token is not a word").returncode == 0
    code, found = answered(home, "log", "search", "STUTTERS", "another", "--json")
    assert (code, problems(found, load_schema("log-entries"))) == (0, [])
    (entry,) = found["entries"]
    assert entry["subject"] == "vram-taken-by-others"
    assert entry["data"]["state"] == 1
    assert "alice" not in json.dumps(entry)
    code, shown = answered(home, "log", "show", str(entry["seq"]), "--json")
    assert shown["entries"] == [entry]
    text = run_cli(home, "log", "show", str(entry["seq"])).stdout
    assert "it stutters" in text
    document = run_cli(home, "log", "export").stdout
    assert "a token is not a word" in document
    assert "**Solution**: asked person1@example.org to stop" in document
    assert run_cli(home, "log", "forget", str(entry["seq"])).returncode == 2
    assert run_cli(home, "log", "forget", str(entry["seq"]), "--yes").returncode == 0
    assert run_cli(home, "log", "search", "stutters").returncode == 1
    code, checked = answered(home, "log", "verify", "--json")
    assert (code, checked["problems"], checked["forgotten"]) == (0, [], [entry["seq"]])
    assert problems(checked, load_schema("log-verify")) == []
    assert "stutters" not in run_cli(home, "log").stdout


def test_the_timeline_and_what_narrows_it(home: Home) -> None:
    run_cli(home, "log", "add", "--learned", "something")
    code, value = answered(home, "log", "--json")
    assert (code, problems(value, load_schema("log"))) == (0, [])
    kinds = [item["kind"] for item in value["items"]]
    assert kinds.index("state") < kinds.index("note")
    assert answered(home, "log", "--json", "--last", "1")[1]["items"] == value["items"][-1:]
    assert answered(home, "log", "--json", "--layer", "model")[1]["items"] == []
    recent = answered(home, "log", "--json", "--since", "5m")[1]["items"]
    kinds = [item["kind"] for item in recent if item["seq"]]
    assert [kind for kind in kinds if not kind.startswith("fault")] == ["state", "note"]
    wrong = run_cli(home, "log", "--since", "the flood")
    assert (wrong.returncode, "is no moment" in wrong.stderr) == (2, True)
    assert run_cli(home, "log", "--layer", "cellar").returncode == 2
    unknown = run_cli(home, "log", "serach")
    assert "Did you mean search?" in unknown.stderr


def test_comparing_and_since_say_what_they_can_and_cannot(home: Home) -> None:
    code, value = answered(home, "log", "compare", "first", "now", "--json")
    assert (code, problems(value, load_schema("log-comparison"))) == (0, [])
    assert value["changes"] == []
    since = run_cli(home, "log", "since-it-worked")
    assert since.returncode in (0, 3)
    assert "Traceback" not in since.stderr
    if run_cli(home, "doctor").returncode == 0:
        assert (since.returncode, since.stderr) == (0, "")  # nothing is broken: no error
        assert since.stdout.startswith("It works: the doctor finds nothing broken")
        code, value = answered(home, "log", "since-it-worked", "--json")
        assert (code, problems(value, load_schema("log-comparison"))) == (0, [])
        assert (value["worked"], value["broken"], value["suspects"]) == ("it works now", [], [])
        layer = run_cli(home, "log", "since-it-worked", "kernel")
        assert (layer.returncode, layer.stdout) == (0, since.stdout), "of one layer the answer is the same"
    nothing = run_cli(home, "log", "since-it-worked", "no-such-model")
    assert nothing.returncode == 2
    assert run_cli(home, "log", "compare", "1999-01-01", "now").returncode == 2
    assert run_cli(home, "log", "show", "4711").returncode == 2


def test_without_a_journal_nothing_is_made_up(own_home: Path) -> None:
    home = Home(own_home)
    for words in (
        ["show", "1"],
        ["search", "x"],
        ["export"],
        ["verify"],
        ["since-it-worked", "--as-seen-last"],
    ):
        done = run_cli(home, "log", *words)
        assert (done.returncode, "no journal yet" in done.stderr) == (3, True), (words, done.stderr)
    assert not (home.state / "journal.sqlite").exists()


def test_it_can_be_switched_off(own_home: Path) -> None:
    home = Home(own_home)
    done = run_cli(home, "doctor", BRINGUP_JOURNAL="off")
    assert "warning" not in done.stderr
    for command in (("log", "add", "--learned", "x"), ("learn", "note", "vram", "x")):
        asked = run_cli(home, *command, BRINGUP_JOURNAL="off")
        assert (asked.returncode, asked.stdout) == (2, "")
        assert "no log is kept here" in asked.stderr
        assert "Kept" not in asked.stderr
    assert not home.state.exists() or not list(home.state.glob("journal*"))


def test_a_tampered_journal_is_told_with_exit_code_1(home: Home) -> None:
    import sqlite3

    connection = sqlite3.connect(home.state / "journal.sqlite")
    connection.execute("DROP TRIGGER events_no_update")
    connection.execute("UPDATE events SET at_s = 1 WHERE seq = 1")
    connection.commit()
    connection.close()
    done = run_cli(home, "log", "verify")
    assert done.returncode == 1
    assert "entry 1 was changed after it was written" in done.stdout


def test_import_of_a_document_and_its_export_as_json(home: Home) -> None:
    text = (
        b"## Debug\n\n1. 16/9/25 nvidia-smi\n"
        b"```\nFailed to initialize NVML: Driver/library version mismatch\n```\n"
    )
    done = run_cli(home, "log", "import", "--dry-run", "-", stdin=text)
    assert "[driver-library-mismatch]" in done.stdout
    assert "1 entries would be kept" in done.stderr
    assert "1 entries kept" in run_cli(home, "log", "import", "-", stdin=text).stderr
    assert "0 entries kept, 1 were there already" in run_cli(home, "log", "import", "-", stdin=text).stderr
    code, value = answered(home, "log", "export", "--json")
    assert (code, problems(value, load_schema("log-export"))) == (0, [])
    assert [entry["kind"] for entry in value["entries"]] == ["state", "judged", "note"]
    other = run_cli(
        home, "log", "import", "-", stdin=b"# A program\n\nIt does things.\n\n## Use\n\nRun it.\n"
    )
    assert (other.returncode, other.stdout) == (2, "")
    assert "neither a section Learning nor a section Debug" in other.stderr


def test_nobody_is_asked_where_there_is_no_terminal_and_root_gets_no_editor(home: Home) -> None:
    done = run_cli(home, "log", "add", EDITOR="false")
    assert done.returncode == 2
    assert "log add --symptom" in done.stderr


def test_the_editors_text_becomes_an_entry() -> None:
    from bringup.actions.log.notes import parse_template, template_for

    start = template_for("driver-library-mismatch")
    assert "exactly one version" in " ".join(start.split())
    text = (
        template_for("")
        .replace("One line: what happened", "No GPU")
        .replace("## Reason\n", "## Reason\nits cable\n")
    )
    entry = parse_template(text, fault="")
    assert entry is not None
    assert (entry.title, entry.reason, entry.solution) == ("No GPU", "its cable", "")
    assert parse_template(template_for(""), fault="") is None


def test_runs_are_compared_by_what_is_known_of_both() -> None:
    def run(seq: int, **data: Any) -> Entry:
        return Entry(seq, Kind.RUN, "model", Moment(1.7e9 + seq, "boot", 1.0 * seq), "", data)

    settings = {"n_threads": 4, "kv_offload": True, "port": 8080}
    started = run(1, phase="started", is_detached=True, port=8080, engine="external b9000", settings=settings)
    stopped = run(2, phase="ended", is_detached=True, port=8080, how="stopped", is_good=True)
    lone = run(3, phase="ended", is_detached=True, port=8080, how="gone", is_good=False)
    good, bare = ended_runs((started, stopped, lone))
    assert (good.seq, good.data["engine"], good.data["phase"]) == (2, "external b9000", "ended")
    assert "engine" not in bare.data, "its start is not that of the one before"
    changed = {"n_threads": 2, "kv_offload": False, "port": 9931}
    newest = run(4, phase="ended", how="vram-oom", engine="external b9100", settings=changed)
    assert run_differences(good, newest) == (
        ("engine", "external b9000", "external b9100"),
        ("kv_offload", "yes", "no"),
        ("n_threads", "4", "2"),
        ("how", "stopped", "vram-oom"),
    )
    assert run_differences(bare, newest) == (("how", "gone", "vram-oom"),), "nothing is made up for the other"
