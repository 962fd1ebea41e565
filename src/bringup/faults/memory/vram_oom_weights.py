"""The model's weights do not fit into the memory of the GPU.

Symptom: "cudaMalloc failed: out of memory" while the tensors are loaded, then "unable to allocate CUDA0
    buffer".
Reason: the layers given to the GPU need more memory than is free on it. A smaller context would not help,
    because the weights alone are too large.
Sources: https://github.com/ollama/ollama/issues/8597
    https://github.com/ollama/ollama/issues/8447
    https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md
Limits: the message is the same when another program holds the memory; free against total before the load
    decides.
"""

from __future__ import annotations

from bringup.faults._fault import Certainty, Evidence, Safety, Sign, Step
from bringup.faults._scene import Scene
from bringup.faults.memory._out_of_memory import deadly_allocation, describe, evidence_for
from bringup.stack.allocations import Consumer, Place

SIGNS = (
    Sign(
        r"CUDA out of memory\. Tried to allocate",
        anchor="cuda out of memory. tried to allocate",
        example="torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a"
        " total capacity of 23.68 GiB",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"(?i)not enough VRAM to fit the model|GPU loading failed \(out of vram\?\)",
        anchor="vram",
        example="InsufficientMemoryError: Not enough VRAM to fit the model with the specified settings",
    ),
    Sign(
        r"you may not have enough (?:available )?memory to run this model",
        anchor="memory to run this model",
        example="Error: llama runner exited, you may not have enough available memory to run this model",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"CUDA failed with error out of memory",
        anchor="cuda failed with error out of memory",
        example="RuntimeError: CUDA failed with error out of memory",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"(?i)out of vram\b|n(?:ot|'t) fit (?:\w{1,8} ){0,3}vram|n(?:ot|'t have) enough (?:free )?vram",
        anchor="vram",
        example="the 27B model does not fit into my VRAM",
        certainty=Certainty.LIKELY,
        is_weak=True,
    ),
)

EXPLAINS = (
    "fit-gave-up",
    "offload-partial",
    "running-on-cpu",
    "server-not-ready",
    "cuda-kernel-crash",
    "context-beyond-training",
)

STEPS = (
    Step("See how much is free and who holds the rest.", ("nvidia-smi",), safety=Safety.LOOK),
    Step(
        "Leave out -ngl and let the engine fit the layers (builds since late 2025), or give fewer:"
        " -ngl 20. For models with experts keep those in main memory: --n-cpu-moe 20 (or --cpu-moe).",
        safety=Safety.SAFE,
        touches="your start script; generation gets slower",
        undo="the former number of layers",
        verify=("nvidia-smi",),
    ),
    Step(
        "Take a smaller quantisation of the model (Q4_K_M needs about 0.6 bytes for each parameter).",
        safety=Safety.SAFE,
        touches="another model file",
        undo="delete it",
        verify=("nvidia-smi",),
    ),
)


def check(scene: Scene) -> Evidence | None:
    """The allocation that ended the start was for weights, or the log does not name what it was for."""
    sure = evidence_for(scene, Consumer.WEIGHTS, place=Place.GPU)
    if sure is not None:
        return sure
    failure = deadly_allocation(scene)
    if failure is None or failure.consumer is not Consumer.UNKNOWN or failure.place is not Place.GPU:
        return None
    return describe(failure, certainty=Certainty.LIKELY, decides="nvidia-smi")
