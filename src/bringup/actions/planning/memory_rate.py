"""How fast main memory is, by a measurement that is kept, or by its modules' data."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from bringup.actions.planning.own_runs import processor_name
from bringup.errors import FileTrouble
from bringup.machine import clock, files, rights
from bringup.machine.folders import our_folders
from bringup.plan.rates import HostRates, host_rates
from bringup.reading import Known, need, parse_json
from bringup.stack.memory_rate import measure_memory, probe_modules

if TYPE_CHECKING:
    from bringup.actions.planning.place import Place
    from bringup.machine.protocol import Machine

_SCHEMA: Final = 1
_LIMIT_BYTES: Final = 16 * 1024
_MOST_BYTES_PER_S: Final = 10e12


def measured_rates(place: Place, machine: Machine) -> HostRates:
    """Main memory of this machine, measured now and kept for later plans.

    Raises:
        CannotTell: the measurement failed.
    """
    found = measure_memory(machine)
    rate, day = need(found), _today()
    if rate is not None:
        _keep(machine, {"measured": {"bytes_per_s": round(rate), "day": day}})
    return host_rates(measured=found, n_cores=place.n_threads, day=day)


def known_rates(place: Place, machine: Machine) -> HostRates:
    """Main memory of this machine by an earlier measurement, else by its modules' data, else assumed.

    The modules are asked with root's rights alone, which the firmware's list needs, and once.
    """
    kept = _kept(machine)
    source = our_folders().main_memory_file
    if (measured := _rate(kept.get("measured"))) is not None:
        rate, day = measured
        return host_rates(measured=Known(rate, source), n_cores=place.n_threads, day=day)
    if (modules := _rate(kept.get("modules"))) is not None:
        return host_rates(modules=Known(modules[0], source), n_cores=place.n_threads)
    if not rights.is_root():
        return host_rates(n_cores=place.n_threads)
    found = probe_modules(machine)
    if isinstance(found, Known):
        _keep(machine, {"modules": {"bytes_per_s": round(found.value), "day": _today()}})
    return host_rates(modules=found, n_cores=place.n_threads)


def record_measured() -> str:
    """Write the measurement that was just taken into the journal; a warning where that could not be done."""
    from bringup.actions.journal.writing import Note, record
    from bringup.journal.entry import Kind
    from bringup.machine.live import LiveMachine

    kept = _kept(LiveMachine())
    measured = _rate(kept.get("measured"))
    if measured is None:
        return ""
    rate, _ = measured
    data = {"what": "main memory", "bytes_per_s": round(rate), "processor": str(kept.get("processor", ""))}
    return record(
        Note(Kind.BENCH, "main memory", f"main memory carries {rate / 1e9:.1f} GB/s, measured", data)
    )


def _today() -> str:
    return clock.local_time_text(clock.wall_s())[:10]


def _rate(value: object) -> tuple[float, str] | None:
    """A rate that was kept, and its day; `None` for what is none."""
    if not isinstance(value, dict):
        return None
    rate, day = value.get("bytes_per_s"), value.get("day")
    if not isinstance(rate, int | float) or not isinstance(day, str) or not 0 < rate < _MOST_BYTES_PER_S:
        return None
    return float(rate), day[:10]


def _kept(machine: Machine) -> dict[str, Any]:
    """What was kept for this processor; empty for nothing, for another machine's, and for what is damaged."""
    try:
        data = files.read_small(our_folders().main_memory_file, limit_bytes=_LIMIT_BYTES)
        value = {} if data is None else parse_json(data)
    except (FileTrouble, ValueError):
        return {}
    is_ours = isinstance(value, dict) and value.get("schema") == _SCHEMA
    return value if is_ours and value.get("processor") == processor_name(machine) else {}


def _keep(machine: Machine, found: dict[str, Any]) -> None:
    """Keep a finding beside the others; one that cannot be kept is looked for again."""
    value = {**_kept(machine), **found, "schema": _SCHEMA, "processor": processor_name(machine)}
    try:
        files.write_atomic(our_folders().main_memory_file, json.dumps(value, indent=1).encode())
    except FileTrouble:
        return
