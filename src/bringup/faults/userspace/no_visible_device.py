"""The driver works and the program is shown no device.

Symptom: "no CUDA-capable device is detected" (error 100 or 38) while nvidia-smi lists the card.
Reason: CUDA_VISIBLE_DEVICES (or NVIDIA_VISIBLE_DEVICES in a container) is empty, out of range or not a
    number, and nvidia-smi ignores it. MIG and exclusive compute mode can hide a card too.
Sources: https://docs.nvidia.com/cuda/cuda-c-programming-guide/index.html#env-vars
    https://github.com/endernewton/tf-faster-rcnn/issues/38
Limits: without a sign of a healthy driver the same error has a lower cause; so this alone is only likely.
"""

from __future__ import annotations

from typing import Final

from bringup.faults._fault import Certainty, Evidence, Safety, Sign, Step
from bringup.faults._scene import Scene
from bringup.faults.userspace._driver import driver_answers
from bringup.reading import Known
from bringup.stack.lines import Line
from bringup.stack.typed import find_typed
from bringup.units import parse_whole

_LOWER = ("nvrm:", "couldn't communicate", "version mismatch", "/usr/lib/wsl")

SIGNS = (
    Sign(
        r"(?i)\bno cuda[ -](?:capable )?(?:gpus?|devices?) (?:is |are |w\w{2,3} )?(?:found|detected|visible)",
        anchor="no cuda",
        example="ggml_cuda_init: failed to initialize CUDA: no CUDA-capable device is detected",
        certainty=Certainty.LIKELY,
        unless=_LOWER,
    ),
    Sign(
        r"msg=\"no nvidia devices detected(?:\"| by library)",
        anchor="no nvidia devices detected",
        example='source=gpu.go:560 msg="no nvidia devices detected"'
        " library=/usr/lib/x86_64-linux-gnu/libcuda.so.550.107.02",
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
    Sign(
        r"user overrode visible devices.{0,20}CUDA_VISIBLE_DEVICES=\"?-1",
        anchor="user overrode visible devices",
        example='level=WARN source=runner.go:485 msg="user overrode visible devices" CUDA_VISIBLE_DEVICES=-1',
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"(?i)\bcuInit\(?\d?\)?.{0,12}(?:returned|failed|error)\D{0,24}\b(?:100|38)\b",
        anchor="cuinit",
        example="CUDA not supported: cuInit() returned 100",
        certainty=Certainty.LIKELY,
        unless=_LOWER,
    ),
)

EXPLAINS = ("running-on-cpu",)

STEPS = (
    Step("See the cards that the driver has.", ("nvidia-smi", "-L"), Safety.LOOK),
    Step(
        "See the variable in the shell or unit that starts the program: `printenv CUDA_VISIBLE_DEVICES`.",
        safety=Safety.LOOK,
    ),
    Step(
        "Unset CUDA_VISIBLE_DEVICES, or give it indexes that nvidia-smi -L lists; in a service look at its "
        "unit's "
        "Environment lines.",
        safety=Safety.SAFE,
        touches="this program's environment",
        undo="set it again",
    ),
    Step(
        "Where it works by hand and not in a service that starts with the machine, the driver is not ready"
        " yet: have the unit call nvidia-modprobe -u -c=0 first (ExecStartPre=).",
        safety=Safety.SAFE,
        touches="the engine's unit",
        undo="take the line out",
    ),
    Step(
        "See whether a compute mode or MIG hides the card.",
        ("nvidia-smi", "--query-gpu=index,name,compute_mode,mig.mode.current", "--format=csv"),
        Safety.LOOK,
    ),
)


_PROHIBITED: Final = 2
"""NVML_COMPUTEMODE_PROHIBITED in nvml.h."""


def check(scene: Scene) -> Evidence | None:
    """The driver answers and shows no card because of a variable or a mode, or a paste says so."""
    return _by_variable(scene) or _by_mode(scene) or _by_text(scene)


def _by_variable(scene: Scene) -> Evidence | None:
    """CUDA_VISIBLE_DEVICES of this very environment selects none of the cards that NVML names."""
    value, cards = scene.stack.userspace.visible_devices, scene.stack.nvml.cards
    if not isinstance(value, Known) or not isinstance(cards, Known) or not driver_answers(scene):
        return None
    words = [word.strip() for word in value.value.split(",")]
    first = words[0]
    index = parse_whole(first)
    selects = first.startswith(("GPU-", "MIG-")) or (index is not None and index < len(cards.value))
    if selects:
        return None
    return Evidence(
        saw=f"CUDA_VISIBLE_DEVICES={value.value!r}, and the driver has {len(cards.value)} card(s)",
        expected="the variable unset, or indexes of cards that exist",
        sources=(value.source, cards.source),
        strength=10,
    )


def _by_mode(scene: Scene) -> Evidence | None:
    """Every card forbids compute programs."""
    cards = scene.stack.nvml.cards
    modes = [card.compute_mode for card in cards.value] if isinstance(cards, Known) else []
    if not modes or not all(isinstance(mode, Known) and mode.value == _PROHIBITED for mode in modes):
        return None
    return Evidence(
        saw="compute mode Prohibited on every card",
        expected="compute mode Default (nvidia-smi -c 0, as root)",
        sources=("NVML compute_mode",),
        strength=10,
    )


def _by_text(scene: Scene) -> Evidence | None:
    """The variable is set in the text to something that selects nothing, and CUDA sees no device."""
    if not scene.lines.has_any("no cuda-capable device", "no_device", "found 0 cuda devices", "no cuda gpus"):
        return None
    pattern = r"CUDA_VISIBLE_DEVICES=(\"\"|''|-1|\$\w|NoDevFiles|\s|$|[^\d\sGM\"'\[])"
    hit = scene.lines.search(pattern, anchor="cuda_visible_devices")
    line = hit[0] if hit is not None else _asked_variable(scene)
    if line is None:
        return None
    return Evidence(
        saw=line.text.strip()[:200],
        expected="CUDA_VISIBLE_DEVICES unset, or indexes of cards that exist",
        sources=(f"{line.source}, line {line.number}",),
        strength=10,
    )


def _asked_variable(scene: Scene) -> Line | None:
    """What `echo $CUDA_VISIBLE_DEVICES` printed, where that selects nothing."""
    for typed in find_typed(scene.lines):
        if typed.command == "echo $CUDA_VISIBLE_DEVICES" and typed.output:
            shown = typed.output[0]
            return shown if shown.text.strip() in ("-1", "NoDevFiles", "none") else None
    return None
