"""The driver works and the program is shown no device.

Symptom: "no CUDA-capable device is detected" (error 100 or 38) while nvidia-smi lists the card.
Reason: CUDA_VISIBLE_DEVICES (or NVIDIA_VISIBLE_DEVICES in a container) is empty, out of range or not a
    number, and nvidia-smi ignores it. MIG and exclusive compute mode can hide a card too.
Sources: https://docs.nvidia.com/cuda/cuda-c-programming-guide/index.html#env-vars
    https://github.com/endernewton/tf-faster-rcnn/issues/38
Limits: without a sign of a healthy driver the same error has a lower cause; so this alone is only likely.
"""

from __future__ import annotations

from bringup.faults._fault import Certainty, Evidence, Safety, Sign, Step
from bringup.faults._scene import Scene

_LOWER = ("nvrm:", "couldn't communicate", "version mismatch", "/usr/lib/wsl")

SIGNS = (
    Sign(
        r"(?i)no cuda-capable device is detected",
        anchor="no cuda-capable device",
        example="ggml_cuda_init: failed to initialize CUDA: no CUDA-capable device is detected",
        certainty=Certainty.LIKELY,
        unless=_LOWER,
    ),
    Sign(
        r"(?i)CUDA_ERROR_NO_DEVICE|cudaErrorNoDevice",
        anchor="device",
        example="failed call to cuInit: CUDA_ERROR_NO_DEVICE: no CUDA-capable device is detected",
        certainty=Certainty.LIKELY,
        unless=_LOWER,
    ),
    Sign(
        r"(?i)(?:invalid|not a valid|unknown).{0,30}(?:CUDA|HIP|NVIDIA)_VISIBLE_DEVICES|"
        r"_VISIBLE_DEVICES.{0,60}(?:invalid|ignor|no devices|hides)",
        anchor="_visible_devices",
        example="user overrode visible devices: CUDA_VISIBLE_DEVICES=7, no devices left",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"(?i)invalid device ordinal",
        anchor="invalid device ordinal",
        example="CUDA error: invalid device ordinal",
        certainty=Certainty.LIKELY,
    ),
)

EXPLAINS = ("running-on-cpu",)

STEPS = (
    Step("See the cards that the driver has.", ("nvidia-smi", "-L"), Safety.LOOK),
    Step("See the variable.", ("printenv", "CUDA_VISIBLE_DEVICES"), Safety.LOOK),
    Step(
        "Unset CUDA_VISIBLE_DEVICES, or give it indexes that nvidia-smi -L lists; in a service look at its "
        "unit's "
        "Environment lines.",
        safety=Safety.SAFE,
        touches="this program's environment",
        undo="set it again",
    ),
    Step(
        "See whether a compute mode or MIG hides the card.",
        ("nvidia-smi", "--query-gpu=index,name,compute_mode,mig.mode.current", "--format=csv"),
        Safety.LOOK,
    ),
)


def check(scene: Scene) -> Evidence | None:
    """The variable is set in the text to something that selects nothing, and CUDA sees no device."""
    if not scene.lines.has_any("no cuda-capable device", "no_device", "found 0 cuda devices", "no cuda gpus"):
        return None
    pattern = r"CUDA_VISIBLE_DEVICES=(\"\"|''|-1|\$\w|NoDevFiles|\s|$|[^\d\sGM\"'\[])"
    hit = scene.lines.search(pattern, anchor="cuda_visible_devices")
    if hit is None:
        return None
    line, _ = hit
    return Evidence(
        saw=line.text.strip()[:200],
        expected="CUDA_VISIBLE_DEVICES unset, or indexes of cards that exist",
        sources=(f"{line.source}, line {line.number}",),
        strength=10,
    )
