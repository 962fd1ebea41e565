"""There is no memory for the KV cache: the context is too large for what the weights left.

Symptom: "failed to allocate buffer for kv cache" after the weights were loaded.
Reason: the KV cache grows with the context and with the number of slots. For the context that was asked
    for, or that the model declares, it is larger than the memory that is left.
Sources: https://github.com/abetlen/llama-cpp-python/issues/1944
    https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md
Limits: on a machine without offload the same lines speak of main memory; the cure is the same.
"""

from __future__ import annotations

from bringup.faults._fault import Certainty, Evidence, Safety, Sign, Step
from bringup.faults._scene import Scene
from bringup.faults.memory._out_of_memory import evidence_for
from bringup.stack.allocations import Consumer

SIGNS = (
    Sign(
        r"memory layout cannot be allocated",
        anchor="memory layout cannot be allocated",
        example="Error: 500 Internal Server Error: memory layout cannot be allocated",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"failed to allocate buffer for (?:the )?(?:kv|rs) cache|failed for self-attention cache",
        anchor="cache",
        example="llama_kv_cache_init: failed to allocate buffer for kv cache",
        unless=("retrying without pipeline parallelism", "server is listening on"),
    ),
    Sign(
        r"(?i)context size (?:of \d{1,10} )?is too large for the available VRAM",
        anchor="too large for the available vram",
        example="InsufficientMemoryError: A context size of 131072 is too large for the available VRAM",
    ),
    Sign(
        r"(?:error: ?|ValueError: )failed to create (?:llama_context|context with model)|"
        r"ValueError: Failed to create llama_context",
        anchor="failed to create ",
        example="ValueError: Failed to create llama_context",
        certainty=Certainty.LIKELY,
        unless=(
            "flash_attn",
            "flash attention",
            "requires ",
            "does not support",
            "unsupported",
            "invalid",
            "pooling",
            "lora",
            "failed to allocate",
            "out of memory",
            "cudamalloc",
        ),
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
        "Ask for a smaller context: -c 8192 (num_ctx in ollama), and for fewer slots: -np 1.",
        safety=Safety.SAFE,
        touches="your start script",
        undo="the former context",
        verify=("nvidia-smi",),
    ),
    Step(
        "Keep the cache in 8 bits: -ctk q8_0 -ctv q8_0 with -fa on, which halves it.",
        safety=Safety.SAFE,
        touches="your start script; answers may change a little",
        undo="leave the options out",
        verify=("nvidia-smi",),
    ),
)


def check(scene: Scene) -> Evidence | None:
    """The allocation that ended the start was for the KV cache."""
    return evidence_for(scene, Consumer.KV_CACHE)
