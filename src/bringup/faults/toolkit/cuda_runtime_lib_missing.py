"""A program needs a CUDA runtime library of a version that is not there.

Symptom: "libcudart.so.12: cannot open shared object file", likewise libcublas, libcublasLt, libcudnn,
    libnvrtc.
Reason: a CUDA program is linked to the runtime of one major version. That version is not installed, not where
    the loader looks, or an old program is found first on PATH. The driver does not bring these libraries.
Sources: https://github.com/ggml-org/llama.cpp/issues/11404
    https://docs.nvidia.com/cuda/cuda-installation-guide-linux/
Limits: libcuda.so.1 and libnvidia-ml.so.1 are the driver's: those are library-missing.
"""

from __future__ import annotations

from bringup.faults._fault import Certainty, Safety, Sign, Step
from bringup.faults._steps import LIST_LIBRARIES

_NAMES = (
    "(?:cudart|cublas|cublasLt|cudnn(?:_[a-z_]{1,30})?|nvrtc(?:-builtins)?|cufft|curand|cusparse|cusolver"
    "|nccl"
    "|nvJitLink|cupti|nvToolsExt)"
)

SIGNS = (
    Sign(
        rf"lib{_NAMES}\.so(?:\.[\d.]{{1,12}})?(?:: |' ?:? ?|\"? ?=> ?)(?:cannot open shared object file|not "
        rf"found)",
        anchor=".so",
        example="llama-server: error while loading shared libraries: libcublas.so.11: cannot open shared "
        "object file:"
        " No such file or directory",
    ),
    Sign(
        rf"(?i)(?:could not load|unable to load|failed to load|cannot load|error loading|could not find)"
        rf".{{0,60}}lib{_NAMES}\.so",
        anchor=".so",
        example="Could not load library libcudnn_ops_infer.so.8. Error: libcudnn_ops_infer.so.8",
        unless=("cudart init failure",),
    ),
    Sign(
        rf"ImportError: lib{_NAMES}\.so",
        anchor="importerror",
        example="ImportError: libcudart.so.11.0: cannot open shared object file: No such file or directory",
    ),
    Sign(
        r"(?i)library (?:libcublas|libcudart|cublas64_\d{1,10}|cudart64_\d{1,10})\S{0,20} is not found",
        anchor="is not found",
        example="RuntimeError: Library libcublas.so.12 is not found or cannot be loaded",
    ),
    Sign(
        r"cannot find -l(?:cublas(?:Lt)?|cudart|culibos|nvrtc|cudadevrt)\b",
        anchor="cannot find -l",
        example="/usr/bin/ld: cannot find -lcublas: No such file or directory",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"lib(?:cudart|cublas|cublasLt|nvrtc|nvJitLink)\.so\.[\d.]{1,12}, needed by \S{1,200}, not found",
        anchor=", needed by ",
        example="/usr/bin/ld: warning: libcublas.so.12, needed by bin/libggml-cuda.so, not found (try"
        " using -rpath or -rpath-link)",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"undefined reference to [`'](?:__cuda[A-Z]|cuda[A-Z]|cublas[A-Z])\w{1,60}(?:_v2)?'",
        anchor="undefined reference to ",
        example="ggml-cuda.cu:(.text+0x2d3b): undefined reference to `cudaGetDeviceCount'",
        certainty=Certainty.LIKELY,
    ),
)

EXPLAINS = ("backend-not-loaded", "running-on-cpu", "shared-library-mismatch")

STEPS = (
    Step("See what the loader knows.", ("ldconfig", "-p"), Safety.LOOK),
    Step(
        "See which program and which library are meant: ldd on the program's full path (which llama-server).",
        safety=Safety.LOOK,
    ),
    Step(
        "An old program is found first: call the new one by its full path, remove the old one from PATH.",
        safety=Safety.SAFE,
        touches="this shell's PATH",
        undo="put the folder back",
    ),
    Step(
        "The library is there and not found: write its folder to a file in /etc/ld.so.conf.d.",
        touches="one file in /etc/ld.so.conf.d",
        undo="delete that file",
    ),
    LIST_LIBRARIES,
    Step(
        "It is not there: install the runtime of exactly that major version, or build the program again "
        "with the "
        "toolkit that is here. Never link one major version to the name of another.",
        safety=Safety.SAFE,
        touches="packages or the build folder",
        undo="remove the package",
    ),
)
