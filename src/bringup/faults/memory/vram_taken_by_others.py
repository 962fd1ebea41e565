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
from bringup.faults.memory._held import judge_holders
from bringup.faults.memory._holders import by_failed_load, by_log

SIGNS = (
    Sign(
        r"Process \d{1,10} has (?:[2-9]|\d\d{1,10})\.\d{1,10} GiB memory in use",
        anchor="gib memory in use",
        example="GPU 0 has a total capacity of 23.68 GiB of which 1.50 GiB is free. Process 4242 has"
        " 20.12 GiB memory in use.",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"significant amount of GPU VRAM \(.{0,120}\) is currently used by another application",
        anchor="is currently used by another application",
        example="Note: KoboldCpp has detected that a significant amount of GPU VRAM (5014.0 MB) is"
        " currently used by another application.",
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
        " a forgotten llama-server by its process id.",
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
    """Free against total before the load, the processes beside a failed load, or the running driver."""
    return by_log(scene) or by_failed_load(scene) or judge_holders(scene)
