"""The model runs on the CPU although the engine could use the GPU.

Symptom: it works and is slow; the log says "offloaded 0/33 layers to GPU", ollama ps says "100% CPU".
Reason: no layer was given to the GPU. Builds before late 2025 do that unless -ngl is given; ollama does
    it when it believes that the model, its context or its projector does not fit, or when it found no GPU
    at all.
Sources: https://github.com/ggml-org/llama.cpp/issues/12614
    https://github.com/ollama/ollama/issues/11790
"""

from __future__ import annotations

from bringup.faults._fault import Certainty, Evidence, Safety, Sign, Step
from bringup.faults._scene import Scene
from bringup.reading import Known, need

_MODEL_BYTES = 1024**3
"""An engine that holds less has no model in it worth a GPU."""

_NOT_A_COMPLAINT = (
    *(
        "no gpu in",
        "without a gpu",
        "have no gpu",
        "don't have a gpu",
        "do not have a gpu",
        "no dedicated gpu",
    ),
    "cannot be used with preferred buffer",
    *("bios", "lspci"),
)
"""Who has no card runs on the CPU as meant; every start says of the token table that it
stays there; a card that the firmware does not see is another fault."""

SIGNS = (
    Sign(
        r"[KMGT]i?B\s+100% CPU\b",
        anchor="100% cpu",
        example="llama3.1:8b    46e0c10c039e    6.7 GB    100% CPU     4 minutes from now",
    ),
    Sign(
        r"no compatible GPUs were discovered",
        anchor="no compatible gpus were discovered",
        example='level=INFO source=gpu.go:386 msg="no compatible GPUs were discovered"',
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"\"inference compute\" id=(?:0|cpu)? ?.{0,120}library=\"?cpu",
        anchor='"inference compute"',
        example='level=INFO msg="inference compute" id=cpu library=cpu compute="" name=cpu description=cpu',
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r'"total vram"="0 B"',
        anchor='"total vram"="0 b"',
        example='msg="entering low vram mode" "total vram"="0 B" threshold="20.0 GiB"',
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"falling back to CPU inference",
        anchor="falling back to cpu inference",
        example="warning: --n-gpu-layers 9999 was passed but no GPUs were found; falling back to CPU"
        " inference",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"GPU support not possible",
        anchor="gpu support not possible",
        example="link_cuda_dso: GPU support not possible",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"offloading 0 layers to GPU",
        anchor="offloading 0 layers to gpu",
        example="llama_model_load_internal: [cublas] offloading 0 layers to GPU",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"No (?:NVIDIA|AMD|NVIDIA/AMD) GPU detected.{0,40}CPU",
        anchor="gpu detected",
        example="WARNING: No NVIDIA/AMD GPU detected. Ollama will run in CPU-only mode.",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"(?i)\b(?:no|not|without|unavailable|failed)\b.{0,40}\b(?:GPU|CUDA)\b.{0,40}fall(?:ing)? ?back"
        r" to (?:the )?CPU|\b(?:GPU|CUDA) (?:is |was )?(?:not|unavailable|failed)\b.{0,40}fall(?:ing)?"
        r" ?back to (?:the )?CPU",
        anchor="back to",
        example="GPU is not available, falling back to CPU",
        certainty=Certainty.LIKELY,
        unless=("torch",),
    ),
    Sign(
        r"insufficient VRAM to load any model layers",
        anchor="insufficient vram to load any",
        example='level=INFO msg="insufficient VRAM to load any model layers"',
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"(?i)\bgpu\b.{0,20}(?: not|n't| never) (?:(?:be|being|getting|at all|really|even) )?(?:used|"
        r"utili[sz]ed|detected|recogni[sz]ed|found|working)\b",
        anchor="gpu",
        example="my GPU is not being used, generation is very slow",
        certainty=Certainty.LIKELY,
        unless=_NOT_A_COMPLAINT,
        is_weak=True,
    ),
    Sign(
        r"(?i)\b(?:on|us(?:es?|ing)) (?:the |my )?cpu (?:only|instead|rather)\b",
        anchor="cpu",
        example="the model is running on CPU only",
        certainty=Certainty.LIKELY,
        unless=_NOT_A_COMPLAINT,
        is_weak=True,
    ),
    Sign(
        r"(?i)\b(?:only|just|still|always|actually|it'?s) (?:uses?|using|runs?|running|loads?|loaded|"
        r"loading)\b (?:\w{1,12} ){0,3}cpu\b",
        anchor="cpu",
        example="it still runs on the CPU although the build has CUDA",
        certainty=Certainty.LIKELY,
        unless=_NOT_A_COMPLAINT,
        is_weak=True,
    ),
    Sign(
        r"(?i)\b(?:no|0 ?%|zero) gpu (?:usage|utili[sz]ation|load|activity)|\bgpu (?:usage|utili[sz]ation|"
        r"load|util)\b.{0,30}\b(?:0(?:\.0)? ?%|zero)",
        anchor="gpu ",
        example="nvidia-smi shows no GPU utilization while it answers",
        certainty=Certainty.LIKELY,
        unless=_NOT_A_COMPLAINT,
        is_weak=True,
    ),
    Sign(
        r"(?i)\b(?:model|token|generat|answer|respon|infer|prompt|llm|llama|ollama|chat)\w{0,8}\b.{0,60}"
        r"\b(?:very|extremely|really|so|too|painfully|super|terribly|incredibly|unusably) slow",
        anchor="slow",
        example="the answers are extremely slow",
        certainty=Certainty.LIKELY,
        unless=_NOT_A_COMPLAINT,
        is_weak=True,
    ),
    Sign(
        r"(?i)(?:\bnot|n't|\bnever) (?:\w{1,12} ){0,3}(?:us|utili[sz]|load|"
        r"offload)\w{0,4} (?:\w{1,10} ){0,4}gpu\b",
        anchor="gpu",
        example="it is not loading the model in GPU",
        certainty=Certainty.LIKELY,
        unless=_NOT_A_COMPLAINT,
        is_weak=True,
    ),
    Sign(
        r"\bCPU (?:KV|compute) buffer size|loaded CPU backend from",
        anchor="cpu ",
        example="llama_context:        CPU compute buffer size =   696.01 MiB",
        certainty=Certainty.LIKELY,
        unless=(
            "error",
            "cuda",
            "rocm",
            "vulkan",
            "metal",
            "sycl",
            "hip",
            "-ngl 0",
            "macos",
            "apple",
            "no gpu",
        ),
        is_weak=True,
    ),
    Sign(
        r"(?i)(?<![\d.])[0-2](?:\.\d{1,3})? ?tokens?(?: ?/ ?s| per sec)",
        anchor="token",
        example="on my card it makes only 1.5 tokens/s",
        certainty=Certainty.LIKELY,
        unless=(*_NOT_A_COMPLAINT, "layers", "ms per token"),
        is_weak=True,
    ),
)

