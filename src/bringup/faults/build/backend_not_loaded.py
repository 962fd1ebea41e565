"""The engine's backends are separate libraries and none, or not the wanted one, was loaded.

Symptom: "no backends are loaded", or a model that loads on the CPU although the build has a libggml-cuda.so.
Reason: builds with dynamic backends load libggml-cpu-*.so and libggml-cuda.so from the folder of the
    program at start. A program that does not ask for it, a library in another folder, or one whose own
    needs are not met leaves the engine without that backend.
Sources: https://github.com/ddh0/easy-llama/issues/17
    https://github.com/ggml-org/llama.cpp/issues/11700
    https://github.com/ggml-org/llama.cpp/blob/master/docs/build.md
Limits: "failed to find ggml_backend_init" is what builds with linked backends say of their own libraries;
    it means nothing.
"""

from __future__ import annotations

from bringup.faults._fault import Certainty, Evidence, Safety, Sign, Step
from bringup.faults._scene import Scene
from bringup.reading import need

SIGNS = (
    Sign(
        r"no backends are loaded",
        anchor="no backends are loaded",
        example="llama_model_load_from_file_impl: no backends are loaded. hint: use ggml_backend_load()",
    ),
    Sign(
        r"no CPU backend found|failed to initialize CPU backend",
        anchor="cpu backend",
        example="llama_model_load: error loading model: make_cpu_buft_list: no CPU backend found",
    ),
    Sign(
        r"No LM Runtime found for model format (?!'?\w{0,12}[Ss]afetensors)",
        anchor="no lm runtime found",
        example="No LM Runtime found for model format 'gguf'!",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"failed to load \S{0,80}(?:lib)?ggml-(?:cuda|vulkan|hip|cpu|sycl)\S{0,80}",
        anchor="failed to load",
        example="ggml_backend_load_best: failed to load /opt/llama/libggml-cuda.so: libnvrtc.so.12:"
        " cannot open shared object file",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"ggml-backend.{0,120}GGML_ASSERT\((?:device|backend|dev|reg)\) failed",
        anchor="ggml_assert(",
        example="ggml-backend.cpp:1800: GGML_ASSERT(device) failed",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"unable to locate gpu dependency libraries",
        anchor="unable to locate gpu dependency",
        example='level=WARN source=gpu.go:732 msg="unable to locate gpu dependency libraries"',
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"prebuilt binary for platform .{1,80} is not compatible with the current system, falling back to"
        r" using no GPU",
        anchor="not compatible with the current system",
        example='The prebuilt binary for platform "linux" "x64" with CUDA support is not compatible with'
        " the current system, falling back to using no GPU",
        certainty=Certainty.LIKELY,
    ),
)

EXPLAINS = ("running-on-cpu", "offload-partial")

STEPS = (
    Step("See which backends this build loads.", ("llama-server", "--list-devices"), safety=Safety.LOOK),
    Step(
        "Keep libggml-*.so in the folder of llama-server (or of libllama.so), all of one release; in"
        " your own program call ggml_backend_load_all() before the model is loaded.",
        safety=Safety.SAFE,
        touches="the engine's folder",
        undo="move the files back",
        verify=("llama-server", "--list-devices"),
    ),
)


_GPU_DEVICES = (
    "cuda0",
    "rocm0",
    "vulkan0",
    "cuda.0.",
    "rocm.0.",
    "vulkan.0.",
    '"cuda :',
    "| cuda :",
    "rocm :",
)
"""What the engine prints of a GPU backend that it loaded."""


def check(scene: Scene) -> Evidence | None:
    """The launcher gave layers to the GPU, and the engine then knows, or reserves on, the CPU alone."""
    log = need(scene.stack.runtime.log)
    if log is None or log.offload is None or log.offload.layers == 0:
        return None
    planned = scene.lines.has_any("library=cuda", "library=rocm", "library=vulkan")
    on_cpu = scene.lines.search(r"\bCPU compute buffer size", anchor="cpu compute buffer size")
    on_cpu = on_cpu or scene.lines.search(r'msg=system (?:info=")?CPU\b', anchor="msg=system")
    if not planned or on_cpu is None or scene.lines.has_any(*_GPU_DEVICES):
        return None
    return Evidence(
        saw=f"{log.offload.layers} layers planned for the GPU; {on_cpu[0].text.strip()[-120:]}",
        expected="a backend for the GPU among what the engine loaded",
        sources=(f"{on_cpu[0].source}, line {on_cpu[0].number}",),
        certainty=Certainty.LIKELY,
        decides="llama-server --list-devices",
        strength=7,
    )
