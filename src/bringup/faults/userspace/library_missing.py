"""A library of the NVIDIA driver cannot be opened.

Symptom: "libcuda.so.1: cannot open shared object file", "NVML Shared Library Not Found", "couldn't find
    libnvidia-ml.so".
Reason: the driver's user-space libraries are not installed, not where the loader looks, or were not passed
    into the container. They come with the driver of the host, never with the CUDA toolkit.
Sources: https://docs.nvidia.com/deploy/nvml-api/
    https://github.com/ggml-org/llama.cpp/issues/7822
Limits: libcudart, libcublas and the like belong to the toolkit: cuda-runtime-lib-missing.
"""

from __future__ import annotations

from bringup.faults._fault import Certainty, Evidence, Safety, Sign, Step, Story
from bringup.faults._scene import Scene
from bringup.faults._steps import LIST_LIBRARIES
from bringup.faults.userspace._driver import libraries, loaded_version
from bringup.reading import Absent, Known
from bringup.records import replace
from bringup.stack.told import Told

_NAMES = (
    r"(?:libcuda\.so|libnvidia-ml\.so|libnvidia-ptxjitcompiler\.so|libnvcuvid\.so|libnvidia-\w{1,30}\.so)"
)
_CONTAINER_HOOK = ("nvidia-container-cli: initialization error",)
"""The toolkit looks for the host's libraries; for libnvidia-ml `container-runtime-missing` says more."""

SIGNS = (
    Sign(
        rf"{_NAMES}[\d.]{{0,14}}(?:: |' ?:? ?|\"? ?=> ?)(?:cannot open shared object file|not found)",
        anchor=".so",
        example="/server: error while loading shared libraries: libcuda.so.1: cannot open shared object "
        "file: No such file"
        " or directory",
        unless=_CONTAINER_HOOK,
    ),
    Sign(
        r"(?i)nvml shared library not found",
        anchor="shared library not found",
        example="pynvml.NVMLError_LibraryNotFound: NVML Shared Library Not Found",
    ),
    Sign(
        r"(?i)NVMLError_LibraryNotFound|NVML_ERROR_LIBRARY_NOT_FOUND|ERROR_LIBRARY_NOT_FOUND",
        anchor="not",
        example="NVML_ERROR_LIBRARY_NOT_FOUND",
    ),
    Sign(
        r"(?i)could not load NVML library",
        anchor="could not load nvml library",
        example="Failed to initialize NVML: could not load NVML library.",
    ),
    Sign(
        r"(?i)couldn't find libnvidia-ml\.so",
        anchor="libnvidia-ml.so",
        example="NVIDIA-SMI couldn't find libnvidia-ml.so library in your system.",
    ),
    Sign(
        r"(?i)(?:(?:could not|cannot|unable to|failed to) load(?: dynamic library)?"
        r"|dlopen(?:ing)?(?: failed)?|could not open|"
        rf"cannot find|could not find).{{0,40}}{_NAMES}",
        anchor=".so",
        example="Could not load dynamic library 'libcuda.so.1'; dlerror: libcuda.so.1: cannot open shared "
        "object file",
        certainty=Certainty.LIKELY,
        unless=("elfclass32", "undefined symbol", *_CONTAINER_HOOK),
    ),
    Sign(
        r"(?i)cuda driver library (?:cannot|could not) be "
        r"found|CUDA_ERROR_SHARED_OBJECT_INIT_FAILED|libcuda\b.{0,20}not found",
        anchor="cuda",
        example="numba.cuda.cudadrv.error.CudaSupportError: CUDA driver library cannot be found.",
    ),
    Sign(
        r"nvidia-container-cli: initialization error: load library failed: libcuda\.so",
        anchor="load library failed: libcuda.so",
        example="nvidia-container-cli: initialization error: load library failed: libcuda.so.1: cannot open"
        " shared object file: no such file or directory",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"(?i)cannot find -lcuda\b|ld: library not found for -lcuda\b",
        anchor="-lcuda",
        example="/usr/bin/ld: cannot find -lcuda: No such file or directory",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"undefined reference to [`']cu(?:Mem|Device|Ctx|Init|Get|Launch|Module|Stream)\w{0,40}'",
        anchor="undefined reference to ",
        example="/usr/bin/ld: bin/libggml-cuda.so.0.9.4: undefined reference to `cuMemRelease'",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"libcuda\.so\.1, needed by \S{1,200}, not found",
        anchor="libcuda.so.1, needed by ",
        example="/usr/bin/ld: warning: libcuda.so.1, needed by bin/libggml-cuda.so, not found (try using"
        " -rpath or -rpath-link)",
        certainty=Certainty.LIKELY,
    ),
)

STORIES = (Story((Told.LIBRARY_GONE,), (Told.WSL,), "ldconfig -p"),)

EXPLAINS = (
    "no-visible-device",
    "running-on-cpu",
    "backend-not-loaded",
    "shared-library-mismatch",
)

STEPS = (
    Step("See what the loader knows of the driver.", ("ldconfig", "-p"), Safety.LOOK),
    Step("See whether the kernel side is there.", ("cat", "/proc/driver/nvidia/version"), Safety.LOOK),
    replace(LIST_LIBRARIES, say="Files are there and not in the loader's list: make the list anew."),
    Step(
        "While an image is built no driver is there: give cmake"
        " -DCMAKE_EXE_LINKER_FLAGS=-Wl,--allow-shlib-undefined, as llama.cpp's own image does.",
        safety=Safety.SAFE,
        touches="the options of your build",
        undo="leave the option away",
    ),
    Step(
        "In a container: start it with --gpus all and the NVIDIA container toolkit; install no driver in "
        "the image.",
        safety=Safety.SAFE,
        touches="how the container is started",
        undo="start it as before",
    ),
    Step(
        "On the host: install the driver's library package of the very version of the module that is loaded "
        "(libnvidia-compute-NNN on Ubuntu, libcuda1 and libnvidia-ml1 on Debian).",
        safety=Safety.SAFE,
        needs_root=True,
        touches="driver packages",
        undo="remove the package",
        verify=("nvidia-smi",),
    ),
)


def check(scene: Scene) -> Evidence | None:
    """A module is loaded, and the loader finds no libcuda, or a link that leads nowhere."""
    loaded, cuda = loaded_version(scene), scene.stack.userspace.cuda_library
    if loaded is None or scene.stack.container.is_wsl:
        return None
    if isinstance(cuda, Known) and isinstance(cuda.value.file, Absent):
        saw = f"{cuda.value.path} leads to {cuda.value.file.source}, which is not there"
    elif isinstance(cuda, Absent):
        unseen = [one.path for one in libraries(scene) if one.name == "libcuda"]
        where = f"{unseen[0]} is not in its list" if unseen else "none lies on the disk"
        saw = f"module {loaded} is loaded; the loader finds no libcuda.so.1, {where}"
    else:
        return None
    return Evidence(
        saw=saw,
        expected=f"libcuda.so.1 of {loaded}",
        sources=(scene.stack.kernel.loaded_driver.source, cuda.source),
        strength=10,
    )
