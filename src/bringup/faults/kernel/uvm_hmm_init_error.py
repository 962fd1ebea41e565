"""CUDA cannot start because nvidia_uvm's heterogeneous memory management (HMM) fails on this kernel.

Symptom: cuInit returns 3 (not initialized) with driver 570 or newer, while nvidia-smi and the modules look
    healthy.
Reason: The memory module sets up HMM when CUDA starts, and on some kernels and machines this setup fails.
    CUDA works once that feature is turned off.
Sources: https://github.com/ollama/ollama/issues/11593
    https://github.com/NVIDIA/open-gpu-kernel-modules/issues/797
    https://github.com/NVIDIA/open-gpu-kernel-modules/issues/901
    https://docs.nvidia.com/cuda/cuda-toolkit-release-notes/index.html
    https://github.com/wilicc/gpu-burn/issues/133
Limits: the same number comes from a missing nvidia_uvm and from a process that forked after using CUDA.
"""

from __future__ import annotations

from bringup.faults._fault import Certainty, Safety, Sign, Step
from bringup.faults._steps import LOAD_UVM, UNLOAD_UVM
from bringup.records import replace

_OTHERS = ("forked subprocess", "cannot re-initialize cuda", "version mismatch", "couldn't communicate")

SIGNS = (
    Sign(
        r"init failure: 3\b(?!\d)",
        anchor="init failure: 3",
        example="Unable to load cudart library libcuda.so.575.57.08: cuda driver library init failure: 3",
        certainty=Certainty.LIKELY,
        unless=_OTHERS,
    ),
    Sign(
        r"cuInit err: 3\b(?!\d)",
        anchor="cuinit err: 3",
        example="cuInit err: 3",
        certainty=Certainty.LIKELY,
        unless=_OTHERS,
    ),
    Sign(
        r"cuInit.{0,30}(?:returned|failed.{0,10}with|error):? ?\(?3\b(?!\d)",
        anchor="cuinit",
        example="cuInit(0) returned 3",
        certainty=Certainty.LIKELY,
        unless=_OTHERS,
    ),
    Sign(
        r"failed to initialize CUDA: initialization error",
        anchor="failed to initialize cuda: initialization error",
        example="ggml_cuda_init: failed to initialize CUDA: initialization error",
        certainty=Certainty.LIKELY,
        unless=_OTHERS,
    ),
    Sign(
        r"CUDA driver initialization failed, you might not have a CUDA gpu",
        anchor="cuda driver initialization failed",
        example="RuntimeError: CUDA driver initialization failed, you might not have a CUDA gpu.",
        certainty=Certainty.LIKELY,
        unless=_OTHERS,
    ),
    Sign(
        r"CUDA_ERROR_NOT_INITIALIZED",
        anchor="cuda_error_not_initialized",
        example="cu->cuInit(0) failed -> CUDA_ERROR_NOT_INITIALIZED: initialization error",
        certainty=Certainty.LIKELY,
        unless=_OTHERS,
    ),
    Sign(
        r"CUDA error: initialization error",
        anchor="cuda error: initialization error",
        example="ERROR: CUDA error: initialization error, line 299, file cuda_memtest.cpp",
        certainty=Certainty.LIKELY,
        needs=("open",),
        unless=_OTHERS,
    ),
)

EXPLAINS = ("uvm-not-loaded", "library-missing", "no-visible-device", "running-on-cpu")

STEPS = (
    Step("See that the memory module is loaded.", ("lsmod",), Safety.LOOK),
    Step("See whether HMM is on.", ("cat", "/sys/module/nvidia_uvm/parameters/uvm_disable_hmm"), Safety.LOOK),
    Step(
        "Write the line 'options nvidia_uvm uvm_disable_hmm=1' to /etc/modprobe.d/nvidia-uvm-hmm.conf.",
        touches="one file in /etc/modprobe.d",
        undo="delete that file",
    ),
    UNLOAD_UVM,
    replace(LOAD_UVM, verify=("cat", "/sys/module/nvidia_uvm/parameters/uvm_disable_hmm")),
)
