"""The engine cannot reserve the main memory, or the mapping, that it needs.

Symptom: "mmap failed", "std::bad_alloc", "failed to allocate CPU buffer" or CUDA_Host buffer, or ollama's
    "requires more system memory".
Reason: CPU, CUDA_Host and CPU_REPACK buffers lie in main memory, and less is free, or allowed by a
    container, an ulimit or the overcommit rule, than they need. With mmap off the whole model counts, not
    only what is used.
Sources: https://github.com/ollama/ollama/issues/16455
    https://github.com/lmstudio-ai/lmstudio-bug-tracker/issues/1378
"""

from __future__ import annotations

from bringup.faults._fault import Certainty, Evidence, Safety, Sign, Step
from bringup.faults._scene import Scene
from bringup.faults.memory._out_of_memory import deadly_allocation, describe
from bringup.stack.allocations import Consumer, Place

SIGNS = (
    Sign(
        r"mmap failed",
        anchor="mmap failed",
        example="llama_model_load: error loading model: mmap failed: Cannot allocate memory",
    ),
    Sign(
        r"std::bad_alloc",
        anchor="bad_alloc",
        example="terminate called after throwing an instance of 'std::bad_alloc'",
        unless=("cc1plus", "llama_kv_cache", "parser generation failed"),
    ),
    Sign(
        r"posix_memalign failed",
        anchor="posix_memalign failed",
        example="posix_memalign failed with error 12",
    ),
    Sign(
        r"requires more system memory|model request too large for system",
        anchor="system",
        example="Error: model requires more system memory (5.6 GiB) than is available (3.1 GiB)",
    ),
    Sign(
        r"not enough space in the (?:context's|scratch) memory pool",
        anchor="memory pool",
        example="ggml_new_object: not enough space in the context's memory pool (needed 1638880,"
        " available 1638544)",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"[Tt]hread creation failed: Resource|pthread_create failed|failed to create (?:new )?OS thread",
        anchor="failed",
        example="libgomp: Thread creation failed: Resource temporarily unavailable",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"insufficient system resources",
        anchor="insufficient system resources",
        example="Model loading was stopped due to insufficient system resources.",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"direct I/O is enabled, disabling mmap",
        anchor="direct i/o is enabled",
        example="llama_model_loader: direct I/O is enabled, disabling mmap",
        certainty=Certainty.LIKELY,
        unless=("server is listening on", "all slots are idle", "initializing, n_slots"),
    ),
    Sign(
        r"GGML_ASSERT.{0,60}mem_buffer != NULL",
        anchor="mem_buffer != null",
        example="GGML_ASSERT: ggml.c:4049: ctx->mem_buffer != NULL",
    ),
    Sign(
        r"failed to allocate output buffer of size",
        anchor="failed to allocate output buffer",
        example="output_reserve: failed to allocate output buffer of size 500.00 MiB",
        certainty=Certainty.LIKELY,
    ),
)

EXPLAINS = ("server-not-ready", "running-on-cpu")

STEPS = (
    Step("See how much main memory is free.", ("free", "-h"), safety=Safety.LOOK),
    Step(
        "Leave memory mapping on (no --no-mmap, no --direct-io) and repacking off (--no-repack): the"
        " model then stays in the page cache, which the kernel can give back.",
        safety=Safety.SAFE,
        touches="your start script",
        undo="the former options",
        verify=("free", "-h"),
    ),
    Step(
        "Put more layers on the GPU, ask for a smaller context, or take a smaller quantisation; raise"
        " the limit of the container where there is one.",
        safety=Safety.SAFE,
        touches="your start script",
        undo="the former values",
        verify=("free", "-h"),
    ),
)


def check(scene: Scene) -> Evidence | None:
    """The allocation that ended the engine was in main memory and not for the KV cache."""
    failure = deadly_allocation(scene)
    if failure is None or failure.place is not Place.RAM or failure.consumer is Consumer.KV_CACHE:
        return None
    return describe(failure, certainty=Certainty.SURE)
