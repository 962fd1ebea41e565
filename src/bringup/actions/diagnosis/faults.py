"""The catalogue as a person looks into it: all faults, or one fault's page."""

from __future__ import annotations

from bringup.errors import WrongUse
from bringup.faults._catalogue import find_fault, load_catalogue
from bringup.faults._fault import Fault


def list_faults() -> tuple[Fault, ...]:
    """Every fault, bottom layer first."""
    return load_catalogue()


def get_fault(fault_id: str) -> Fault:
    """The fault of an id, also of one that was renamed.

    Raises:
        WrongUse: there is none; the hint names the nearest ids.
    """
    fault = find_fault(fault_id.strip().lower().replace("_", "-"))
    if fault is not None:
        return fault
    from difflib import get_close_matches

    near = get_close_matches(fault_id.lower(), [one.id for one in load_catalogue()], n=3, cutoff=0.5)
    hint = f"Did you mean {' or '.join(near)}?" if near else "bringup faults lists them all."
    raise WrongUse(f"no fault is called {fault_id[:80]!r}", hint=hint, reference="unknown-fault")
