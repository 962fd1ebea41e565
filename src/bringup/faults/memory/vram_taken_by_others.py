"""Other programs hold the GPU's memory.

Symptom: out of memory, or few layers on the GPU, although the model fits the card; before the load much
    less is free than the card has.
Reason: a model that another engine keeps loaded, a training job, a browser or the desktop took the memory
    first. An engine that was not ended properly keeps its share too.
Sources: https://github.com/ollama/ollama/issues/11577
    https://github.com/qwersyk/Newelle/issues/339
Limits: on machines whose GPU shares the main memory the difference means nothing.
"""

from __future__ import annotations

from bringup.faults._fault import Certainty, Evidence, Safety, Sign, Step
from bringup.faults._scene import Scene
from bringup.faults.memory._out_of_memory import deadly_allocation
from bringup.reading import need
from bringup.stack.allocations import Place
from bringup.stack.engine_log import LogDevice

_GIB = 1024**3
_SHARED = ("orin", "gb10", "thor", "xavier", "tegra", "apple", "radeon graphics", "8060s", "780m", "intel")

SIGNS = (
    Sign(
        r"Process \d+ has (?:[2-9]|\d\d+)\.\d+ GiB memory in use",
        anchor="gib memory in use",
        example="GPU 0 has a total capacity of 23.68 GiB of which 1.50 GiB is free. Process 4242 has"
        " 20.12 GiB memory in use.",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"significant amount of GPU VRAM \(.*\) is currently used by another application",
        anchor="is currently used by another application",
        example="Note: KoboldCpp has detected that a significant amount of GPU VRAM (5014.0 MB) is"
        " currently used by"
        " another application.",
    ),
)

EXPLAINS = (
    "vram-oom-weights",
    "vram-oom-kv-cache",
    "vram-oom-compute",
    "fit-gave-up",
    "offload-partial",
    "running-on-cpu",
)

STEPS = (
    Step("See which processes hold the memory.", ("nvidia-smi",), safety=Safety.LOOK),
    Step(
        "End the one that you do not need: `ollama stop MODEL`, `bringup stop`, the notebook's kernel;"
        " a forgotten"
        " llama-server by its process id.",
        safety=Safety.DISRUPTIVE,
        touches="the other program",
        undo="start it again",
        verify=("nvidia-smi",),
    ),
    Step(
        "For a desktop, run it on the integrated GPU, or leave it 2 GiB with --fit-target 2048.",
        safety=Safety.SAFE,
        touches="your start script",
        undo="leave the option out",
        verify=("nvidia-smi",),
    ),
)


def check(scene: Scene) -> Evidence | None:
    """Free against total memory before the load."""
    log = need(scene.stack.runtime.log)
    if log is None:
        return None
    held = [(device, taken) for device in log.gpu_devices if (taken := _taken_bytes(device)) is not None]
    if not held:
        return None
    device, taken = max(held, key=lambda pair: pair[1])
    failure = deadly_allocation(scene)
    failed = failure is not None and failure.place is Place.GPU
    partial = log.offload is not None and log.offload.layers < log.offload.total
    share = taken / (device.total_bytes or 1)
    if share < (0.15 if failed or partial else 0.3) or taken < 2 * _GIB:
        return None
    total_gib, name = (device.total_bytes or 0) / _GIB, device.description or device.name
    return Evidence(
        saw=f"{taken / _GIB:.1f} of {total_gib:.1f} GiB of {name} were taken before the load",
        expected="less than 1 GiB taken, 2 with a desktop",
        sources=(f"engine log, line {device.line}",),
        certainty=Certainty.SURE if share >= 0.3 else Certainty.LIKELY,
        decides="nvidia-smi",
        strength=9,
    )


def _taken_bytes(device: LogDevice) -> int | None:
    if device.total_bytes is None or device.free_bytes is None:
        return None
    shared = any(word in device.description.lower() for word in _SHARED) or device.name.lower() == "metal"
    return None if shared else device.total_bytes - device.free_bytes
