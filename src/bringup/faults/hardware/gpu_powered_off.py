"""A laptop's power management has switched the GPU off.

Symptom: modprobe looks for a module named 'off', bbswitch reports "disabling discrete graphics", lspci
    shows "(rev ff)".
Reason: A hybrid laptop was told to run on its integrated graphics only, and the NVIDIA GPU is without
    power or its driver is kept from loading. The hardware is sound; the switch is elsewhere.
Sources: https://github.com/Bumblebee-Project/Bumblebee/issues/554
    https://wiki.archlinux.org/title/PRIME
Limits: runtime power saving of the driver itself (state "suspended") is healthy and wakes by itself.
"""

from __future__ import annotations

from bringup.faults._fault import Certainty, Evidence, Safety, Sign, Step, Story
from bringup.faults._scene import Scene
from bringup.faults._steps import REBOOT
from bringup.faults.kernel._driver import is_long_supported
from bringup.reading import Known
from bringup.stack.kernel_log import RefusalKind
from bringup.stack.told import Told

_SWITCHES = (
    "bbswitch",
    "bumblebee",
    "optirun",
    "nvidia-xrun",
    "pcie_port_pm",
    "d3cold",
    "prime-select",
    "suse-prime",
)

SIGNS = (
    Sign(
        r"could not (?:find module by name=|insert )'off'",
        anchor="'off'",
        example="modprobe: ERROR: could not find module by name='off'",
    ),
    Sign(
        r"Module off not found",
        anchor="module off not found",
        example="modprobe: FATAL: Module off not found in directory /lib/modules/5.15.0-91-generic",
    ),
    Sign(
        r"bbswitch: disabling discrete graphics",
        anchor="bbswitch: disabling",
        example="bbswitch: disabling discrete graphics",
    ),
    Sign(
        r"Discrete card \S{1,80} is off",
        anchor="discrete card",
        example="bbswitch: Succesfully loaded. Discrete card 0000:01:00.0 is off",
    ),
    Sign(
        r"change power state from\s{1,3}D3cold to D0",
        anchor="d3cold to d0",
        example="nvidia 0000:01:00.0: Unable to change power state from D3cold to D0, device inaccessible",
    ),
    Sign(
        r"^\s{0,8}alias nvidia(?:[-_]\w{1,40})? off\b",
        anchor="alias nvidia",
        example="alias nvidia off",
    ),
    Sign(
        r"Could not enable discrete graphics card",
        anchor="could not enable discrete graphics card",
        example="[ERROR]Cannot access secondary GPU - error: Could not enable discrete graphics card",
    ),
    Sign(
        r"^intel$",
        anchor="intel",
        example="intel",
        needs=("prime-select",),
    ),
    Sign(
        r"^[Ii]ntegrated$",
        anchor="integrated",
        example="Integrated",
        needs=("nvidia",),
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"(?i)NVIDIA card is OFF\b|\bdGPU is (?:off|powered down)\b",
        anchor=" is ",
        example="[bbswitch] NVIDIA card is OFF",
    ),
    Sign(
        r"^[0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7] OFF$",
        anchor=" off",
        example="0000:01:00.0 OFF",
    ),
    Sign(
        r"^(?:Driver configured|Current graphics mode|Current mode|Mode): (?i:intel|integrated)$",
        anchor=": int",
        example="Driver configured: intel",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"^(?:Current graphics mode|Current mode|Mode): (?i:hybrid-off)$",
        anchor=": hybrid-off",
        example="Current mode: hybrid-off",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"bbswitch refuses to turn ON",
        anchor="bbswitch refuses to turn on",
        example="Cannot switch GPUS : bbswitch refuses to turn ON the GPU",
    ),
    Sign(
        r"ERROR: Could not find Nvidia GPU",
        anchor="could not find nvidia gpu",
        example="ERROR: Could not find Nvidia GPU",
        certainty=Certainty.LIKELY,
        needs=("hybrid mode",),
    ),
    Sign(
        r"(?i)(?:could not insert|error inserting) '?nvidia.{0,100}: No such device",
        anchor=": no such device",
        example="FATAL: Error inserting nvidia (/lib/modules/2.6.38-8/nvidia.ko): No such device",
        certainty=Certainty.LIKELY,
        needs=("optirun",),
        unless=("nvrm:",),
        is_weak=True,
    ),
)

STORIES = (
    Story(
        (Told.POWER_SWITCH, Told.DRIVER_SILENT),
        decides="cat /sys/bus/pci/devices/*/power_state",
        strength=-2,
    ),
)

EXPLAINS = (
    "gpu-fell-off-bus",
    "gpu-not-on-bus",
    "gpu-too-new-for-driver",
    "module-not-loaded",
    "module-missing-for-kernel",
    "device-nodes-missing",
    "no-visible-device",
)

STEPS = (
    Step("Ask which graphics mode is chosen (Ubuntu).", ("prime-select", "query"), Safety.LOOK),
    Step(
        "Choose the NVIDIA GPU or on-demand (Ubuntu; elsewhere: supergfxctl -m Hybrid, envycontrol -s"
        " hybrid, "
        "system76-power graphics hybrid).",
        ("prime-select", "on-demand"),
        Safety.DISRUPTIVE,
        needs_root=True,
        touches="/etc/modprobe.d, /lib/modprobe.d, the display configuration",
        undo="prime-select intel",
        verify=("prime-select", "query"),
    ),
    Step(
        "Remove bbswitch and bumblebee where they are: the driver saves power by itself today.",
        touches="two packages",
        undo="install them again",
    ),
    REBOOT,
)


def check(scene: Scene) -> Evidence | None:
    """modprobe.d sends nvidia nowhere, or a driver does not know a card that it has long supported."""
    settings = scene.stack.kernel.settings
    for setting in settings.value if isinstance(settings, Known) else ():
        if setting.action == "alias" and setting.module.startswith("nvidia") and setting.rest == "off":
            return Evidence(
                saw=f"alias {setting.module} off in {setting.path}, line {setting.line_number}",
                expected="no such line",
                sources=(setting.path,),
                strength=10,
            )
    if scene.lines.has("fallen off the bus") and scene.lines.has_any("suse-prime", "bbswitch", "optirun"):
        return Evidence(
            saw="a card that does not answer, beside a laptop's power switch",
            expected="a card that wakes when the driver asks",
            certainty=Certainty.LIKELY,
            decides="cat /sys/bus/pci/devices/*/power_state",
        )
    log = scene.stack.kernel.log
    for refusal in log.value.refusals if isinstance(log, Known) and scene.lines.has_any(*_SWITCHES) else ():
        if refusal.kind is RefusalKind.UNKNOWN_TO_DRIVER and is_long_supported(refusal):
            return Evidence(
                saw=f"driver {refusal.driver} calls a card unknown that it supports, beside a power switch",
                expected="a card that answers with its own id",
                sources=(log.source,),
                certainty=Certainty.LIKELY,
                decides="cat /sys/bus/pci/devices/*/power_state",
            )
    return None
