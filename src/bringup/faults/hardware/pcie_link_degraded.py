"""The PCIe link of the GPU has fewer lanes, or a lower speed under load, than card and slot can do.

Symptom: loading a model is slow, traffic between cards is slow; lspci shows a reduced width.
Reason: The slot gives fewer lanes (a chipset slot, a riser, a dirty contact, a split with another card),
    or the link trains at a low speed. An idle card at Gen1 with full width is saving power and is healthy.
Sources: https://docs.nvidia.com/deploy/nvml-api/group__nvmlDeviceQueries.html
    https://docs.kernel.org/PCI/pciebus-howto.html
Limits: four lanes are all that an M.2, Oculink or Thunderbolt path has; half width is normal where two
    cards share a slot pair.
"""

from __future__ import annotations

from bringup.faults._fault import Certainty, Evidence, Safety, Sign, Step, Story
from bringup.faults._scene import Scene
from bringup.reading import Known
from bringup.stack.smi_text import find_in_section, parse_tables
from bringup.stack.told import Told
from bringup.units import parse_whole

SIGNS = (
    Sign(
        r"limited by [\d.]+ GT/s PCIe x[12] link .{0,60}capable of .{0,40}x(?:8|16)\b",
        anchor="limited by",
        example="pci 0000:02:00.0: 7.876 Gb/s available PCIe bandwidth, limited by 8.0 GT/s PCIe x1"
        " link at 0000:00:1c.4 "
        "(capable of 126.024 Gb/s with 16.0 GT/s PCIe x8 link)",
        certainty=Certainty.LIKELY,
    ),
)

STORIES = (Story((Told.NVIDIA, Told.LINK_NARROW), decides="lspci -vv -d 10de:"),)

EXPLAINS = ("multi-gpu-peer-failed",)

STEPS = (
    Step(
        "Read the link while the card works: now, and at most.",
        (
            "nvidia-smi",
            "--query-gpu=pcie.link.gen.current,pcie.link.gen.max,pcie.link.width.current,pcie.link.width.max",
            "--format=csv",
        ),
        Safety.LOOK,
    ),
    Step(
        "With the power off, reseat the card, take it off its riser, move it to a slot of the processor.",
        safety=Safety.DISRUPTIVE,
        touches="the hardware",
        verify=("lspci", "-vv", "-d", "10de:"),
        undo="the former slot",
    ),
    Step(
        "Or accept it: keep each model on one card, so that little crosses the link.",
        touches="how the engine is started",
        undo="the former options",
    ),
)


def check(scene: Scene) -> Evidence | None:
    """Fewer lanes now than card and slot can both do. The speed says nothing: an idle card lowers it."""
    for device in scene.stack.hardware.nvidia_devices:
        if not isinstance(device.link_now, Known) or not isinstance(device.link_most, Known):
            continue
        lanes = device.link_now.value.width_lanes
        most = device.link_most.value.width_lanes
        if isinstance(device.slot_most, Known):
            most = min(most, device.slot_most.value.width_lanes)
        if 0 < lanes < most and (lanes <= 2 or isinstance(device.slot_most, Known)):
            return _evidence(lanes, most, device.address, device.link_now.source)
    return _check_lines(scene) or _check_smi(scene)


def _check_lines(scene: Scene) -> Evidence | None:
    """One or two lanes, marked as downgraded, in lines of lspci that name no device at all."""
    if isinstance(scene.stack.hardware.pci_devices, Known) or scene.lines.has(" controller"):
        return None
    hit = scene.lines.search(r"LnkSta:?.{0,60}Width x([12]) \(downgraded\)", anchor="lnksta")
    most = scene.lines.search(r"LnkCap:?.{0,80}\bx(\d+)\b", anchor="lnkcap")
    if hit is None or most is None:
        return None
    return _evidence(
        int(hit[1].group(1)), int(most[1].group(1)), "one card", f"{hit[0].source}, line {hit[0].number}"
    )


def _check_smi(scene: Scene) -> Evidence | None:
    """One or two lanes of more in nvidia-smi's own words."""
    now = find_in_section(scene.lines, "Link Width", "Current")
    most = find_in_section(scene.lines, "Link Width", "Max")
    pairs = [(now[1], most[1])] if now and most else []
    for row in parse_tables(scene.lines):
        pairs.append((row.get("pcie.link.width.current", ""), row.get("pcie.link.width.max", "")))
    for current, maximum in pairs:
        lanes, possible = parse_whole(current.rstrip("x")), parse_whole(maximum.rstrip("x"))
        if lanes in (1, 2) and possible is not None and lanes < possible:
            return _evidence(lanes, possible, "one card", "nvidia-smi")
    return None


def _evidence(lanes: int, most: int, card: str, source: str) -> Evidence:
    return Evidence(
        saw=f"{lanes} of {most} PCIe lanes at {card}",
        expected=f"{most} lanes, which card and slot can both do",
        sources=(source,),
        certainty=Certainty.SURE if lanes * 2 < most else Certainty.LIKELY,
        decides="" if lanes * 2 < most else "lspci -vv -d 10de: while the card works",
        strength=10,
    )
