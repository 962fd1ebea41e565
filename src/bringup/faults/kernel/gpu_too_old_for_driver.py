"""The installed driver branch no longer supports this GPU.

Symptom: "supported through the NVIDIA 470.xx Legacy drivers", "The ... NVIDIA driver will ignore this
    GPU".
Reason: NVIDIA drops old GPU generations from new branches: Fermi ended with 390, Kepler with 470, Maxwell,
    Pascal and Volta with 580. The driver names the branch that still works.
Sources: https://www.nvidia.com/en-us/drivers/unix/legacy-gpu/
    https://github.com/fgci-org/ansible-role-cuda/issues/16
Limits: an old branch may not build on a new kernel; then the kernel has to be an older one as well.
"""

from __future__ import annotations

from bringup.faults._fault import Evidence, Safety, Sign, Step, Story
from bringup.faults._scene import Scene
from bringup.faults._steps import REBOOT
from bringup.faults.kernel._driver import device_ids, driver_version
from bringup.faults.kernel._steps import driver_steps
from bringup.reading import Known
from bringup.stack.gpu_generations import SUPPORT, find_generation
from bringup.stack.kernel_log import RefusalKind
from bringup.stack.told import Told

SIGNS = (
    Sign(
        r"(?i)supported through the \S{2,12} \d{2,3}\.[\dx.]{1,8} legacy",
        anchor="supported through the",
        example="NVRM:  supported through the NVIDIA 390.xx Legacy drivers. Please",
    ),
    Sign(
        r"NVIDIA driver will ignore",
        anchor="nvidia driver will ignore",
        example="NVRM:  information.  The 396.26 NVIDIA driver will ignore",
    ),
    Sign(
        r"card is only supported (?:up to|by) the \S{1,80} legacy drivers?",
        anchor="card is only supported",
        example="Your card is only supported up to the 390 legacy drivers series.",
    ),
)

STORIES = (Story((Told.NVIDIA, Told.OLD_CARD, Told.DROPPED), decides="lspci -nn -d 10de:"),)

EXPLAINS = (
    "open-module-unsupported",
    "module-not-loaded",
    "device-nodes-missing",
    "no-visible-device",
    "running-on-cpu",
)

STEPS = (
    Step("See the card's name and device id.", ("lspci", "-nn", "-d", "10de:"), Safety.LOOK),
    Step(
        "Install the legacy branch that the message names, and hold it against upgrades.",
        safety=Safety.DISRUPTIVE,
        touches="the driver's packages",
        undo="install the present branch again",
        verify=("nvidia-smi",),
    ),
    REBOOT,
)


def check(scene: Scene) -> Evidence | None:
    """A card whose generation ended with a branch before the one that is installed or that refused it."""
    log = scene.stack.kernel.log
    refusals = log.value.refusals if isinstance(log, Known) else ()
    tried = [(r.device_id, r.driver) for r in refusals if r.kind is RefusalKind.UNKNOWN_TO_DRIVER]
    tried.extend((device_id, driver_version(scene)) for device_id in device_ids(scene))
    for device_id, driver in tried:
        generation = find_generation(device_id) if device_id is not None else None
        last = SUPPORT[generation].last_branch if generation is not None else None
        if generation is not None and last is not None and driver is not None and driver.branch > last:
            return Evidence(
                saw=f"a {generation.value} card (10de:{device_id:04x}) and driver {driver}",
                expected=f"a driver of branch {last} or older",
                sources=(log.source if isinstance(log, Known) else "",),
                steps=driver_steps(scene, last, is_open=False),
                strength=10,
            )
    return None
