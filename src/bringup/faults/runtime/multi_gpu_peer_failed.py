"""Several GPUs cannot work together: peer access, NCCL or the split failed.

Symptom: "peer access has not been enabled", an NCCL error, or a failure only when more than one card is used.
Reason: splitting a model over cards needs copies between them. Peer access is refused by the board, the
    IOMMU or a virtual machine, NCCL does not like the topology, or the asked split does not exist for
    these devices.
Sources: https://github.com/ggml-org/llama.cpp/issues/10152
    https://github.com/ggml-org/llama.cpp/issues/21719
    https://docs.nvidia.com/deeplearning/nccl/user-guide/docs/troubleshooting.html
Limits: "NCCL not found" or "not compiled in" is a note about speed, no fault.
"""

from __future__ import annotations

from bringup.faults._fault import Certainty, Safety, Sign, Step

SIGNS = (
    Sign(
        r"peer access (?:has not been enabled|is not supported|is already enabled|failed)",
        anchor="peer access",
        example="CUDA error: peer access has not been enabled",
    ),
    Sign(
        r"NCCL WARN (?:Cuda failure|Error|Failed)|ncclUnhandledCudaError|ncclSystemError|ncclInternalError|"
        r"NCCL error|ncclCommInit\w{1,40}\(",
        anchor="nccl",
        example="NCCL WARN Cuda failure 'invalid argument'",
    ),
    Sign(
        r"peer mapping resources exhausted|cudaMemcpyPeer(?:Async)?\b.{0,120}|cudaDeviceEnablePeerAccess",
        anchor="peer",
        example="CUDA error: peer mapping resources exhausted",
    ),
    Sign(
        r"does not support split buffers",
        anchor="does not support split buffers",
        example="llama_model_load: error loading model: device Vulkan0 does not support split buffers",
    ),
    Sign(
        r"SPLIT_MODE_TENSOR (?:needs|requires|not implemented|and KV cache quantization)",
        anchor="split_mode_tensor",
        example="llama_init_from_model: SPLIT_MODE_TENSOR requires flash_attn to be enabled",
    ),
    Sign(
        r"ggml-backend-meta\.cpp:\d{1,10}: GGML_ASSERT",
        anchor="ggml-backend-meta.cpp",
        example="/src/llama.cpp/ggml/src/ggml-backend-meta.cpp:1047: GGML_ASSERT(split_state.ne[j] =="
        " sum) failed",
    ),
    Sign(
        r"got \d{1,10} input configs, but system only has \d{1,10} devices",
        anchor="input configs, but system only has",
        example="error: got 3 input configs, but system only has 2 devices",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"invalid value for main_gpu: \d{1,10}",
        anchor="invalid value for main_gpu",
        example="error: invalid value for main_gpu: 1 (available devices: 1)",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"nccl\w{1,30} (?:failed|returned|error)\b",
        anchor="nccl",
        example="ncclCommInitAll failed with 3",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"(?i)\bnccl\b.{0,40}\b(?:hangs?|hung|stuck|deadlock|never returns)\b",
        anchor="nccl",
        example="with -sm tensor NCCL hangs at the first prompt",
        certainty=Certainty.LIKELY,
        is_weak=True,
    ),
    Sign(
        r"(?i)\ball-?reduce (?:\w{1,10} ){0,2}(?:hangs?|hung|stuck|never returns)\b",
        anchor="reduce",
        example="the first all-reduce never returns",
        certainty=Certainty.LIKELY,
        is_weak=True,
    ),
)

EXPLAINS = ("cuda-kernel-crash", "server-not-ready")

STEPS = (
    Step("See how the cards are connected.", ("nvidia-smi", "topo", "-m"), safety=Safety.LOOK),
    Step(
        "Split by layers, which needs no peer access: --split-mode layer; or use one card:"
        " --split-mode none.",
        safety=Safety.SAFE,
        touches="your start script",
        undo="the former split mode",
        verify=("nvidia-smi",),
    ),
    Step(
        "Set NCCL_P2P_DISABLE=1 for this start, or build with -DGGML_CUDA_NO_PEER_COPY=ON and without NCCL.",
        safety=Safety.SAFE,
        touches="speed between the cards",
        undo="unset the variable",
        verify=("nvidia-smi",),
    ),
    Step(
        "Where peer copies give wrong data, turn the IOMMU off in the firmware or the kernel's command line.",
        safety=Safety.RISKY,
        needs_root=True,
        touches="the kernel's command line; virtual machines with passed-through devices stop working",
        undo="the former command line, and a restart",
        verify=("nvidia-smi",),
    ),
)
