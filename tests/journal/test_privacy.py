"""Promise 31, for the journal: what is private on a machine is in no entry, and our key is nowhere."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from tests.cases._make.machine import Made
from tests.cases._make.machines import healthy, morning
from tests.journal.test_founding_morning import Day
from tests.journal.writing import all_entries, place_in
from tests.stubs.command_line import Home, run_cli

from bringup.actions.journal.reading import with_journal
from bringup.actions.journal.writing import Note, record
from bringup.actions.log.machine_state import recording_of, snapshot_at
from bringup.actions.log.standing import standings
from bringup.actions.log.timeline import read_timeline
from bringup.journal.entry import Kind
from bringup.machine.recorded import RecordedMachine
from bringup.reading import Known
from bringup.stack.probe import probe_stack

SECRETS = (
    "wonderwoman",
    "gotham-tower",
    "hf_abcdefghijklmnopqrstuvwxyzabcdefgh",
    "9c:b6:d0:11:22:33",
    "203.0.113.77",
    "ada.lovelace@example.com",
    "5f0c0a1e-1c1b-4f0e-9a77-0a1b2c3d4e5f",
)


def private(made: Made) -> Made:
    made.text(
        "/etc/passwd", "root:x:0:0::/root:/bin/sh\nwonderwoman:x:1000:1000::/home/wonderwoman:/bin/bash\n"
    )
    made.text("/etc/hostname", "gotham-tower\n")
    made.text(
        "/proc/cmdline",
        "root=UUID=5f0c0a1e-1c1b-4f0e-9a77-0a1b2c3d4e5f ip=10.11.12.13 "
        "token=hf_abcdefghijklmnopqrstuvwxyzabcdefgh\n",
    )
    made.text(
        "/etc/modprobe.d/nvidia.conf",
        "# by ada.lovelace@example.com on gotham-tower, nic 9c:b6:d0:11:22:33\noptions nvidia NVreg_x=1\n",
    )
    return made


def everything(day: Day) -> str:
    return json.dumps([[entry.subject, entry.text, dict(entry.data)] for entry in all_entries(day.place)])


def test_nothing_private_of_a_machine_is_kept(tmp_path: Path) -> None:
    day = Day(tmp_path)
    day.look(private(healthy()), "2025-07-14 21:00")
    broken = private(morning())
    broken.text("/proc/cmdline", "ro quiet user=wonderwoman host=gotham-tower\n")
    day.look(broken, "2025-07-15 08:00")
    text = everything(day)
    assert "570.172.08" in text
    for secret in (*SECRETS, "10.11.12.13"):
        assert secret not in text, secret
    assert b"wonderwoman" not in Path(day.place.journal_file).read_bytes()


def test_a_private_mirror_is_not_named_and_what_its_list_offers_is_found_again(tmp_path: Path) -> None:
    day = Day(tmp_path)
    made = private(morning())
    lists = "/var/lib/apt/lists/mirror.gotham.example_ubuntu_dists_noble_restricted_binary-amd64_Packages"
    offered = "Package: libnvidia-compute-570\nArchitecture: amd64\nVersion: 575.64-1\n\n"
    status = "Package: libnvidia-compute-570\nStatus: install ok installed\nVersion: 570.172.08-0ubuntu1\n\n"
    made.text("/var/lib/dpkg/status", status)
    made.text(lists, offered)
    found = day.look(made, "2025-07-15 08:00")
    made.text(lists, offered.replace("575.64", "575.65"))
    day.look(made, "2025-07-16 08:00")
    assert "gotham" not in everything(day)
    assert isinstance(found.stack.userspace.pending_upgrades, Known)
    entries = [e.seq for e in all_entries(day.place) if e.kind is Kind.STATE]
    for seq, version in zip(entries, ("575.64-1", "575.65-1"), strict=True):
        snapshot, _ = with_journal(day.place, lambda journal, n=seq: snapshot_at(journal, n))
        assert snapshot is not None
        again = probe_stack(RecordedMachine.from_recording(recording_of(snapshot))).stack.userspace
        assert isinstance(again.pending_upgrades, Known)
        assert [one.offered for one in again.pending_upgrades.value] == [version]


def test_a_kept_state_can_be_examined_again_and_gives_the_same_verdict(tmp_path: Path) -> None:
    day = Day(tmp_path)
    day.look(private(healthy()), "2025-07-14 21:00")
    found = day.look(private(morning()), "2025-07-15 08:00")
    stood, _ = with_journal(day.place, standings)
    assert stood is not None
    snapshot, _ = with_journal(day.place, lambda journal: snapshot_at(journal, stood[-1].seq))
    assert snapshot is not None
    again = probe_stack(RecordedMachine.from_recording(recording_of(snapshot))).stack
    assert again.kernel.loaded_driver == found.stack.kernel.loaded_driver
    assert again.userspace.nvml_library == found.stack.userspace.nvml_library
    assert stood[-1].ids == {one.fault.id for one in found.diagnosis.findings}


def test_a_state_is_found_again_behind_many_differences(tmp_path: Path) -> None:
    day = Day(tmp_path)
    for number in range(40):
        made = healthy()
        made.text("/etc/modprobe.d/own.conf", f"options nvidia NVreg_own={number}\n")
        day.look(made, f"2025-07-{number % 28 + 1:02} {number // 28:02}:00")
    stood, _ = with_journal(day.place, standings)
    assert stood is not None
    assert len(stood) == 40
    for number in (0, 1, 17, 31, 32, 33, 39):
        snapshot, _ = with_journal(day.place, lambda journal, n=number: snapshot_at(journal, stood[n].seq))
        assert snapshot is not None
        settings = snapshot.parts["fact\tkernel\tsettings"]
        assert f"NVreg_own={number}" in json.dumps(settings) or str(number) in json.dumps(settings), number
    sizes = [len(json.dumps(dict(e.data))) for e in all_entries(day.place) if e.kind is Kind.STATE]
    assert sizes[1] < sizes[0] / 4


def test_our_key_is_in_no_entry(own_home: Path) -> None:
    home = Home(own_home)
    state = home.state
    state.mkdir(parents=True)
    (state / "key").write_text("0123456789abcdef0123456789abcdef01234567\n")
    assert (
        run_cli(
            home, "log", "add", "--learned", "the key is 0123456789abcdef0123456789abcdef01234567"
        ).returncode
        == 0
    )
    place = replace(place_in(own_home), state=str(state))
    text = json.dumps([[entry.text, dict(entry.data)] for entry in all_entries(place)])
    assert "the key is " in text
    assert "0123456789abcdef" not in text


def test_a_run_is_told_once_and_one_without_an_end_says_so(tmp_path: Path) -> None:
    place = place_in(tmp_path)
    for run, phase in (("a", "started"), ("a", "ended"), ("b", "started")):
        note = Note(Kind.RUN, "m", f"{run} {phase}", {"run": run, "phase": phase}, is_redacted=True)
        assert record(note, ours=place) == ""
    items = read_timeline(place, None, since_s=None, layer=None, last=9).items
    assert [item.text for item in items] == ["a ended", "b started; no end of it is written down"]
