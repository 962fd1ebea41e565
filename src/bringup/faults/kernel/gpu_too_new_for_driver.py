"""The GPU is newer than the installed driver branch.

Symptom: "installed in this system is not supported by the NVIDIA ... driver release" for a card of a newer
    generation.
Reason: A driver knows the device ids of its day. This card came out after the branch, so the module finds
    nothing that it may drive.
Sources: https://us.download.nvidia.com/XFree86/Linux-x86_64/580.65.06/README/supportedchips.html
    https://www.nvidia.com/en-us/drivers/unix/
Limits: a powered-off or half-dead card reads as an unknown one: where a BAR or bbswitch fault stands
    beside, that is it.
"""

from __future__ import annotations

from bringup.faults._fault import Certainty, Safety, Sign, Step

_OTHERS = ("fallen off the bus", "open kernel modules", "open nvidia.ko", "supported by open", "bbswitch")

SIGNS = (
    Sign(
        r"installed in this system is not supported by the",
        anchor="installed in this system is not supported by the",
        example="NVRM: installed in this system is not supported by the",
        certainty=Certainty.LIKELY,
        unless=_OTHERS,
    ),
    Sign(
        r"card is not supported by any driver version up to",
        anchor="not supported by any driver version",
        example="Uh oh. Your card is not supported by any driver version up to 535.183.01.",
        certainty=Certainty.LIKELY,
    ),
)

EXPLAINS = (
    "gsp-firmware-failed",
    "module-not-loaded",
    "module-missing-for-kernel",
    "device-nodes-missing",
    "no-visible-device",
    "running-on-cpu",
)

STEPS = (
    Step("See the card's name and device id.", ("lspci", "-nn", "-d", "10de:"), Safety.LOOK),
    Step(
        "Install a branch that lists the card (RTX 50: 570 or newer, in the open flavour).",
        safety=Safety.DISRUPTIVE,
        touches="the driver's packages",
        undo="install the present branch again",
        verify=("nvidia-smi",),
    ),
    Step(
        "Restart.",
        ("systemctl", "reboot"),
        Safety.DISRUPTIVE,
        needs_root=True,
        touches="all running programs end",
        verify=("nvidia-smi",),
    ),
)
