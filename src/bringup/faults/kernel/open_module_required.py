"""This GPU needs NVIDIA's open kernel modules, and the proprietary flavour is installed.

Symptom: "requires use of the NVIDIA open kernel modules" in the kernel log; nvidia-smi says "No devices
    were found".
Reason: NVIDIA drives Blackwell and newer (and Grace Hopper) with the open flavour of its kernel modules
    only. The driver's version may be new enough: only the flavour is wrong.
Sources: https://download.nvidia.com/XFree86/Linux-aarch64/580.159.03/README/kernel_open.html
    https://github.com/NVIDIA/open-gpu-kernel-modules/issues/862
    https://github.com/awslabs/amazon-eks-ami/pull/2769
    https://github.com/Start9Labs/start-technologies/issues/3465
Limits: on Pascal, Volta and older the opposite holds, see `open-module-unsupported`.
"""

from __future__ import annotations

from bringup.faults._fault import Certainty, Evidence, Safety, Sign, Step, Story
from bringup.faults._scene import Scene
from bringup.faults._steps import REBOOT
from bringup.faults.kernel._driver import driver_version, generations, is_open_flavour
from bringup.faults.kernel._steps import driver_steps
from bringup.reading import Known
from bringup.stack.gpu_generations import SUPPORT
from bringup.stack.told import Told

SIGNS = (
    Sign(
        r"requires? use of the NVIDIA open kernel modules",
        anchor="use of the nvidia open kernel modules",
        example="NVRM: installed in this system requires use of the NVIDIA open kernel modules.",
    ),
    Sign(
        r"(?i)requires? (?:the )?(?:use of )?(?:nvidia )?open (?:gpu )?kernel modules",
        anchor="kernel modules",
        example="NVIDIA(GPU-0): this GPU requires the open kernel modules",
        needs=("nvrm",),
    ),
    Sign(
        r"RmInitAdapter failed! \(0x22:0x56:",
        anchor="rminitadapter failed! (0x22:0x56:",
        example="NVRM: GPU 0000:01:00.0: RmInitAdapter failed! (0x22:0x56:884)",
        certainty=Certainty.LIKELY,
        unless=("unix open kernel module", "osinitnvmapping"),  # a card that could not be mapped has it too
    ),
)

STORIES = (
    Story((Told.NEW_CARD, Told.NO_DEVICES), decides="modinfo -F license nvidia"),
    Story((Told.NEW_CARD, Told.DRIVER_SILENT), decides="modinfo -F license nvidia", strength=-3),
)

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
        "Install the open flavour of the same branch (Ubuntu: nvidia-driver-<branch>-open; Debian and"
        " Fedora: "
        "nvidia-open; Arch: nvidia-open).",
        safety=Safety.DISRUPTIVE,
        touches="the driver's packages",
        undo="install the proprietary flavour again",
        verify=("modinfo", "-F", "license", "nvidia"),
    ),
    REBOOT,
)


def check(scene: Scene) -> Evidence | None:
    """A card that only the open flavour drives, and the proprietary flavour or its code 0x22:0x56."""
    cards = [generation for _, generation in generations(scene) if not SUPPORT[generation].closed_modules]
    if not cards:
        return None
    flavour = is_open_flavour(scene)
    version = driver_version(scene)
    log = scene.stack.kernel.log
    has_code = isinstance(log, Known) and "0x22:0x56" in log.value.start_codes
    if (flavour is None and not has_code) or (flavour is not None and flavour[0]):
        return None
    return Evidence(
        saw=f"a {cards[0].value} card"
        + (f" and the proprietary module {version or ''}".rstrip() if flavour else "")
        + (", start refused with 0x22:0x56" if has_code else ""),
        expected="the open kernel modules",
        sources=tuple(
            source for source in (flavour[1] if flavour else "", log.source if has_code else "") if source
        ),
        certainty=Certainty.SURE if flavour else Certainty.LIKELY,
        decides="" if flavour else "modinfo -F license nvidia",
        steps=driver_steps(scene, version.branch if version else None, is_open=True),
        strength=10,
    )
