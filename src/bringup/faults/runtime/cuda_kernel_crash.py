"""A computation on the GPU crashed inside the engine.

Symptom: "CUDA error: an illegal memory access was encountered", "unspecified launch failure", Xid 13 or 31.
Reason: a kernel of the engine wrote where it may not, or the driver ended it. Mostly this is a bug of
    that build for this model, batch size or card; rarely a sign of an unstable card.
Sources: https://github.com/ggml-org/llama.cpp/issues/13851
    https://docs.nvidia.com/deploy/xid-errors/
Limits: "out of memory" and "no kernel image" are other faults; with Xid 48, 79 or 94 look at the hardware
    first.
"""

from __future__ import annotations

from bringup.faults._fault import Certainty, Safety, Sign, Step

_OTHER = ("no kernel image", "cudamalloc failed", "look_ahead_size", "driver version is insufficient")

SIGNS = (
    Sign(
        r"an illegal memory access was encountered",
        anchor="illegal memory access",
        example="CUDA error: an illegal memory access was encountered",
        unless=("ncclcomm",),
    ),
    Sign(
        r"CUDA_ERROR_ILLEGAL_ADDRESS",
        anchor="cuda_error_illegal_address",
        example="CUDA driver error 700: CUDA_ERROR_ILLEGAL_ADDRESS",
    ),
    Sign(
        r"(?:CUDA|cuda|ROCm).{0,120} error 700\b",
        anchor=" error 700",
        example="CUDA runtime error 700",
    ),
    Sign(
        r"unspecified launch failure",
        anchor="unspecified launch failure",
        example="CUDA error: unspecified launch failure",
    ),
    Sign(
        r"(?:CUDA|ROCm) error: misaligned address",
        anchor="misaligned address",
        example="CUDA error: misaligned address",
    ),
    Sign(
        r"an illegal instruction was encountered",
        anchor="an illegal instruction was encountered",
        example="CUDA error: an illegal instruction was encountered",
    ),
    Sign(
        r"device-side assert triggered",
        anchor="device-side assert triggered",
        example="CUDA error: device-side assert triggered",
    ),
    Sign(
        r"the launch timed out and was terminated",
        anchor="the launch timed out",
        example="CUDA error: the launch timed out and was terminated",
    ),
    Sign(
        r"CUBLAS_STATUS_(?:EXECUTION_FAILED|INTERNAL_ERROR|NOT_SUPPORTED|INVALID_VALUE|ARCH_MISMATCH)|"
        r"cuBLAS error (?:[2456789]|\d\d)\b",
        anchor="cublas",
        example="CUDA error: CUBLAS_STATUS_EXECUTION_FAILED",
        unless=("cublas_status_alloc_failed", "cublas_status_not_initialized"),
    ),
    Sign(
        r"Xid \(PCI:[0-9a-fA-F:.]+\): (?:13|31|43)\b",
        anchor="xid (pci:",
        example="NVRM: Xid (PCI:0000:01:00): 31, pid=4242, name=llama-server, Ch 00000008, intr"
        " 00000000. MMU Fault",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"(?:CUDA|ROCm) error: (?:invalid argument|invalid configuration argument|invalid resource handle|"
        r"operation not permitted when stream is capturing)",
        anchor=" error: ",
        example="CUDA error: invalid argument",
        certainty=Certainty.LIKELY,
        unless=("nccl", "peer"),
    ),
    Sign(
        r"ggml-cuda[\w./-]{0,40}:\d{1,6}: (?:GGML_ASSERT\(|fatal error)",
        anchor="ggml-cuda",
        example="/build/ggml/src/ggml-cuda/fattn.cu:400: GGML_ASSERT(Q->ne[0] == V->ne[0]) failed",
        certainty=Certainty.LIKELY,
        unless=_OTHER,
    ),
    Sign(
        r"the function failed to launch on the GPU",
        anchor="failed to launch on the gpu",
        example="CUDA error: the function failed to launch on the GPU",
    ),
    Sign(
        r"GGML_ASSERT: \S{0,80}ggml-cuda\.cu:\d{1,6}",
        anchor="ggml-cuda.cu",
        example="GGML_ASSERT: ggml-cuda.cu:1278: to_fp32_cuda != nullptr",
        certainty=Certainty.LIKELY,
        unless=_OTHER,
    ),
    Sign(
        r"ggml-cuda\.cu:\d{1,6}: CUDA error\s{0,9}$",
        anchor="cuda error",
        example="ggml/src/ggml-cuda/ggml-cuda.cu:96: CUDA error",
        certainty=Certainty.LIKELY,
        is_weak=True,
    ),
)

EXPLAINS = ("server-not-ready",)

STEPS = (
    Step(
        "See whether the kernel reports the card (Xid).",
        ("journalctl", "-k", "--grep", "Xid"),
        safety=Safety.LOOK,
    ),
    Step("See the build's number and date.", ("llama-server", "--version"), safety=Safety.LOOK),
    Step(
        "Update the engine, or go back to the build that worked: such a bug is usually gone within days.",
        safety=Safety.SAFE,
        touches="the engine's folder",
        undo="the former build",
        verify=("llama-server", "--version"),
    ),
    Step(
        "Narrow it down: -fa off, then -ub 256, then GGML_CUDA_DISABLE_GRAPHS=1, then one card only"
        " (CUDA_VISIBLE_DEVICES=0); report what cures it with the log.",
        safety=Safety.SAFE,
        touches="your start script",
        undo="the former options",
        verify=("llama-server", "--version"),
    ),
)