EXPLAINS = ("threads-oversubscribed",)

STEPS = (
    Step("See whether the card is there and idle.", ("nvidia-smi",), safety=Safety.LOOK),
    Step("See where ollama's models lie.", ("ollama", "ps"), safety=Safety.LOOK),
    Step(
        "See whether the engine has CUDA in it at all: `llama-server --list-devices` names the card, Python's"
        " llama_cpp.llama_supports_gpu_offload() says True. If not, see the fault cpu-only-build.",
        safety=Safety.LOOK,
    ),
    Step(
        "Give the layers to the GPU: -ngl 99 (n_gpu_layers=-1 in Python).",
        safety=Safety.SAFE,
        touches="your start script",
        undo="leave the option out",
        verify=("nvidia-smi",),
    ),
    Step(
        "Where the engine thinks that it does not fit, ask for a smaller context (num_ctx, -c) and"
        " less parallel requests (OLLAMA_NUM_PARALLEL=1), and restart ollama after a driver update or"
        " a suspend.",
        safety=Safety.DISRUPTIVE,
        touches="running models: they are unloaded",
        undo="the former values",
        verify=("nvidia-smi",),
    ),
)


def check(scene: Scene) -> Evidence | None:
    """A running engine without CUDA in it, or a log that says that no layer is on the GPU."""
    return _by_process(scene) or _by_log(scene) or _by_buffers(scene) or _by_weights(scene)


