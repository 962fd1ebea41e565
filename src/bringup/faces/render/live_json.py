"""A sample as data; `schema` grows when a field goes or is renamed. `null` is what nobody could tell."""

from __future__ import annotations

from typing import Any, Final

from bringup.actions.live.faults import Health
from bringup.actions.live.sample import LiveCard, LiveEngine, LiveProcess, Sample, Share
from bringup.actions.live.speed_beside import beside_plan
from bringup.engine.answers import Slot
from bringup.faces.render.live import why_unseen
from bringup.reading import Known, Reading

SCHEMA: Final = 1


def sample_json(sample: Sample, health: Health | None) -> dict[str, Any]:
    """Everything of one look."""
    cards = sample.cards.value if isinstance(sample.cards, Known) else None
    return {
        "schema": SCHEMA,
        "taken_unix_s": round(sample.taken_s, 3),
        "subject": sample.subject,
        "cpu": {"busy_share": _known(sample.cpu_share), "count": _known(sample.cpus)},
        "memory": memory_json(sample),
        "driver": _driver(sample),
        "cards": [card_json(card) for card in cards] if cards is not None else None,
        "engines": [engine_json(engine) for engine in sample.engines],
        "engines_trouble": sample.engines_trouble or None,
        "processes": [_process(process) for process in sample.processes],
        "faults": [
            {"id": root.id, "title": root.title, "is_sure": root.is_sure, "is_ahead": root.is_ahead}
            for root in (health.roots if health is not None else ())
        ],
    }


def memory_json(sample: Sample) -> dict[str, Any] | None:
    """Main memory by use."""
    if not isinstance(sample.memory.floors, Known):
        return None
    floors = sample.memory.floors.value
    pressure = sample.memory.pressure
    return {
        "total_bytes": floors.total_bytes,
        "available_bytes": floors.available_bytes,
        "free_bytes": floors.free_bytes,
        "kernel_bytes": floors.kernel_bytes,
        "programs_bytes": floors.programs_bytes,
        "cache_bytes": floors.cache_bytes,
        "shared_bytes": floors.shared_bytes,
        "huge_bytes": floors.huge_bytes,
        "other_bytes": floors.other_bytes,
        "swap_total_bytes": floors.swap_total_bytes,
        "swap_free_bytes": floors.swap_free_bytes,
        "pressure_some_pct": pressure.value.some_pct if isinstance(pressure, Known) else None,
    }


def _driver(sample: Sample) -> dict[str, Any]:
    driver = sample.driver
    version = driver.driver_version
    error = driver.error
    if isinstance(error, Known):
        trouble: str | None = error.value.words
    elif isinstance(driver.hangs_in, Known):
        trouble = f"hangs in {driver.hangs_in.value}"
    else:
        trouble = None if isinstance(sample.cards, Known) else why_unseen(sample.cards)
    return {"version": str(version.value) if isinstance(version, Known) else None, "trouble": trouble}


def card_json(live: LiveCard) -> dict[str, Any]:
    """One card."""
    card, load = live.card, live.load
    memory = card.memory.value if isinstance(card.memory, Known) else None
    reasons = _known(card.clock_reasons)
    return {
        "index": card.index,
        "name": _known(card.name),
        "bus_address": _known(card.bus_address),
        "trouble": card.trouble.value.words if isinstance(card.trouble, Known) else None,
        "busy_pct": _known(load.busy_pct),
        "memory_busy_pct": _known(load.memory_busy_pct),
        "temperature_c": _known(card.temperature_c),
        "fan_pct": _known(load.fan_pct),
        "power_mw": _known(card.power_mw),
        "power_limit_mw": _known(card.power_limit_mw),
        "clock_mhz": _known(card.clock_mhz),
        "clock_most_mhz": _known(card.clock_most_mhz),
        "clock_memory_mhz": _known(load.clock_memory_mhz),
        "clock_reasons": list(reasons) if reasons is not None else None,
        "link_generation": _known(card.link_generation),
        "link_generation_most": _known(load.link_generation_most),
        "link_width_lanes": _known(card.link_width_lanes),
        "link_width_most_lanes": _known(card.link_width_most_lanes),
        "traffic_in_bytes_per_s": _known(load.traffic_in_bytes_per_s),
        "traffic_out_bytes_per_s": _known(load.traffic_out_bytes_per_s),
        "memory_total_bytes": memory.total_bytes if memory is not None else None,
        "memory_free_bytes": memory.free_bytes if memory is not None else None,
        "shares": [_share(share) for share in live.shares],
        "planned_shares": [_share(share) for share in live.planned],
    }


