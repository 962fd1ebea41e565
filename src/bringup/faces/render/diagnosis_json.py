"""A diagnosis as JSON; `schema` grows when a field is taken away or renamed."""

from __future__ import annotations

from typing import Final

from bringup.actions.diagnosis.doctor import Examination
from bringup.actions.diagnosis.known_bad import BadBuild
from bringup.actions.diagnosis.recurrence import Recurrence
from bringup.actions.diagnosis.steps import quoted, values_of
from bringup.actions.diagnosis.unseen import Unseen
from bringup.faces.render.diagnosis import steps_of
from bringup.faces.render.recurrence import history_json
from bringup.faults._diagnose import Finding
from bringup.faults._fault import Slot, Step

SCHEMA: Final = 1


def examination_json(examination: Examination) -> dict[str, object]:
    """Roots first, the likeliest at the top."""
    return {
        "schema": SCHEMA,
        "subject": examination.subject,
        "verdict": examination.verdict.name.lower().replace("_", "-"),
        "faults": [
            _finding(finding) | _history(examination.histories.get(finding.fault.id))
            for finding in examination.diagnosis.findings
        ],
        "could_not_tell": [{"layer": look.layer, "why": look.problem} for look in examination.could_not_tell]
        + [_unseen(unseen) for unseen in examination.unseen]
        + [{"rule": crash.fault_id, "why": crash.problem} for crash in examination.diagnosis.crashed],
        "looks": [
            {"layer": look.layer, "took_s": round(look.took_s, 4), "problem": look.problem}
            for look in examination.looks
        ],
        "known_bad": [_bad_build(one) for one in examination.bad_builds],
    }


def _bad_build(one: BadBuild) -> dict[str, object]:
    return {
        "engine": one.engine,
        "number": one.number,
        "mended_in": one.mended_in,
        "wrong": [{"before": bad.before, "what": bad.what, "source": bad.source} for bad in one.wrong],
    }


def _unseen(unseen: Unseen) -> dict[str, str]:
    return {
        "layer": unseen.layer,
        "what": unseen.what,
        "source": unseen.source,
        "why": unseen.why,
        "decides": unseen.decides,
    }


def _finding(finding: Finding) -> dict[str, object]:
    fault, evidence = finding.fault, finding.evidence
    values = dict(evidence.values)
    return {
        "id": fault.id,
        "role": finding.role.value,
        "certainty": evidence.certainty.name.lower(),
        "layer": fault.layer.name.lower(),
        "title": fault.title,
        "saw": evidence.saw,
        "expected": evidence.expected,
        "reason": fault.reason,
        "decides": evidence.decides,
        "sources": list(evidence.sources),
        "explained_by": list(finding.explained_by),
        "steps": [step_json(step, values) for step in steps_of(finding)],
    }


def _history(past: Recurrence | None) -> dict[str, object]:
    return {} if past is None else {"history": history_json(past)}


def step_json(step: Step, values: dict[Slot, str]) -> dict[str, object]:
    """One step; a slot that no value fills stands as `<NAME>`."""
    values = values_of(step, values)
    return {
        "say": step.say,
        "command": quoted(step.command, values) if step.command else "",
        "needs_root": step.needs_root,
        "safety": step.safety.value,
        "touches": step.touches,
        "undo": step.undo,
        "verify": quoted(step.verify, values) if step.verify else "",
    }
