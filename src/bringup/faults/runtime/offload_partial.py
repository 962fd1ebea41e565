"""A part of the model lies in main memory and is computed by the CPU.

Symptom: it works and is slow; "offloaded 5/37 layers to GPU", ollama ps says "41%/59% CPU/GPU".
Reason: not all layers fit into the free memory of the GPU beside context and compute buffers. Each token
    then waits for the slower part, and one missing output layer can weigh as much as many others.
Sources: https://github.com/ollama/ollama/issues/10848
    https://github.com/ollama/ollama/issues/15634
"""

from __future__ import annotations

from bringup.faults._fault import Certainty, Evidence, Safety, Sign, Step
from bringup.faults._scene import Scene
from bringup.reading import need

SIGNS = (
    Sign(
        r"[KMGT]i?B\s{1,20}\d{1,2}%/\d{1,2}% CPU/GPU",
        anchor="% cpu/gpu",
        example="gemma4:31b    9a8b7c6d5e4f    24 GB    41%/59% CPU/GPU    4096    4 minutes from now",
    ),
    Sign(
        r"(?:^|\s)\d{1,2}%/\d{1,2}% CPU/GPU",
        anchor="% cpu/gpu",
        example="PROCESSOR: 41%/59% CPU/GPU",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"layer +\d{1,10} is assigned to device CPU but .{0,120} is assigned to device (?:CUDA|ROCm|"
        r"Vulkan)\d",
        anchor="is assigned to device cpu but",
        example="layer   0 is assigned to device CPU but the fused Gated Delta Net tensor is assigned"
        " to device CUDA0 (usually due to missing support)",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"offloading output layer to CPU",
        anchor="offloading output layer to cpu",
        example='source=ggml.go:486 msg="offloading output layer to CPU"',
        certainty=Certainty.LIKELY,
        unless=("offloaded 0/",),
    ),
    Sign(
        r"model weights\" buffer=CPU size=\"(?:[1-9]\d|[3-9])(?:\.\d)? GiB",
        anchor='model weights" buffer=cpu',
        example='source=ggml.go:289 msg="model weights" buffer=CPU size="12.1 GiB"',
        certainty=Certainty.LIKELY,
        unless=("signal: killed",),
        needs=("buffer=cuda",),
    ),
    Sign(
        r"(?i)\bonly (?:about |around )?\d{1,3} (?:of|out of|/) ?(?:the )?\d{1,3} layers\b|\bonly (?:some|"
        r"a few|half) (?:of the )?layers\b",
        anchor="only ",
        example="the log says only 65 of 81 layers are offloaded to the GPU",
        certainty=Certainty.LIKELY,
        is_weak=True,
    ),
)

STEPS = (
    Step(
        "See how much memory of the card is free and who holds the rest.", ("nvidia-smi",), safety=Safety.LOOK
    ),
    Step(
        "Make room: a smaller context (-c, num_ctx), fewer slots (-np 1, OLLAMA_NUM_PARALLEL=1), a"
        " cache in 8 bits (-ctk q8_0 -ctv q8_0 -fa on).",
        safety=Safety.SAFE,
        touches="your start script",
        undo="the former values",
        verify=("nvidia-smi",),
    ),
    Step(
        "For a model with experts, keep only those in main memory: -ngl 99 --n-cpu-moe N, as few as"
        " fit. Else take a smaller quantisation.",
        safety=Safety.SAFE,
        touches="your start script or another model file",
        undo="the former values",
        verify=("nvidia-smi",),
    ),
)


def check(scene: Scene) -> Evidence | None:
    """Fewer layers on the GPU than the model has, and more than none."""
    log = need(scene.stack.runtime.log)
    if log is None or log.offload is None or not 0 < log.offload.layers < log.offload.total:
        return None
    output = scene.lines.has("offloading output layer to cpu")
    return Evidence(
        saw=f"{log.offload.layers} of {log.offload.total} layers on the GPU"
        + (", the output layer on the CPU" if output else ""),
        expected="all layers on the GPU",
        sources=(f"engine log, line {log.offload.line}",),
        strength=3,
    )
