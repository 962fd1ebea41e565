"""Power, not heat, holds the GPU's clocks down, or keeps it from starting.

Symptom: HW Power Brake Slowdown is active, the enforced limit is far below the card's own, or the driver
    misses a cable.
Reason: An outside signal or a limit caps the power of the card: the board's power brake, a supply or cable
    that is missing, a server that does not know the card, or a lowered power limit.
Sources: https://github.com/l4rz/reverse-engineering-dell-idrac-to-get-rid-of-gpu-throttling
    https://docs.nvidia.com/deploy/nvml-api/group__nvmlClocksEventReasons.html
Limits: "SW Power Cap: Active" under load at the card's own limit is how every card works; nothing is said
    of it.
"""

from __future__ import annotations

from bringup.faults._fault import Certainty, Evidence, Safety, Sign, Step, Story
from bringup.faults._scene import Scene
from bringup.faults.hardware._cards import judge_power
from bringup.stack.smi_text import parse_tables
from bringup.stack.told import Told

SIGNS = (
    Sign(
        r"\bHW Power Brake(?: Slowdown)?\s*:\s*Active\b",
        anchor="hw power brake",
        example="        HW Power Brake Slowdown       : Active",
    ),
    Sign(
        r"(?:necessary|required|PCIe|auxiliary) power c(?:able|onnector)",
        anchor="power c",
        example="NVRM: GPU 0000:01:00.0: GPU does not have the necessary power cables connected.",
        needs=("nvrm",),
    ),
    Sign(
        r"RmInitAdapter failed! \(0x24:0x1c:",
        anchor="0x24:0x1c:",
        example="NVRM: GPU 0000:01:00.0: RmInitAdapter failed! (0x24:0x1c:1423)",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"\bHW Slowdown\s*:\s*Active\b",
        anchor="hw slowdown",
        example="    HW Slowdown                       : Active",
        certainty=Certainty.LIKELY,
        unless=("thermal slowdown               : active", "thermal slowdown           : active"),
    ),
    Sign(
        r"(?i)(?:clocks? (?:event|throttling)|throttl\w{0,4}) due to power violation",
        anchor="due to power violation",
        example="Detected clocks event due to power violation in GPU 0. Monitor the power conditions.",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"(?:the device handle for .{0,60}|nvml.{0,20}): (?i:Insufficient External Power)"
        r"|GPU has insufficient external power|INSUFFICIENT_POWER\b",
        anchor="insufficient",
        example="Unable to determine the device handle for GPU 0000:01:00.0: Insufficient External Power",
    ),
)

STORIES = (Story((Told.NVIDIA, Told.POWER_HELD), decides="nvidia-smi -q -d POWER,PERFORMANCE"),)

EXPLAINS = ("gsp-firmware-failed",)

STEPS = (
    Step("Read the limits and the reasons.", ("nvidia-smi", "-q", "-d", "POWER,PERFORMANCE"), Safety.LOOK),
    Step(
        "With the power off, connect every power plug of the card, each with a cable of its own from the"
        " supply.",
        safety=Safety.DISRUPTIVE,
        touches="the hardware",
        verify=("nvidia-smi", "-q", "-d", "PERFORMANCE"),
        undo="the former cables",
    ),
    Step(
        "In a server, look into its management controller: power budget, redundancy, and whether it"
        " knows this card.",
        verify=("nvidia-smi", "-q", "-d", "PERFORMANCE"),
        touches="nothing, unless you change the budget there",
        undo="the former budget",
    ),
)


def check(scene: Scene) -> Evidence | None:
    """The power brake in a table, or a limit far below the card's own in `nvidia-smi -q -d POWER`."""
    for row in parse_tables(scene.lines):
        for key, value in row.items():
            if key.endswith("hw_power_brake_slowdown") and value == "Active":
                return Evidence(
                    saw=f"{key}: Active", expected="Not Active", sources=("nvidia-smi",), strength=10
                )
    return _check_limits(scene) or judge_power(scene)


def _check_limits(scene: Scene) -> Evidence | None:
    """The limit in force against the default and the most; a laptop's boost above its base is normal."""
    pattern = r"{}\s*:\s*(\d{{1,6}}(?:\.\d{{1,6}})?) W"
    force = scene.lines.search(pattern.format("(?:Enforced|Current) Power Limit"), anchor="power limit")
    for name, share in (("Default Power Limit", 0.75), ("Max Power Limit", 0.6)):
        own = scene.lines.search(pattern.format(name), anchor=name.lower())
        if (
            force is not None
            and own is not None
            and float(force[1].group(1)) < share * float(own[1].group(1))
        ):
            return Evidence(
                saw=f"power limit {force[1].group(1)} W in force, {name.lower()} {own[1].group(1)} W",
                expected="a limit near the card's own",
                sources=(f"{force[0].source}, line {force[0].number}",),
                certainty=Certainty.LIKELY,
                decides="nvidia-smi -q -d POWER,PERFORMANCE",
            )
    return None
