"""The open kernel modules are installed, and this GPU is too old for them.

Symptom: "not supported by open nvidia.ko because it does not include the required GPU System Processor
    (GSP)".
Reason: The open flavour drives only GPUs with a GSP: Turing (RTX 20, GTX 16) and newer. Pascal, Volta and
    older need the proprietary flavour, from the 580 branch or an older one.
Sources: https://github.com/NVIDIA/open-gpu-kernel-modules/issues/322
    https://github.com/NVIDIA/open-gpu-kernel-modules/issues/230
    https://download.nvidia.com/XFree86/Linux-aarch64/580.159.03/README/kernel_open.html
Limits: before branch 560 the open flavour also refused GeForce cards with a GSP unless told otherwise.
"""

from __future__ import annotations

from bringup.faults._fault import Evidence, Safety, Sign, Step, Story
from bringup.faults._scene import Scene
from bringup.faults._steps import REBOOT
from bringup.faults.kernel._driver import driver_version, generations, is_open_flavour
from bringup.faults.kernel._steps import driver_steps
from bringup.stack.gpu_generations import SUPPORT
from bringup.stack.told import Told

SIGNS = (
    Sign(
        r"is not supported by open\b",
        anchor="is not supported by open",
        example="NVRM: installed in this system is not supported by open",
    ),
    Sign(
        r"because it does not include the required GPU",
        anchor="does not include the required gpu",
        example="NVRM: nvidia.ko because it does not include the required GPU",
    ),
    Sign(
        r"Open nvidia\.ko is only ready for use on Data Center GPUs",
        anchor="open nvidia.ko is only ready",
        example="NVRM: Open nvidia.ko is only ready for use on Data Center GPUs.",
    ),
)

STORIES = (Story((Told.OPEN_MODULE, Told.OLD_CARD), decides="modinfo -F license nvidia"),)

EXPLAINS = (
    "gsp-firmware-failed",
    "gpu-too-new-for-driver",
    "module-not-loaded",
    "device-nodes-missing",
    "no-visible-device",
    "running-on-cpu",
)

STEPS = (
    Step(
        "See the flavour that is installed: 'Dual MIT/GPL' is open, 'NVIDIA' is proprietary.",
        ("modinfo", "-F", "license", "nvidia"),
        Safety.LOOK,
    ),
    Step(
        "Install the proprietary flavour (Ubuntu: nvidia-driver-580 without -open; run file: not"
        " -m=kernel-open).",
        safety=Safety.DISRUPTIVE,
        touches="the driver's packages",
        undo="install the open flavour again",
        verify=("modinfo", "-F", "license", "nvidia"),
    ),
    REBOOT,
)


def check(scene: Scene) -> Evidence | None:
    """The open flavour is loaded or installed, and a card has no GSP."""
    cards = [generation for _, generation in generations(scene) if not SUPPORT[generation].open_modules]
    flavour = is_open_flavour(scene)
    if not cards or flavour is None or not flavour[0]:
        return None
    return Evidence(
        saw=f"a {cards[0].value} card and the open module {driver_version(scene) or ''}".rstrip(),
        expected="the proprietary module",
        sources=(flavour[1],),
        steps=driver_steps(scene, _branch(scene), is_open=False),
        strength=10,
    )


def _branch(scene: Scene) -> int | None:
    """The present branch, but none newer than the last that drives these cards."""
    version = driver_version(scene)
    return min(version.branch, 580) if version is not None else None
