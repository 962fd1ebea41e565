"""The day that it is all for, on a made machine: evening, upgrade at night, morning, cure."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.cases._make.machine import Made
from tests.cases._make.machines import NEW, NIGHT, healthy, morning
from tests.journal.writing import place_in, verified

import bringup
from bringup.actions.diagnosis.doctor import Examination, examine
from bringup.actions.journal.fix_record import FixRecord
from bringup.actions.journal.reading import with_journal
from bringup.actions.log.entries import bring_up_to_date, read_log
from bringup.actions.log.export import export_markdown
from bringup.actions.log.since import Comparison, read_again, since_it_worked
from bringup.actions.log.standing import episodes, standings
from bringup.actions.log.state_record import keep_state, rules_mark
from bringup.actions.log.timeline import outside_items, read_timeline
from bringup.errors import CannotTell
from bringup.faces.render.console import Style, Styled
from bringup.faces.render.log import render_timeline
from bringup.faces.render.log_json import timeline_json
from bringup.journal.entry import Moment
from bringup.journal.store import Journal
from bringup.machine import files
from bringup.machine.clock import local_unix_s
from bringup.machine.folders import Folders
from bringup.machine.recorded import RecordedMachine
from bringup.machine.recorder import Recorder

MISMATCH = "driver-library-mismatch"


class Day:
    """One machine through its days, each look of it a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.place: Folders = place_in(folder)
        self.machine: RecordedMachine | None = None
        self.now_s = 0.0

    def look(self, made: Made, when: str) -> Examination:
        name = when.replace(" ", "-").replace(":", "")
        made.write(self.folder / name, origin="made", expected=())
        self.machine = RecordedMachine(str(self.folder / name))
        recorder = Recorder(self.machine)
        found = examine(recorder, subject="the machine")
        self.now_s = local_unix_s(f"{when}:00")
        moment = Moment(self.now_s, name[:10], 100.0)
        trouble = keep_state(self.machine, found, recorder.recording, place=self.place, moment=moment)
        assert trouble == ""
        return found

    def since(self, what: str | None = None) -> Comparison:
        assert self.machine is not None
        outside, unseen = outside_items(self.machine)
        found, warning = with_journal(
            self.place,
            lambda journal: since_it_worked(
                journal, what, outside=outside, unseen=unseen, until_s=self.now_s
            ),
        )
        assert found is not None
        assert warning == ""
        return found


def night(made: Made) -> Made:
    made.text("/var/log/apt/history.log", NIGHT)
    return made


@pytest.fixture
def day(tmp_path: Path) -> Day:
    one = Day(tmp_path)
    evening = healthy()
    evening.text("/var/log/apt/history.log", NIGHT.partition("Start-Date: 2025-07-15")[0])
    assert one.look(evening, "2025-07-14 21:03").diagnosis.findings == ()
    assert one.look(evening, "2025-07-14 23:10").diagnosis.findings == ()
    return one


def test_the_founding_morning(day: Day) -> None:
    found = day.look(morning(), "2025-07-15 08:12")
    assert [one.fault.id for one in found.diagnosis.roots] == [MISMATCH]

    since = day.since()
    assert since.broken[0].id == MISMATCH
    assert since.then is not None
    assert since.then.verdict == "healthy" or not since.then.faults
    first = since.suspects[0]
    assert first.text.startswith("upgrade libnvidia-compute-570 570.169-0ubuntu0.24.04.1 -> 570.172.08")
    assert first.who == "unattended: /usr/bin/unattended-upgrade"
    assert first.reason == f"the evidence of {MISMATCH} names it"
    assert not any("htop" in one.text for one in since.suspects)
    assert any("loaded_driver" in name for name, _ in since.changes) is False
    assert any("570.172.08" in words for _, words in since.changes)

    attempt = FixRecord(day.place).begin(
        fault_id=MISMATCH, step=1, command="sudo systemctl reboot", looks=(), restarts=True
    )
    FixRecord(day.place).note_end(attempt, 0)
    FixRecord(day.place).note_verdict(attempt, fault_gone=True)
    cured = day.look(night(healthy(version=NEW)), "2025-07-15 08:20")
    assert cured.diagnosis.findings == ()

    assert day.machine is not None
    outside, _ = outside_items(day.machine)
    bring_up_to_date(day.place)
    document, warning = read_log(day.place, lambda journal: export_markdown(journal, outside=outside))
    assert warning == ""
    assert (
        "1. **15/7/25** The loaded NVIDIA kernel module and the driver's libraries are of different"
        in document
    )
    assert "2025-07-15 06:32 upgrade libnvidia-compute-570" in document
    assert "(unattended: /usr/bin/unattended-upgrade)" in document
    assert "loaded module 570.169, libraries 570.172.08" in document
    assert (
        "**Reason**: The module in the kernel and the libraries on the disk must be of exactly one"
        in document
    )
    assert "Gone on 2025-07-15 08:20." in document
    assert document.index("## Learning") < document.index("## Debug")
    assert verified(day.place).problems == ()


def test_the_timeline_merges_what_the_system_wrote(day: Day) -> None:
    day.look(morning(), "2025-07-15 08:12")
    timeline = read_timeline(day.place, day.machine, since_s=None, layer=None, last=50)
    kinds = [item.kind for item in timeline.items]
    upgrade = next(n for n, item in enumerate(timeline.items) if "libnvidia-compute-570" in item.text)
    assert kinds.index("state") < upgrade < kinds.index("fault-opened")
    assert timeline.items[upgrade].who.startswith("unattended")
    kernel = read_timeline(day.place, day.machine, since_s=None, layer="hardware", last=50)
    assert not any("libnvidia-compute" in item.text for item in kernel.items)
    later = read_timeline(
        day.place, day.machine, since_s=local_unix_s("2025-07-15 07:00:00"), layer=None, last=50
    )
    assert "package" not in [item.kind for item in later.items]
    assert "fault-opened" in [item.kind for item in later.items]


