"""A plan as data; `docs/schema/plan.json` describes each field.

Removing or renaming one raises the schema number.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from bringup.actions.planning.place import Holder
from bringup.actions.planning.report import Alternative, Choice, DeviceUse, PlanReport, Rung, Speed
from bringup.plan.plan import Part
from bringup.plan.predict import Estimate

SCHEMA: Final = 1


def plan_json(report: PlanReport) -> dict[str, Any]:
    """One plan."""
    figures, source = report.architecture, report.source
    return {
        "schema": SCHEMA,
        "fits": report.fits,
        "can_run": report.can_run,
        "verdict": report.verdict,
        "missing": list(report.missing),
        "model": {
            "name": source.title,
            "typed": source.typed,
            "path_or_address": source.model.name,
            "is_local": source.is_local,
            "repository": source.repository,
            "fetched_bytes": source.fetched_bytes,
            "requests": source.n_requests,
            "architecture": figures.name,
            "is_architecture_known": figures.is_known,
            "is_cache_known": figures.is_cache_known,
            "parameters": figures.n_parameters,
            "weights_bytes": source.model.weights_bytes,
            "missing_file_bytes": source.model.missing_bytes,
            "trained_tokens": figures.n_ctx_train,
        },
        "n_ctx": report.n_ctx,
        "n_parallel": report.n_parallel,
        "parts": [_part(part) for part in report.parts],
        "devices": [_device(use) for use in report.uses],
        "speed": _speed(report.speed),
        "no_speed": report.no_speed or None,
        "ladder": [_rung(rung) for rung in report.ladder],
        "choices": [_choice(choice) for choice in report.choices],
        "reasons": list(report.reasons),
        "nearest_fit": None if report.nearest_fit is None else _alternative(report.nearest_fit),
        "alternatives": [_alternative(one) for one in report.alternatives],
        "command": list(report.command),
        "warnings": list(report.warnings),
        "assumptions": list(report.assumptions),
        "checked": list(report.checked),
    }


def comparison_json(reports: Sequence[PlanReport]) -> dict[str, Any]:
    """Several plans."""
    return {"schema": SCHEMA, "plans": [plan_json(report) for report in reports]}


def _part(part: Part) -> dict[str, Any]:
    return {
        "name": part.name,
        "device": part.device,
        "bytes": part.bytes,
        "formula": part.formula,
        "source": part.source,
        "residence": part.residence.value,
    }


def _device(use: DeviceUse) -> dict[str, Any]:
    device = use.device
    capability = device.compute_capability
    return {
        "name": device.name,
        "title": device.title or None,
        "backend": device.kind.value,
        "compute_capability": None if capability is None else list(capability),
        "total_bytes": device.total_bytes,
        "free_bytes": device.free_bytes,
        "held_bytes": use.held_bytes,
        "planned_bytes": use.planned_bytes,
        "used_bytes": use.used_bytes,
        "left_bytes": use.left_bytes,
        "holders": [_holder(holder) for holder in use.holders],
    }


def _holder(holder: Holder) -> dict[str, Any]:
    return {
        "process_id": holder.process_id,
        "name": holder.name or None,
        "used_bytes": holder.used_bytes,
        "is_graphics": holder.is_graphics,
    }


def _estimate(estimate: Estimate) -> dict[str, float]:
    return {
        "value": _three(estimate.value),
        "low": _three(estimate.low),
        "high": _three(estimate.high),
    }


def _three(value: float) -> float:
    """Four figures: more of an estimate would be a lie."""
    return float(f"{value:.4g}")


def _speed(speed: Speed | None) -> dict[str, Any] | None:
    if speed is None:
        return None
    return {
        "generation_tokens_per_s": {
            "empty_window": _estimate(speed.generation_empty),
            "full_window": _estimate(speed.generation_full),
        },
        "prompt_tokens_per_s": {
            "empty_window": _estimate(speed.prompt_empty),
            "full_window": _estimate(speed.prompt_full),
        },
        "first_token_s": {"prompt_tokens": speed.n_prompt, **_estimate(speed.first_token_s)},
        "bottleneck": speed.bottleneck,
        "formulas": list(speed.formulas),
        "sources": list(speed.sources),
    }


def _rung(rung: Rung) -> dict[str, Any]:
    return {
        "n_ctx": rung.n_ctx,
        "fits": rung.fits,
        "is_chosen": rung.is_chosen,
        "is_beyond_training": rung.is_beyond_training,
        "kv_cache_bytes": rung.cache_bytes,
        "devices": _totals(rung.uses),
        "speed": _speed(rung.speed),
        "gives_way": rung.gives_way or None,
    }


def _totals(uses: Iterable[DeviceUse]) -> list[dict[str, Any]]:
    return [
        {
            "name": use.device.name,
            "planned_bytes": use.planned_bytes,
            "used_bytes": use.used_bytes,
            "left_bytes": use.left_bytes,
        }
        for use in uses
    ]


def _choice(choice: Choice) -> dict[str, Any]:
    return {"option": choice.option, "value": choice.value, "is_given": choice.is_given}


def _alternative(one: Alternative) -> dict[str, Any]:
    return {
        "what": one.what,
        "options": list(one.options),
        "effect": one.effect,
        "fits": one.fits,
        "cost": one.cost,
    }
