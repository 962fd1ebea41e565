"""The log as JSON; each `schema` grows when a field is taken away or renamed."""

from __future__ import annotations

from typing import Any, Final

from bringup.actions.journal.verification import Checked
from bringup.actions.log.since import Comparison
from bringup.actions.log.standing import Standing
from bringup.actions.log.timeline import Timeline
from bringup.journal.entry import Entry

SCHEMA: Final = 1


def timeline_json(timeline: Timeline) -> dict[str, Any]:
    """Items, oldest first."""
    return {
        "schema": SCHEMA,
        "items": [
            {
                "at_s": item.at_s,
                "seq": item.seq or None,
                "kind": item.kind,
                "text": item.text,
                "layers": list(item.layers),
                "who": item.who,
                "source": item.source,
                "is_clock_set": item.is_clock_set,
            }
            for item in timeline.items
        ],
        "left_out": timeline.n_left_out,
        "old_rules": timeline.n_old_rules,
        "unseen": [{"source": source, "why": why} for source, why in timeline.unseen],
    }


def entries_json(entries: list[Entry]) -> dict[str, Any]:
    """Entries, oldest first."""
    return {"schema": SCHEMA, "entries": [entry.plain() for entry in entries]}


def comparison_json(found: Comparison) -> dict[str, Any]:
    """Two moments and what lies between them."""
    return {
        "schema": SCHEMA,
        "then": _standing(found.then),
        "now": _standing(found.now),
        "worked": found.worked,
        "broken": [fault.id for fault in found.broken],
        "suspects": [
            {
                "rank": one.rank,
                "text": one.text,
                "reason": one.reason,
                "at_s": one.at_s,
                "who": one.who,
                "layers": list(one.layers),
                "seq": one.seq or None,
            }
            for one in found.suspects
        ],
        "changes": [{"name": name, "words": words} for name, words in found.changes],
        "runs": [{"name": name, "then": old, "now": new} for name, old, new in found.runs],
        "unseen": [{"source": source, "why": why} for source, why in found.unseen],
    }


def _standing(standing: Standing) -> dict[str, Any]:
    return {
        "seq": standing.seq,
        "at_s": standing.moment.at_s,
        "verdict": standing.verdict,
        "faults": sorted(standing.ids),
    }


def verified_json(found: Checked) -> dict[str, Any]:
    """What a check of the whole journal found."""
    return {
        "schema": SCHEMA,
        "path": found.path,
        "entries": found.n_entries,
        "head": found.head,
        "problems": list(found.problems),
        "lost": list(found.lost),
        "forgotten": list(found.forgotten),
        "aside": list(found.aside),
        "waiting": found.waiting,
    }
