"""The build finds no CUDA compiler.

Symptom: CMake says "Could not find nvcc", "Failed to find nvcc", "No CMAKE_CUDA_COMPILER could be found"; or
    the shell does not know nvcc.
Reason: the toolkit is not installed, or its bin folder is not on PATH (NVIDIA's packages put it in
    /usr/local/cuda/bin and leave PATH alone). The driver and nvidia-smi do not bring nvcc.
Sources: https://docs.nvidia.com/cuda/cuda-installation-guide-linux/
    https://github.com/ggml-org/llama.cpp/blob/master/docs/build.md
    https://github.com/echonoshy/cgft-llm/issues/9
Limits: "CUDA Toolkit found" does not mean that nvcc was found: headers are enough for that line.
"""

from __future__ import annotations

from bringup.faults._fault import Certainty, Evidence, Safety, Sign, Step
from bringup.faults._scene import Scene
from bringup.faults.userspace._driver import has_cuda_engine
from bringup.reading import Absent, Known

SIGNS = (
    Sign(
        r"(?i)(?:could not|failed to|cannot|unable to) find nvcc",
        anchor="find nvcc",
        example="-- Could not find nvcc, please set CUDAToolkit_ROOT.",
    ),
    Sign(
        r"(?i)no CMAKE_CUDA_COMPILER could be found",
        anchor="cmake_cuda_compiler could be found",
        example="  No CMAKE_CUDA_COMPILER could be found.",
    ),
    Sign(
        r"(?i)\bnvcc(?:'|: | )(?:command )?not found|command '?nvcc'? not found|nvcc: (?:no such file|not "
        r"found)",
        anchor="nvcc",
        example="bash: nvcc: command not found",
    ),
    Sign(
        r"(?i)Could not find compiler set in environment variable CUDACXX|CMAKE_CUDA_COMPILER not set",
        anchor="cuda",
        example="  Could not find compiler set in environment variable CUDACXX:",
    ),
    Sign(
        r"(?i)CMAKE_CUDA_COMPILER(?:-NOTFOUND|:?\s.{0,40}is not a full path to an existing compiler)",
        anchor="cmake_cuda_compiler",
        example="CMAKE_CUDA_COMPILER-NOTFOUND",
    ),
    Sign(
        r"(?i)is not a full path to an existing compiler tool",
        anchor="existing compiler tool",
        example="  is not a full path to an existing compiler tool.",
        needs=("nvcc",),
    ),
    Sign(
        r"(?i)could not find cuda ?toolkit|could NOT find CUDA(?:Toolkit)? \(missing|specify "
        r"CUDA_TOOLKIT_ROOT_DIR",
        anchor="cuda",
        example='Could NOT find CUDAToolkit (missing: CUDAToolkit_NVCC_EXECUTABLE) (found version "11.5")',
    ),
    Sign(
        r"(?i)(?:no such file or directory|filenotfounderror|errno 2|cannot execute|not "
        r"found).{0,60}\bnvcc\b",
        anchor="nvcc",
        example="FileNotFoundError: [Errno 2] No such file or directory: '/usr/local/cuda/bin/nvcc'",
    ),
    Sign(
        r"(?i)\bnvcc\b.{0,40}(?:no such file or directory|errno 127|error 127)",
        anchor="nvcc",
        example="/bin/sh: 1: /usr/local/cuda/bin/nvcc: No such file or directory",
    ),
    Sign(
        r"(?i)CUDA_HOME environment variable is not set|cannot find CUDA_HOME",
        anchor="cuda_home",
        example="OSError: CUDA_HOME environment variable is not set. Please set it to your CUDA install "
        "root.",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"^\s*CUDA not found\s*$",
        anchor="cuda not found",
        example="  CUDA not found",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"(?i)could not find [`'\"]?nvcc[`'\"]? executable",
        anchor="nvcc",
        example="Could not find `nvcc` executable in path specified by environment variable"
        " CUDAToolkit_ROOT=/usr",
    ),
    Sign(
        r"is not a full path and was not found in the PATH",
        anchor="is not a full path and was not found",
        example="  is not a full path and was not found in the PATH.",
        needs=("cmake_cuda_compiler",),
    ),
    Sign(
        r"^(?:-- |\s*CMake Warning.{0,80})?CUDA(?: Toolkit)? not found\b",
        anchor="not found",
        example="-- CUDA Toolkit not found",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"Couldn't find CUDA library root",
        anchor="couldn't find cuda library root",
        example="  Couldn't find CUDA library root.",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"^\s*CUDA_(?:CUDART_LIBRARY|TOOLKIT_INCLUDE|TOOLKIT_ROOT_DIR|NVCC_EXECUTABLE|cublas_LIBRARY)\b.{0,20}\(ADVANCED\)",
        anchor="(advanced)",
        example="CUDA_CUDART_LIBRARY (ADVANCED)",
        certainty=Certainty.LIKELY,
        needs=("set to notfound",),
    ),
    Sign(
        r"No CUDA toolset found",
        anchor="no cuda toolset found",
        example="  No CUDA toolset found.",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"fatal error(?: C1083)?: (?:Cannot open include file: )?'?"
        r"(?:(?:cuda_runtime(?:_api)?|cuda_fp16|cuda|cublas_v2|driver_types)\.h|nv/target)'?:?"
        r" (?:No such file|file not found)",
        anchor="fatal error",
        example="ggml-cuda.cu:1:10: fatal error: cuda_runtime.h: No such file or directory",
        certainty=Certainty.LIKELY,
    ),
)

