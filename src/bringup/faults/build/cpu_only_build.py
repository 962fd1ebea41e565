"""This build of the engine has no GPU backend.

Symptom: it works but slowly, the GPU stays idle, and the log says that --gpu-layers is ignored or names
    only the CPU.
Reason: GPU support is chosen when the program is compiled. This one was built without CUDA, so no setting
    can make it use the card.
Sources: https://github.com/ggml-org/llama.cpp/issues/9153
    https://github.com/ggml-org/llama.cpp/blob/master/docs/build.md
Limits: builds around b9031 print "no usable GPU found" while they parse arguments although CUDA is loaded
    later; then the line means nothing.
"""

from __future__ import annotations

from bringup.faults._fault import Certainty, Evidence, Safety, Sign, Step
from bringup.faults._scene import Scene
from bringup.reading import Known, need

_GPU_SEEN = (
    "loaded cuda backend",
    "loaded rocm backend",
    "loaded vulkan backend",
    "cuda : archs",
    "ggml_cuda_init",
    "ggml_init_cublas",
    "ggml_vulkan:",
    "cuda0",
    "libggml-cuda",
    "nvidia driver was not detected",
    "error while handling argument",
)

SIGNS = (
    Sign(
        r"not compiled with GPU offload support",
        anchor="not compiled with gpu offload support",
        example="warning: not compiled with GPU offload support, --gpu-layers option will be ignored",
        unless=_GPU_SEEN,
    ),
    Sign(
        r"no usable GPU found, --gpu-layers",
        anchor="no usable gpu found",
        example="warning: no usable GPU found, --gpu-layers option will be ignored",
        certainty=Certainty.LIKELY,
        unless=_GPU_SEEN,
    ),
    Sign(
        r"llama\.cpp was compiled without (?:GPU|CUDA|cuBLAS)|compiled without support for GPU offload",
        anchor="compiled without",
        example="warning: llama.cpp was compiled without cuBLAS. It is not possible to set a VRAM"
        " scratch buffer.",
        unless=(*_GPU_SEEN, "one possible reason is"),
    ),
    Sign(
        r"BLAS ?= ?0\b",
        anchor="blas",
        example="AVX = 1 | AVX2 = 1 | F16C = 1 | FP16_VA = 0 | WASM_SIMD = 0 | BLAS = 0 | SSE3 = 1 |",
        certainty=Certainty.LIKELY,
        needs=("layers",),
        unless=(*_GPU_SEEN, "failed to load model", "error loading model"),
    ),
    Sign(
        r"(?i)\bnot (?:built|compiled) with (?:GPU|CUDA|cuBLAS)\b",
        anchor="not ",
        example="WARNING: this llama-cpp-python was not built with GPU support",
        certainty=Certainty.LIKELY,
        unless=("torch",),
    ),
    Sign(
        r"CuBLAS library file not found",
        anchor="cublas library file not found",
        example="Warning: CuBLAS library file not found. Non-BLAS library will be used.",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"information on enabling GPU BLAS support",
        anchor="enabling gpu blas support",
        example="warning: see main README.md for information on enabling GPU BLAS support",
    ),
    Sign(
        r"\"Dynamic LLM libraries(?:\" runners=\"?| )\[(?:cpu\w{0,12}[ ,]{0,2}){1,6}\]",
        anchor='"dynamic llm libraries',
        example='level=INFO source=routes.go:1339 msg="Dynamic LLM libraries" runners=[cpu]',
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"error while handling argument .{1,40}: invalid device: (?:CUDA|ROCm|Vulkan)\d",
        anchor="invalid device: ",
        example='error while handling argument "--device": invalid device: CUDA0',
        certainty=Certainty.LIKELY,
        unless=(
            "loaded cuda backend",
            "ggml_cuda_init",
        ),
    ),
)

EXPLAINS = ("running-on-cpu", "threads-oversubscribed")

STEPS = (
    Step("See which devices the build knows.", ("llama-server", "--list-devices"), safety=Safety.LOOK),
    Step(
        "Take a release with CUDA, or build with -DGGML_CUDA=ON in a fresh build folder; for Python,"
        " CMAKE_ARGS=-DGGML_CUDA=on pip install --force-reinstall --no-cache-dir llama-cpp-python.",
        safety=Safety.SAFE,
        touches="the engine's folder or Python package",
        undo="the former build",
        verify=("llama-server", "--list-devices"),
    ),
)


def check(scene: Scene) -> Evidence | None:
    """The build that a shell starts has no GPU backend, or the log of one that was asked for GPU layers."""
    return _by_files(scene) or _by_log(scene)


def _by_files(scene: Scene) -> Evidence | None:
    """A driver is loaded, and the first llama-server found knows the CPU only."""
    engines, driver = scene.stack.build.engines, scene.stack.kernel.loaded_driver
    if not isinstance(engines, Known) or not isinstance(driver, Known):
        return None
    first = engines.value[0]
    if not isinstance(first.backends, Known) or set(first.backends.value) - {"cpu", "blas", "rpc"}:
        return None
    return Evidence(
        saw=f"{first.program} has the backends {', '.join(first.backends.value)}; an NVIDIA driver is loaded",
        expected="a cuda backend",
        sources=(first.backends.source, driver.source),
        strength=8,
    )


def _by_log(scene: Scene) -> Evidence | None:
    """GPU layers were asked for, and the engine that answers knows the CPU only."""
    log = need(scene.stack.runtime.log)
    if log is None or log.has_cuda or log.gpu_devices or log.offload is not None:
        return None
    asked = log.asked_gpu_layers not in (None, "0")
    wanted = asked or (log.asked_gpu_layers is None and scene.lines.has_any("geforce", "nvidia", "rtx "))
    if not wanted or scene.lines.has_any(*_GPU_SEEN):
        return None
    hit = scene.lines.search(r"system_info: [^|]*\| (?:CPU :|BLAS :|AVX = |SSE3 = )", anchor="system_info: ")
    if hit is None:
        return None
    return Evidence(
        saw=f"a GPU is wanted; the engine names no backend but the CPU: {hit[0].text.strip()[:120]}",
        expected="a CUDA entry in system_info",
        sources=(f"{hit[0].source}, line {hit[0].number}",),
        strength=8,
    )
