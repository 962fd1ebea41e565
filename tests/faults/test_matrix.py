"""Every case runs through all faults and gives exactly its expected roots."""

from __future__ import annotations

import pytest
from tests.faults.cases import Case, all_cases, diagnosis_of

from bringup.faults._diagnose import Role


@pytest.mark.parametrize("case", all_cases(), ids=lambda case: case.name)
def test_a_case_gives_exactly_its_roots(case: Case) -> None:
    diagnosis = diagnosis_of(case)
    assert diagnosis.crashed == ()
    found = {finding.fault.id: finding.evidence.saw for finding in diagnosis.findings}
    assert tuple(finding.fault.id for finding in diagnosis.roots) == case.expected, found
    if case.follows is not None:
        followers = {f.fault.id for f in diagnosis.findings if f.role is Role.FOLLOWS}
        assert followers == set(case.follows)


def test_every_case_says_where_it_comes_from() -> None:
    nameless = [
        case.name
        for case in all_cases()
        if case.origin not in ("recorded", "reported", "made")
        or (case.origin == "reported") != case.link.startswith("http")
        or case.is_machine == (case.folder / "paste.txt").is_file()
    ]
    assert nameless == []