EXPLAINS = ("cpu-only-build", "running-on-cpu", "build-tool-missing")

STEPS = (
    Step("See whether a toolkit is there.", ("ls", "-d", "/usr/local/cuda/bin/nvcc"), Safety.LOOK),
    Step(
        "There: put its folder on PATH (export PATH=/usr/local/cuda/bin:$PATH) or give CMake "
        "-DCMAKE_CUDA_COMPILER=/usr/local/cuda/bin/nvcc.",
        safety=Safety.SAFE,
        touches="this shell's PATH",
        undo="open a new shell",
        verify=("nvcc", "--version"),
    ),
    Step(
        "Not there: install the CUDA toolkit (its compiler, not the driver) from your distribution or "
        "NVIDIA.",
        safety=Safety.SAFE,
        touches="several GB below /usr/local or /usr/lib",
        undo="remove the toolkit's package",
        verify=("nvcc", "--version"),
    ),
    Step(
        "Delete the build folder and configure again; otherwise the build goes on without CUDA.",
        safety=Safety.SAFE,
        touches="the build folder",
        undo="none needed: it is made again by the build",
    ),
)


def check(scene: Scene) -> Evidence | None:
    """The engine was built without CUDA, a toolkit is here, and PATH does not lead to its nvcc."""
    engines, toolkits = scene.stack.build.engines, scene.stack.toolkit.toolkits
    if not isinstance(scene.stack.toolkit.nvcc, Absent) or not isinstance(toolkits, Known):
        return None
    usable = [one for one in toolkits.value if one.has_nvcc]
    if not usable or not isinstance(engines, Known) or has_cuda_engine(scene):
        return None
    if scene.stack.toolkit.variable("CUDACXX") or not isinstance(scene.stack.kernel.loaded_driver, Known):
        return None
    return Evidence(
        saw=f"{usable[0].folder}/bin/nvcc is there and no folder on PATH has an nvcc",
        expected=f"{usable[0].folder}/bin on PATH, or CMAKE_CUDA_COMPILER",
        sources=(scene.stack.toolkit.nvcc.source, toolkits.source),
        certainty=Certainty.LIKELY,
        decides="cmake's line 'Could not find nvcc' when the engine is configured",
        strength=3,
    )
