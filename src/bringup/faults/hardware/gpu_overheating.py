"""The GPU runs slower because of heat.

Symptom: nvidia-smi shows HW or SW Thermal Slowdown as active; the clocks fall under load.
Reason: The card is at its temperature limit and lowers its clocks to stay there. Cooling is short, or a
    platform has set the limit low (then the card is cool and the limit is the fault).
Sources: https://github.com/intel/thermal_daemon/issues/300
    https://docs.nvidia.com/deploy/nvml-api/group__nvmlClocksEventReasons.html
Limits: memory heat is not shown on GeForce cards.
"""

from __future__ import annotations

from bringup.faults._fault import Certainty, Evidence, Safety, Sign, Step, Story
from bringup.faults._scene import Scene
from bringup.faults.hardware._cards import judge_heat
from bringup.stack.smi_text import parse_tables
from bringup.stack.told import Told

SIGNS = (
    Sign(
        r"\b(?:HW|SW) Thermal Slowdown\s*:\s*Active\b",
        anchor="thermal slowdown",
        example="            HW Thermal Slowdown           : Active",
    ),
    Sign(
        r"(?:GPU|gpu).{0,40}(?:temperature.{0,40}(?:exceed|critical|above)|over-?heat|too hot|thermal"
        r" (?:shutdown|trip))",
        anchor="gpu",
        example="NVRM: GPU 0000:01:00.0: temperature has exceeded the slowdown threshold",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"(?i)(?:clocks? (?:event|throttling)|throttl\w{0,4}) due to thermal violation",
        anchor="due to thermal violation",
        example="Detected clocks event due to thermal violation in GPU 2. Verify that the cooling on this"
        " machine is functional",
    ),
)

STORIES = (Story((Told.NVIDIA, Told.TOO_HOT), decides="nvidia-smi -q -d TEMPERATURE,PERFORMANCE"),)

EXPLAINS = ("gpu-power-limited",)

STEPS = (
    Step(
        "Read the temperature beside its limits.",
        ("nvidia-smi", "-q", "-d", "TEMPERATURE,PERFORMANCE"),
        Safety.LOOK,
    ),
    Step(
        "Card hot: clean the fans and filters, give it air, raise the fan curve.",
        touches="the hardware",
        verify=("nvidia-smi", "-q", "-d", "TEMPERATURE,PERFORMANCE"),
        undo="the former fan curve",
    ),
    Step(
        "Card cool and the limit low (laptops): start thermald with its adaptive tables.",
        ("systemctl", "enable", "--now", "thermald.service"),
        Safety.SAFE,
        needs_root=True,
        undo="systemctl disable --now thermald.service",
        touches="the platform's thermal limits",
        verify=("nvidia-smi", "-q", "-d", "TEMPERATURE"),
    ),
)


def check(scene: Scene) -> Evidence | None:
    """The temperature of `nvidia-smi -q` stands at (within 1 C of) its operating or slowdown limit."""
    for row in parse_tables(scene.lines):
        for key, value in row.items():
            if key.endswith("_thermal_slowdown") and value == "Active":
                return Evidence(
                    saw=f"{key}: Active", expected="Not Active", sources=("nvidia-smi",), strength=10
                )
    now = scene.lines.search(r"GPU Current Temp\s*:\s*(\d+) C", anchor="gpu current temp")
    if now is None:
        return judge_heat(scene)
    for name in ("GPU Max Operating Temp", "GPU Slowdown Temp"):
        limit = scene.lines.search(rf"{name}\s*:\s*(\d+) C", anchor=name.lower())
        if limit is not None and int(now[1].group(1)) >= int(limit[1].group(1)) - 1:
            return Evidence(
                saw=f"{now[1].group(1)} C at a limit of {limit[1].group(1)} C ({name})",
                expected="some degrees below the limit",
                sources=(f"{now[0].source}, line {now[0].number}",),
                strength=10,
            )
    return None