def _by_process(scene: Scene) -> Evidence | None:
    """A driver is loaded, and an engine that holds a model has no CUDA library mapped."""
    engines, driver = scene.stack.runtime.engines, scene.stack.kernel.loaded_driver
    if not isinstance(engines, Known) or not isinstance(driver, Known):
        return None
    for engine in engines.value:
        holds = isinstance(engine.resident_bytes, Known) and engine.resident_bytes.value > _MODEL_BYTES
        if holds and engine.has_cuda == Known(value=False, source=engine.has_cuda.source):
            return Evidence(
                saw=f"{engine.program} (process {engine.process_id}) holds a model and has no CUDA in it",
                expected="libcuda mapped into the engine",
                sources=(engine.has_cuda.source, driver.source),
                certainty=Certainty.LIKELY,
                decides="nvidia-smi",
                strength=6,
            )
    return None


def _by_log(scene: Scene) -> Evidence | None:
    """No layer is on the GPU, and the load went on."""
    log = need(scene.stack.runtime.log)
    if log is None or log.offload is None or log.offload.layers > 0 or log.offload.total == 0:
        return None
    if scene.lines.has_any('msg="offload to cpu"', "library=cpu layers"):
        return None
    deliberate = log.asked_gpu_layers == "0"
    gpu = (
        log.has_cuda
        or bool(log.gpu_devices)
        or scene.lines.has_any("library=cuda", "library=rocm", "gpu device")
    )
    return Evidence(
        saw=f"0 of {log.offload.total} layers on the GPU" + (", as -ngl 0 asks" if deliberate else ""),
        expected="all layers on the GPU, or as many as fit",
        sources=(f"engine log, line {log.offload.line}",),
        certainty=Certainty.SURE if gpu else Certainty.LIKELY,
        decides="" if gpu else "nvidia-smi",
        strength=4,
    )


def _by_buffers(scene: Scene) -> Evidence | None:
    """CUDA was found, the log says nothing of layers, and all buffers of the model are on the CPU."""
    log = need(scene.stack.runtime.log)
    if log is None or not log.has_cuda or log.offload is not None:
        return None
    hit = scene.lines.search(r"\bCPU(?:_Mapped)? (?:model )?buffer size", anchor="buffer size")
    if hit is None or scene.lines.has_any("cuda0 model buffer", "cuda0 buffer size", "cuda0 kv buffer"):
        return None
    return Evidence(
        saw=f"CUDA was found, and {hit[0].text.strip()[:120]}",
        expected="a model buffer on the GPU",
        sources=(f"{hit[0].source}, line {hit[0].number}",),
        certainty=Certainty.LIKELY,
        decides="nvidia-smi",
        strength=3,
    )


def _by_weights(scene: Scene) -> Evidence | None:
    """Ollama's own engine, which uses any GPU that it finds, puts the weights on the CPU and names no GPU."""
    hit = scene.lines.search(
        r'msg="?model weights"? (?:buffer|device)="?CPU\b.{0,12} size', anchor="model weights"
    )
    if hit is None or scene.lines.has_any("cuda", "rocm", "vulkan", "metal"):
        return None
    return Evidence(
        saw=hit[0].text.strip()[-120:],
        expected="the model's weights on the GPU",
        sources=(f"{hit[0].source}, line {hit[0].number}",),
        certainty=Certainty.LIKELY,
        decides="nvidia-smi",
        strength=3,
    )
