"""Compiler, headers and libraries of different CUDA toolkits are mixed in one build.

Symptom: CMake reports two CUDA versions, or the linker misses symbols that one version has and the other has
    not.
Reason: two toolkits are installed and PATH, CUDA_HOME, the link /usr/local/cuda and the include path do not
    all point to the same one. Often Debian's or Ubuntu's own nvcc in /usr/bin stands beside NVIDIA's in
    /usr/local.
Sources: https://github.com/traveller59/spconv/issues/65
    https://cmake.org/cmake/help/latest/module/FindCUDAToolkit.html
"""

from __future__ import annotations

from bringup.faults._fault import Certainty, Evidence, Safety, Sign, Step
from bringup.faults._scene import Scene
from bringup.faults.toolkit._toolkits import first_toolkit
from bringup.reading import Known
from bringup.stack.toolkit_files import CudaToolkit, find_version

SIGNS = (
    Sign(
        r"(?i)headers? say(?:s)? the version is",
        anchor="the version is",
        example="  headers say the version is 10.1.  This often occurs when you set both",
    ),
    Sign(
        r"(?i)FindCUDA says CUDA version is",
        anchor="findcuda says",
        example="  FindCUDA says CUDA version is 11.5 (usually determined by nvcc), but the CUDA",
    ),
    Sign(
        r"(?i)detected CUDA version .{0,20}mismatches the version that was used to compile",
        anchor="mismatches the version",
        example="The detected CUDA version (12.8) mismatches the version that was used to compile PyTorch "
        "(11.8).",
    ),
    Sign(
        r"(?i)CUDA (?:compiler|nvcc) "
        r"(?:version|and).{0,60}(?:toolkit|headers?).{0,60}(?:mismatch|incompatible|differ)",
        anchor="cuda",
        example="CUDA compiler version 11.5 and toolkit headers 12.4 differ: mismatch",
    ),
    Sign(
        r"(?i)CUDA compiler and CUDA toolkit headers are incompatible",
        anchor="incompatible",
        example='#error "CUDA compiler and CUDA toolkit headers are incompatible, please check your include '
        'paths"',
    ),
    Sign(
        r"(?i)found multiple (?:conflicting )?cuda (?:installations|toolkits)",
        anchor="found multiple",
        example="warning: found multiple CUDA installations",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"undefined reference to "
        r"`(?:__cudaRegisterLinkedBinary|__fatbinwrap|cublas\w{1,40}@|\w{1,60}@libcu\w{1,20}\.so)",
        anchor="undefined reference",
        example="undefined reference to `cublasGemmEx@libcublas.so.12'",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"undefined symbol: _{0,2}(?:cublas|cudnn|cusparse|cusolver|cufft|nvJitLink|nvrtc)\w{1,60}",
        anchor="undefined symbol: ",
        example="ImportError: libcusparse.so.12: undefined symbol: __nvJitLinkComplete_12_4, version"
        " libnvJitLink.so.12",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"lib(?:cudart|cublas)\.so\S{1,12} ?,? .{0,60}may conflict with lib(?:cudart|cublas)",
        anchor="may conflict with libcu",
        example="ld: warning: libcudart.so.11.0, needed by libggml.so, may conflict with libcudart.so.12",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"(?i)ptxas (?:fatal|/\S{1,160}, line).{0,40}unsupported \.version",
        anchor="unsupported .version",
        example="ptxas fatal   : Unsupported .version 8.4; current version is '8.2'",
        certainty=Certainty.LIKELY,
    ),
)

EXPLAINS = ("nvcc-too-old-for-gpu", "cuda-runtime-lib-missing", "cpu-only-build")

STEPS = (
    Step("See which nvcc comes first.", ("nvcc", "--version"), Safety.LOOK),
    Step("See the toolkits in /usr/local.", ("ls", "-l", "/usr/local"), Safety.LOOK),
    Step(
        "Point everything to one toolkit: its bin folder first on PATH, CUDA_HOME and CUDAToolkit_ROOT at "
        "its folder, "
        "CPATH and LD_LIBRARY_PATH free of others; then configure in a new build folder.",
        safety=Safety.SAFE,
        touches="this shell's environment, the build folder",
        undo="open a new shell",
    ),
    Step(
        "Remove the toolkit that is not wanted by the package manager that brought it (often "
        "nvidia-cuda-toolkit).",
        safety=Safety.DISRUPTIVE,
        touches="programs built with that toolkit",
        undo="install the package again",
    ),
)

_TOOLKIT_VARIABLES = ("CUDAToolkit_ROOT", "CUDA_HOME", "CUDA_PATH")
_SEARCH_VARIABLES = ("CPATH", "CPLUS_INCLUDE_PATH", "LIBRARY_PATH")


def check(scene: Scene) -> Evidence | None:
    """A variable leads the build to another toolkit than that of the first nvcc."""
    first = first_toolkit(scene)
    if first is None or not isinstance(first.version, Known):
        return None
    for name in (*_TOOLKIT_VARIABLES, *_SEARCH_VARIABLES):
        for part in scene.stack.toolkit.variable(name).split(":"):
            other = _version_of(scene, part.rstrip("/"))
            if other is not None and other != first.version.value:
                version = first.version.value
                return Evidence(
                    saw=f"{name} names {part} (CUDA {other[0]}.{other[1]}); the first nvcc is of "
                    f"{first.folder} (CUDA {version[0]}.{version[1]})",
                    expected="nvcc and the variables of one toolkit",
                    sources=(f"environment variable {name}", first.version.source),
                    certainty=Certainty.SURE if name in _SEARCH_VARIABLES else Certainty.LIKELY,
                    decides="nvcc --version, and the version in the folder that the variable names",
                    strength=6,
                )
    return None


def _version_of(scene: Scene, folder: str) -> tuple[int, int] | None:
    """The version of the toolkit that a folder is, or lies in; a folder's name alone tells it too."""
    toolkits = scene.stack.toolkit.toolkits
    known: tuple[CudaToolkit, ...] = toolkits.value if isinstance(toolkits, Known) else ()
    for toolkit in known:
        is_inside = folder == toolkit.folder or folder.startswith(toolkit.folder + "/")
        if is_inside and isinstance(toolkit.version, Known):
            return toolkit.version.value
    return find_version(folder, r"/cuda-")
