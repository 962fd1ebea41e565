"""The failed allocation that ended an engine, and evidence of it."""

from __future__ import annotations

from bringup.faults._fault import Certainty, Evidence
from bringup.faults._scene import Scene
from bringup.stack.allocations import Consumer, FailedAllocation, Place

_GIB = 1024**3


def deadly_allocation(scene: Scene) -> FailedAllocation | None:
    """The last allocation that failed and that the engine did not survive."""
    deadly = [failure for failure in scene.stack.runtime.failed_allocations if not failure.survived]
    named = [failure for failure in deadly if failure.named]
    return (named or deadly)[-1] if deadly else None


def describe(failure: FailedAllocation, *, certainty: Certainty, decides: str = "") -> Evidence:
    """Evidence of one failed allocation, with its size where the log says it."""
    size = f"{failure.size_bytes / _GIB:.1f} GiB" if failure.size_bytes else "memory"
    return Evidence(
        saw=f"{size} of {failure.place.value} for the {failure.consumer.value}:"
        f" {failure.line.text.strip()[:200]}",
        expected="enough free memory before the load",
        sources=(f"{failure.line.source}, line {failure.line.number}",),
        certainty=certainty,
        decides=decides,
        strength=6,
    )


def evidence_for(scene: Scene, consumer: Consumer, *, place: Place | None = None) -> Evidence | None:
    """Evidence when the deadly allocation was for this consumer (in this place)."""
    failure = deadly_allocation(scene)
    if failure is None or failure.consumer is not consumer:
        return None
    if place is not None and failure.place is not place:
        return None
    certainty = Certainty.SURE if failure.named else Certainty.LIKELY
    return describe(failure, certainty=certainty, decides="" if failure.named else "nvidia-smi")
