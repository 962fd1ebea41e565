"""The stack on one screen: for each layer, bottom up, how it stands."""

from __future__ import annotations

from enum import Enum
from typing import Final

from bringup.actions.diagnosis.doctor import Examination
from bringup.errors import BringupError
from bringup.faults._diagnose import Finding, Role
from bringup.faults._fault import Layer
from bringup.machine.live import LiveMachine
from bringup.records import dataclass


class State(Enum):
    """How a layer stands."""

    FINE = "fine"
    FAULT = "fault"
    FOLLOWS = "follows"
    UNSEEN = "unseen"


@dataclass(frozen=True, slots=True)
class LayerView:
    """One layer: its state, the findings in it, and why a look at it failed (empty where none did)."""

    layer: Layer
    state: State
    findings: tuple[Finding, ...]
    problem: str = ""


PARTS_OF_LAYER: Final = {
    Layer.HARDWARE: ("hardware",),
    Layer.KERNEL: ("kernel",),
    Layer.CONTAINER: ("container",),
    Layer.USERSPACE: ("userspace", "nvml"),
    Layer.TOOLKIT: ("toolkit",),
    Layer.BUILD: ("build",),
    Layer.MEMORY: ("memory",),
    Layer.RUNTIME: ("runtime",),
}
"""A layer of the faults and the parts of `Stack` that are looked at for it."""


def embedded_engine() -> str | None:
    """Version of the engine in our own Python, or in a wheel that `setup` took; `None` without either."""
    from bringup.engine.find import find_embedded, find_wheel
    from bringup.machine.folders import our_folders

    found = find_embedded() or find_wheel(LiveMachine(), our_folders().builds)
    return None if found is None else found.version


def served_engines() -> dict[int, str]:
    """The engines that bringup runs for this user, by their process: `smollm2-135m on port 8080`."""
    from bringup.engine.registry import list_running
    from bringup.machine.folders import our_folders

    try:
        running = list_running(our_folders())
    except BringupError:  # then the process is named as a stranger's would be
        return {}
    return {one.engine.pid: f"{one.alias} on port {one.port}" for one in running if one.engine is not None}


def view_layers(examination: Examination) -> tuple[LayerView, ...]:
    """The layers that were looked at or have a finding, bottom up."""
    looked = {look.layer for look in examination.looks}
    views = []
    for layer in Layer:
        parts = PARTS_OF_LAYER.get(layer, ())
        findings = tuple(f for f in examination.diagnosis.findings if f.fault.layer is layer)
        if findings or looked.intersection(parts):
            views.append(_view(layer, findings, _problem(examination, parts)))
    return tuple(views)


def _view(layer: Layer, findings: tuple[Finding, ...], problem: str) -> LayerView:
    if any(finding.role is Role.ROOT for finding in findings):
        state = State.FAULT
    elif findings:
        state = State.FOLLOWS
    else:
        state = State.UNSEEN if problem else State.FINE
    return LayerView(layer, state, findings, problem)


def _problem(examination: Examination, parts: tuple[str, ...]) -> str:
    for look in examination.could_not_tell:
        if look.layer in parts:
            return f"could not be looked at: {look.problem}"
    for unseen in examination.unseen:
        if unseen.layer in parts:
            return f"{unseen.what}: {unseen.why}"
    return ""