def _share(share: Share) -> dict[str, Any]:
    return {
        "use": share.use.name.lower().replace("_", "-"),
        "size_bytes": share.size_bytes,
        "holder": share.holder or None,
        "process_id": share.process_id or None,
        "is_estimate": share.is_estimate,
    }


def engine_json(engine: LiveEngine) -> dict[str, Any]:
    """One engine."""
    totals = engine.totals.value if isinstance(engine.totals, Known) else None
    memory = engine.memory.value if isinstance(engine.memory, Known) else None
    speed = engine.speed
    return {
        "process_id": engine.process_id or None,
        "program": engine.program,
        "name": engine.name,
        "model_path": engine.model_path,
        "port": engine.port,
        "is_ours": engine.is_ours,
        "state": engine.state.replace(" ", "-"),
        "trouble": engine.trouble or None,
        "build": engine.build or None,
        "has_cuda": _known(engine.has_cuda),
        "window_tokens": engine.window_tokens,
        "slots": [slot_json(slot) for slot in engine.slots.value]
        if isinstance(engine.slots, Known)
        else None,
        "requests_waiting": totals.requests_waiting if totals is not None else None,
        "prompt_tokens_total": totals.prompt_tokens if totals is not None else None,
        "reused_tokens_total": totals.reused_tokens if totals is not None else None,
        "generated_tokens_total": totals.predicted_tokens if totals is not None else None,
        "generated_tokens_per_s": speed.generated_now,
        "read_tokens_per_s": speed.read_now,
        "planned": _planned(engine),
        "generated_lately_tokens_per_s": speed.generated_lately,
        "read_lately_tokens_per_s": speed.read_lately,
        "resident_bytes": _known(engine.resident_bytes),
        "model_cached_bytes": _known(engine.model_cached_bytes),
        "buffers": [
            {"use": buffer.use.value, "device": buffer.device, "size_bytes": buffer.size_bytes}
            for buffer in (memory.buffers if memory is not None else ())
        ],
        "buffers_source": memory.source if memory is not None else None,
        "age_s": round(engine.age_s, 3),
    }


def _planned(engine: LiveEngine) -> dict[str, Any] | None:
    """The plan's figures at the depth that the engine is at, and how the measured ones lie beside them."""
    told = beside_plan(engine)
    if told is None or not isinstance(engine.planned, Known):
        return None
    return {
        **{
            name: {
                "tokens_per_s": round(beside.planned.value, 3),
                "low_tokens_per_s": round(beside.planned.low, 3),
                "high_tokens_per_s": round(beside.planned.high, 3),
                "measured_is": beside.against.name.lower() if beside.against is not None else None,
            }
            for name, beside in zip(("generated", "read"), told, strict=True)
        },
        "bottleneck": engine.planned.value.bottleneck,
    }


def slot_json(slot: Slot) -> dict[str, Any]:
    """One slot."""
    return {
        "id": slot.id,
        "window_tokens": slot.n_ctx,
        "is_processing": slot.is_processing,
        "filled_tokens": slot.n_filled,
        "reused_tokens": slot.n_reused,
        "read_tokens": slot.n_read,
        "generated_tokens": slot.n_generated,
    }


def _process(process: LiveProcess) -> dict[str, Any]:
    return {
        "process_id": process.process_id,
        "parent_id": process.parent_id,
        "user": process.user,
        "name": process.name,
        "command": list(process.command),
        "state": process.state,
        "cpu_share": round(process.cpu_share, 4),
        "resident_bytes": process.resident_bytes,
        "cards": [{"index": number, "used_bytes": size} for number, size in process.cards],
        "is_engine": process.is_engine,
    }


def _known(reading: Reading[Any]) -> Any:  # noqa: ANN401 - the value of any reading
    return reading.value if isinstance(reading, Known) else None
