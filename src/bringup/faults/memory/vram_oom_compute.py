"""There is no memory for the compute buffers, at the start or during a long prompt.

Symptom: weights and KV cache fit, then "failed to allocate compute buffers"; or the engine dies with
    "CUDA error: out of memory" in the middle of a request.
Reason: each batch needs scratch memory that grows with the batch, the context and the vocabulary, and
    without flash attention with their product. It is taken last, so a load that just fits leaves nothing
    for it.
Sources: https://github.com/ggml-org/llama.cpp/issues/27872
    https://github.com/ollama/ollama/issues/11997
"""

from __future__ import annotations

from bringup.faults._fault import Certainty, Evidence, Safety, Sign, Step
from bringup.faults._scene import Scene
from bringup.faults.memory._out_of_memory import evidence_for
from bringup.stack.allocations import Consumer, Place

SIGNS = (
    Sign(
        r"CUBLAS_STATUS_ALLOC_FAILED",
        anchor="cublas_status_alloc_failed",
        example="cuBLAS error 3 at ggml-cuda.cu:7940: the resource allocation failed"
        " CUBLAS_STATUS_ALLOC_FAILED",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"CUBLAS_STATUS_NOT_INITIALIZED",
        anchor="cublas_status_not_initialized",
        example="CUDA error: CUBLAS_STATUS_NOT_INITIALIZED",
        certainty=Certainty.LIKELY,
        unless=(
            "driver version is insufficient",
            "no cuda-capable device",
        ),
    ),
    Sign(
        r"(?:CUDA error|cuBLAS error \d{1,2} at .{1,200}): the (?:resource allocation failed|"
        r"library was not initialized)",
        anchor=": the ",
        example="cuBLAS error 3 at ggml-cuda.cu:7091: the resource allocation failed",
        certainty=Certainty.LIKELY,
        unless=(
            "driver version is insufficient",
            "no cuda-capable device",
        ),
    ),
)

EXPLAINS = (
    "fit-gave-up",
    "offload-partial",
    "server-not-ready",
    "cuda-kernel-crash",
    "context-beyond-training",
)

STEPS = (
    Step("See how much is free and who holds the rest.", ("nvidia-smi",), safety=Safety.LOOK),
    Step(
        "Use flash attention (-fa on) and smaller batches (-ub 256); where several GPUs make the"
        " buffer absurdly large, build with -DGGML_SCHED_MAX_COPIES=1.",
        safety=Safety.SAFE,
        touches="your start script; long prompts are read more slowly",
        undo="leave the options out",
        verify=("nvidia-smi",),
    ),
    Step(
        "Leave more room: a smaller context, a few layers less on the GPU, or a larger --fit-target.",
        safety=Safety.SAFE,
        touches="your start script",
        undo="the former values",
        verify=("nvidia-smi",),
    ),
)


def check(scene: Scene) -> Evidence | None:
    """The allocation that ended the engine was for a compute buffer or the scratch pool of a request."""
    at_start = evidence_for(scene, Consumer.COMPUTE, place=Place.GPU)
    return at_start or evidence_for(scene, Consumer.SCRATCH, place=Place.GPU)
