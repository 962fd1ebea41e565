"""A fix that is only shown, as JSON; `schema` grows when a field is taken away or renamed."""

from __future__ import annotations

from typing import Final

from bringup.actions.fixing.fix import FixPlan, PlannedStep
from bringup.actions.fixing.unfinished import UnfinishedFixes
from bringup.faces.render.diagnosis_json import step_json
from bringup.faces.render.unfinished import unfinished_json

SCHEMA: Final = 1


def plan_json(plan: FixPlan, unfinished: UnfinishedFixes | None) -> dict[str, object]:
    """The fault and its steps, with the argv of each that has one; here also what was cut short."""
    fault, evidence = plan.finding.fault, plan.finding.evidence
    return {
        "schema": SCHEMA,
        "subject": plan.subject,
        "id": fault.id,
        "title": fault.title,
        "role": plan.finding.role.value,
        "explained_by": list(plan.finding.explained_by),
        "certainty": evidence.certainty.name.lower(),
        "saw": evidence.saw,
        "expected": evidence.expected,
        "is_root": plan.is_root,
        "steps": [_planned(planned) for planned in plan.steps],
        "unfinished": [] if unfinished is None else unfinished_json(unfinished),
    }


def _planned(planned: PlannedStep) -> dict[str, object]:
    return {
        "number": planned.number,
        **step_json(planned.step, planned.values),
        "argv": list(planned.argv),
        "way": planned.way.value,
        "why": planned.why,
    }
