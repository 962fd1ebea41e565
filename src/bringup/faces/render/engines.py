"""The running engines as a table and as data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from bringup.actions.running.engines import EngineStatus
from bringup.engine.registry import EngineRecord, EngineState
from bringup.faces.render.format import Column, format_count, format_duration, format_table

SCHEMA: Final = 1
_COLUMNS: Final = (
    Column("PORT", right=True),
    Column("MODEL", elastic=True),
    Column("STATE"),
    Column("SINCE", right=True),
    Column("CONTEXT", right=True),
    Column("PID", right=True),
    Column("KEY"),
)


def engine_lines(
    engines: Sequence[EngineStatus], *, now_s: float, width_columns: int | None
) -> tuple[str, ...]:
    """The table; below it the cause of each failure."""
    rows = [_row(engine, now_s) for engine in engines]
    causes = tuple(_cause(engine.record) for engine in engines if engine.record.cause)
    return (*format_table(_COLUMNS, rows, width_columns=width_columns), *causes)


def _cause(record: EngineRecord) -> str:
    if record.state is EngineState.FAILED:
        return f"{record.port} was given up: {record.cause} [{record.reference}]"
    times = "once" if record.restarts == 1 else f"{record.restarts} times"
    return f"{record.port} was started again {times}, last because: {record.cause} [{record.reference}]"


def _row(engine: EngineStatus, now_s: float) -> tuple[str, ...]:
    record = engine.record
    return (
        str(record.port),
        record.alias,
        engine.state,
        format_duration(max(0.0, now_s - record.started_s)),
        format_count(engine.info.n_ctx) if engine.info else "?",
        str(record.engine.pid) if record.engine else "-",
        "yes" if record.has_key else "no",
    )


def engines_json(engines: Sequence[EngineStatus]) -> dict[str, Any]:
    """The same as data. Figures are null where the engine did not answer."""
    return {"schema": SCHEMA, "engines": [_as_data(engine) for engine in engines]}


def _as_data(engine: EngineStatus) -> dict[str, Any]:
    record, info = engine.record, engine.info
    return {
        "id": str(record.port),
        "port": record.port,
        "host": record.host,
        "model": record.alias,
        "model_path": record.model_path,
        "state": engine.state.replace(" ", "-"),
        "is_answering": engine.is_answering,
        "pid": record.engine.pid if record.engine else None,
        "started_unix_s": record.started_s,
        "context_tokens": info.n_ctx if info else None,
        "slots": info.n_slots if info else None,
        "is_detached": record.is_detached,
        "has_key": record.has_key,
        "restarts": record.restarts,
        "cause": record.cause or None,
        "reference": record.reference or None,
        "log_path": record.log_path,
    }
