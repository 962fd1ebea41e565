"""The steps that a machine's facts make: every slot filled, every value allowed, a way back."""

from __future__ import annotations

import re

import pytest
from tests.faults.cases import Case, all_cases, diagnosis_of

from bringup.faults._fault import Evidence, Safety, Slot, Step

MACHINES = [case for case in all_cases() if case.is_machine]


def steps_of(case: Case) -> list[tuple[Evidence, Step]]:
    return [(f.evidence, step) for f in diagnosis_of(case).findings for step in f.evidence.steps]


@pytest.mark.parametrize("case", MACHINES, ids=lambda case: case.name)
def test_steps_made_from_facts_are_whole(case: Case) -> None:
    for evidence, step in steps_of(case):
        values = dict((*evidence.values, *step.values))
        for word in (*step.command, *step.verify):
            if isinstance(word, Slot):
                assert re.fullmatch(word.value, values[word])
            else:
                assert not re.search(r"[;&|<>`$\n]", word)
        if step.safety in (Safety.DISRUPTIVE, Safety.RISKY):
            assert step.undo or step.touches


@pytest.mark.parametrize("case", MACHINES, ids=lambda case: case.name)
def test_evidence_says_what_was_seen_and_where(case: Case) -> None:
    for finding in diagnosis_of(case).findings:
        assert finding.evidence.saw
        assert finding.evidence.expected
        assert finding.evidence.sources
        assert all(finding.evidence.sources)


def case_of(name: str) -> Case:
    return next(case for case in all_cases() if case.name == name)


def commands(name: str) -> list[str]:
    steps = steps_of(case_of(name))
    return [
        " ".join(dict(s.values).get(w, w) if isinstance(w, Slot) else w for w in s.command) for _, s in steps
    ]


def test_the_founding_morning_is_cured_by_a_restart_or_by_a_reload_in_order() -> None:
    (finding,) = diagnosis_of(case_of("driver-library-mismatch/morning")).roots
    saw = finding.evidence.saw
    for part in (
        "module 570.169",
        "libraries 570.172.08",
        "unattended",
        "2025-07-15 06:32:11",
        "libnvidia-compute-570",
    ):
        assert part in saw
    assert commands("driver-library-mismatch/morning") == [
        "systemctl reboot",
        "kill 30211",
        "systemctl stop gdm.service",
        "systemctl stop ollama.service",
        "systemctl stop nvidia-persistenced.service",
        "modprobe -r nvidia_drm nvidia_modeset nvidia_uvm nvidia",
        "modprobe nvidia",
        "modprobe nvidia_uvm",
        "modprobe nvidia_modeset",
        "modprobe nvidia_drm",
        "systemctl start nvidia-persistenced.service",
        "systemctl start ollama.service",
        "systemctl start gdm.service",
        "",
    ]
    assert "Package-Blacklist" in finding.evidence.steps[-1].say
    assert "security" in finding.evidence.steps[-1].say


def test_a_restart_is_not_praised_where_it_would_not_cure() -> None:
    half = commands("driver-library-mismatch/half-upgraded")
    assert half == ["dpkg --configure -a", "apt-get install --fix-broken", "systemctl reboot"]
    bare = commands("driver-library-mismatch/next-kernel-bare")
    assert bare[:3] == [
        "apt-get install linux-headers-6.8.0-63-generic",
        "dkms autoinstall -k 6.8.0-63-generic",
        "systemctl reboot",
    ]


def test_prebuilt_modules_come_as_a_package() -> None:
    assert commands("module-missing-for-kernel/prebuilt") == [
        "apt-get install linux-modules-nvidia-570-open-6.8.0-63-generic",
        "modprobe nvidia",
    ]
