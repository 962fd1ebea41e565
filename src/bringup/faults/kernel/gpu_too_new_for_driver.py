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

from bringup.faults._fault import Certainty, Evidence, Safety, Sign, Step
from bringup.faults._scene import Scene
from bringup.faults._steps import REBOOT
from bringup.faults.kernel._driver import device_ids, driver_version
from bringup.reading import Known
from bringup.stack.gpu_generations import SUPPORT, find_generation
from bringup.stack.kernel_log import RefusalKind

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
    REBOOT,
)


def check(scene: Scene) -> Evidence | None:
    """A card whose generation began with a branch after the one that is installed or that refused it."""
    log = scene.stack.kernel.log
    refusals = log.value.refusals if isinstance(log, Known) else ()
    tried = [(r.device_id, r.driver) for r in refusals if r.kind is RefusalKind.UNKNOWN_TO_DRIVER]
    tried.extend((device_id, driver_version(scene)) for device_id in device_ids(scene))
    for device_id, driver in tried:
        generation = find_generation(device_id) if device_id is not None else None
        if generation is None or driver is None:
            continue
        first = SUPPORT[generation].first_branch
        if driver.branch < first:
            return Evidence(
                saw=f"a {generation.value} card (10de:{device_id:04x}) and driver {driver}",
                expected=f"a driver of branch {first} or newer",
                sources=(log.source if isinstance(log, Known) else "",),
                strength=10,
            )
    return None
