"""The engine uses the GPU through another backend than CUDA, or another GPU than the NVIDIA card.

Symptom: the log names Vulkan0, SYCL0, OpenCL or an integrated GPU where CUDA0 was expected; it runs, but
    slower.
Reason: this build has a Vulkan (or other) backend and no CUDA backend, or it ranked another device first.
    Installers take the Vulkan build when they do not find the CUDA libraries.
Sources: https://github.com/ggml-org/llama-install.sh/issues/20
    https://github.com/ggml-org/llama.cpp/blob/master/docs/build.md
"""

from __future__ import annotations

from bringup.faults._fault import Certainty, Evidence, Safety, Sign, Step
from bringup.faults._scene import Scene
from bringup.reading import need

_NVIDIA = ("nvidia", "geforce", "rtx", "tesla", "quadro")
_ASKED_FOR = ("--device vulkan", "--device=vulkan", "-dev vulkan")
_INTEGRATED = ("intel", "radeon graphics", "iris", "uhd", "llvmpipe", "raphael")

SIGNS = (
    Sign(
        r"selecting (?:single )?GPU.{0,120}library=Vulkan.{0,120}description=\"?(?:Intel|"
        r"AMD Radeon(?:\(TM\))? Graphics|llvmpipe)",
        anchor="library=vulkan",
        example='msg="selecting single GPU for llama-server model" library=Vulkan name=Vulkan0'
        ' description="Intel(R) UHD Graphics"',
    ),
    Sign(
        r"dropping integrated GPU.{0,120}description=\"?NVIDIA",
        anchor="dropping integrated gpu",
        example='msg="dropping integrated GPU; to enable, set OLLAMA_IGPU_ENABLE=1" id=1 library=Vulkan'
        ' name=Vulkan1 description="NVIDIA GeForce RTX 4070"',
        certainty=Certainty.LIKELY,
        unless=("library=cuda",),
    ),
    Sign(
        r"ggml_vulkan: \d{1,10} = llvmpipe",
        anchor="llvmpipe",
        example="ggml_vulkan: 0 = llvmpipe (LLVM 15.0.7, 256 bits) (llvmpipe) | uma: 0 | fp16: 1",
    ),
)

STEPS = (
    Step("See the devices that the build knows.", ("llama-server", "--list-devices"), safety=Safety.LOOK),
    Step(
        "Choose the card with --device CUDA0 (or Vulkan1, as --list-devices names it).",
        safety=Safety.SAFE,
        touches="your start script",
        undo="leave the option out",
        verify=("llama-server", "--list-devices"),
    ),
    Step(
        "Take the CUDA build, or build with -DGGML_CUDA=ON, where the list names no CUDA device.",
        safety=Safety.SAFE,
        touches="the engine's folder",
        undo="the former build",
        verify=("llama-server", "--list-devices"),
    ),
)


def check(scene: Scene) -> Evidence | None:
    """An NVIDIA card that is driven by something else than CUDA, or an integrated GPU used beside one."""
    log = need(scene.stack.runtime.log)
    if log is None or log.has_cuda or scene.lines.has_any(*_ASKED_FOR):
        return None
    others = [
        d for d in log.gpu_devices if d.name.lower().startswith(("vulkan", "sycl", "opencl", "gpuopencl"))
    ]
    ours = [d for d in others if any(word in d.description.lower() for word in _NVIDIA)]
    wrong = [d for d in others if any(word in d.description.lower() for word in _INTEGRATED)]
    if not ours and not (wrong and scene.lines.has_any(*_NVIDIA)):
        return None
    device = (ours or wrong)[0]
    return Evidence(
        saw=f"{device.name} is {device.description}; no CUDA device",
        expected="a CUDA device for an NVIDIA card",
        sources=(f"engine log, line {device.line}",),
        certainty=Certainty.SURE if ours else Certainty.LIKELY,
        decides="" if ours else "llama-server --list-devices",
        strength=5,
    )