def test_an_unchanged_machine_is_kept_once(day: Day) -> None:
    stood, _ = with_journal(day.place, standings)
    assert stood is not None
    assert len(stood) == 1


def test_a_machine_that_was_never_healthy_is_said_to_be_so(tmp_path: Path) -> None:
    one = Day(tmp_path)
    one.look(morning(), "2025-07-15 08:12")
    with pytest.raises(CannotTell, match="broken in every look"):
        one.since()


def test_a_healthy_machine_has_no_moment_at_which_it_broke(day: Day) -> None:
    with pytest.raises(CannotTell, match="nothing broken"):
        day.since()


def test_what_came_after_the_break_is_no_suspect(day: Day) -> None:
    day.look(morning(), "2025-07-15 08:12")
    later = morning()
    later.text(
        "/var/log/apt/history.log",
        NIGHT + "\nStart-Date: 2025-07-15  09:00:00\nCommandline: apt install nvidia-settings\n"
        "Requested-By: user (1000)\nInstall: nvidia-settings:amd64 (570.172.08-0ubuntu1)\n",
    )
    day.look(later, "2025-07-15 09:30")
    found = day.since()
    late = next(one for one in found.suspects if "nvidia-settings" in one.text)
    assert late.reason == "it came after the fault was first seen"
    assert late.rank == len([one for one in found.suspects if one.at_s is not None or one.rank <= late.rank])
    assert found.suspects[0].text.startswith("upgrade libnvidia-compute-570")


def test_a_fault_that_returns_is_counted_and_what_follows_is_not_told_alone(day: Day) -> None:
    day.look(morning(), "2025-07-15 08:12")
    day.look(night(healthy(version=NEW)), "2025-07-15 08:20")
    again = replace(morning())
    again.text("/var/log/apt/history.log", NIGHT)
    day.look(again, "2025-07-16 08:00")
    stood, _ = with_journal(day.place, standings)
    assert stood is not None
    found = [one for one in episodes(stood) if one.fault.id == MISMATCH]
    assert [one.closed is None for one in found] == [False, True]


def test_the_mark_of_the_rules_is_made_of_the_files_that_look_and_judge() -> None:
    parts = [Path(bringup.__file__).parent / part for part in ("stack", "faults")]
    marks = [files.mark_of_tree(str(part), suffix=".py") for part in parts]
    assert rules_mark() == "-".join((bringup.__version__, *marks))
    with pytest.raises(FileNotFoundError):
        files.mark_of_tree(str(parts[0] / "gone"), suffix=".py")


@pytest.mark.parametrize("is_newer", [True, False])
def test_what_other_eyes_saw_is_read_anew_before_it_is_compared(
    day: Day, monkeypatch: pytest.MonkeyPatch, *, is_newer: bool
) -> None:
    if is_newer:
        monkeypatch.setattr("bringup.actions.log.state_record.rules_mark", lambda: "new rules")
    day.look(morning(), "2025-07-15 08:12")
    read: list[int] = []

    def noted(journal: Journal, seq: int) -> dict[str, Any] | None:
        read.append(seq)
        return read_again(journal, seq)

    monkeypatch.setattr("bringup.actions.log.since.read_again", noted)
    found = day.since()
    assert read == ([found.then.seq, found.now.seq] if is_newer else [])
    assert any("570.172.08" in words for _, words in found.changes)


def test_old_states_are_judged_by_the_rules_of_now(day: Day, monkeypatch: pytest.MonkeyPatch) -> None:
    day.look(morning(), "2025-07-15 08:12")
    before, _ = with_journal(day.place, standings)
    monkeypatch.setattr("bringup.actions.log.state_record.rules_mark", lambda: "new rules")
    # No time for any: the verdicts of then stand, and the log says so.
    monkeypatch.setattr("bringup.actions.log.standing._REJUDGE_S", -1.0)
    assert bring_up_to_date(day.place) == ""
    old = read_timeline(day.place, None, since_s=None, layer=None, last=50)
    assert old.n_old_rules == 2 and timeline_json(old)["old_rules"] == 2
    said = Styled("(2 older states are still judged by the former rules)", Style.DIM)
    assert (said,) in render_timeline(old, width_columns=100)
    narrow = [
        "".join(str(getattr(one, "text", one)) for one in line)
        for line in render_timeline(old, width_columns=40)
    ]
    assert "…" not in "".join(narrow), "on a narrow terminal nothing is cut"
    assert all(len(line.rstrip()) <= 40 for line in narrow if not line.startswith("("))
    monkeypatch.setattr("bringup.actions.log.standing._REJUDGE_S", 60.0)
    assert bring_up_to_date(day.place) == ""
    assert read_timeline(day.place, None, since_s=None, layer=None, last=50).n_old_rules == 0
    after, _ = with_journal(day.place, standings)
    assert before is not None
    assert after is not None
    assert [one.rules for one in after] == ["new rules"] * 2
    assert [one.ids for one in after] == [one.ids for one in before]
    assert MISMATCH in after[-1].ids
    assert verified(day.place).problems == ()
