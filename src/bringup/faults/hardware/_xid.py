"""Evidence from Xid errors of the kernel's log: the code, the card, how often, and what the code means."""

from __future__ import annotations

from bringup.faults._fault import Evidence
from bringup.faults._scene import Scene
from bringup.reading import Known
from bringup.stack.xid_table import describe_xid


def judge_xid(scene: Scene, codes: tuple[int, ...]) -> Evidence | None:
    """The first Xid of some codes; `None` where there is none, or the log was not seen."""
    log = scene.stack.kernel.log
    if not isinstance(log, Known):
        return None
    found = [xid for xid in log.value.xids if xid.code in codes]
    if not found:
        return None
    first = found[0]
    same = sum(xid == first for xid in found)
    times = f", {same} times" if same > 1 else ""
    return Evidence(
        saw=f"Xid {first.code} of the card {first.pci_address}{times}: {describe_xid(first.code)}",
        expected="no such error in the kernel's log",
        sources=(log.source,),
    )
