"""What an engine's log says of memory, devices, settings and crashes."""

# Pure table: exempt from the length limit.

from __future__ import annotations

from typing import Final

from bringup.engine.exits import ExitKind
from bringup.engine.sign import Sign
from bringup.patterns import regex

_MODEL = ExitKind.MODEL_BROKEN
_MEMORY = ExitKind.OUT_OF_MEMORY
_CRASH = ExitKind.CRASHED
_SETTING = ExitKind.WRONG_SETTINGS
_RUN = ExitKind.CANNOT_RUN

_SMALLER: Final = "Take a smaller context (--ctx-size), a smaller quantisation or a smaller model."
_LAYERS: Final = "Put fewer layers on the GPU, or take a smaller quantisation."
_WINDOW: Final = "Take a smaller context (--ctx-size) or a quantised KV cache."
_BATCH: Final = "Take a smaller micro-batch or context, or switch flash attention on."

MEMORY_SIGNS: Final = (
    Sign(
        "address-space-or-mmap",
        _MEMORY,
        ("ggml_backend_cpu_buffer_type_alloc_buffer: failed to allocate buffer of size ",),
        regex(r"ggml_backend_cpu_buffer_type_alloc_buffer: failed to allocate buffer of size (?P<bytes>\d+)"),
        "the engine could not get {bytes} bytes of RAM",
        _SMALLER,
    ),
    Sign(
        "address-space-or-mmap",
        _MEMORY,
        ("failed to allocate C",),
        regex(r"failed to allocate (?:CPU|CPU_REPACK|CUDA_Host|CPU_AMX)\w* buffer of size (?P<bytes>\d+)"),
        "the engine could not get {bytes} bytes of RAM",
        _SMALLER,
    ),
    Sign(
        "address-space-or-mmap",
        _MEMORY,
        ("insufficient memory (attempted to allocate",),
        regex(r"insufficient memory \(attempted to allocate\s+(?P<size>[\d.]+ ?\w?B)\)"),
        "the engine could not get {size} of RAM",
        _SMALLER,
    ),
    Sign(
        "address-space-or-mmap",
        _MEMORY,
        ("mmap failed: ",),
        regex(r"mmap failed: (?P<why>Cannot allocate memory|.{1,80})"),
        "the model's file cannot be mapped into memory: {why}",
        _SMALLER,
    ),
    Sign(
        "address-space-or-mmap",
        _MEMORY,
        ("std::bad_alloc",),
        regex(r"std::bad_alloc"),
        "the engine ran out of RAM",
        _SMALLER,
    ),
    Sign(
        "vram-oom-compute",
        _MEMORY,
        (
            "ggml_gallocr_reserve_n",
            "graph_reserve: failed to allocate",
            "failed to allocate compute",
            "cuMemCreate",
            "look_ahead_size",
        ),
        regex(
            r"(?:ggml_gallocr_reserve_n(?:_impl)?: failed to allocate \w+ buffer"
            r"|graph_reserve: failed to allocate"
            r"|failed to allocate compute|cuMemCreate|look_ahead_size)"
        ),
        "the GPU has too little memory for the compute buffers",
        _BATCH,
    ),
    Sign(
        "vram-oom-kv-cache",
        _MEMORY,
        (": failed to allocate buffer", "failed to allocate buffer for kv cache"),
        regex(
            r"llama_kv_cache\w*(?:::\w+)?: failed to allocate buffer|failed to allocate buffer for kv cache"
        ),
        "the GPU has too little memory for the KV cache",
        _WINDOW,
    ),
    Sign(
        "vram-oom-weights",
        _MEMORY,
        ("unable to allocate ", "alloc_tensor_range: failed to allocate "),
        regex(
            r"(?:unable to allocate (?:CUDA\d+|ROCm\d+|Vulkan\d+|SYCL\d+|backend) buffer"
            r"|alloc_tensor_range: failed to allocate (?:CUDA\d|ROCm\d|Vulkan\d))"
        ),
        "the GPU has too little memory for the model's weights",
        _LAYERS,
    ),
    Sign(
        "vram-oom-weights",
        _MEMORY,
        (": cudaMalloc failed: out of memory",),
        regex(r"allocating (?P<size>[\d.]+ MiB) on device \d+: cudaMalloc failed: out of memory"),
        "the GPU has no {size} left",
        _LAYERS,
        is_general=True,
    ),
    Sign(
        "vram-oom-compute",
        _MEMORY,
        ("CUDA error: out of memory",),
        regex(r"CUDA error: out of memory"),
        "the GPU ran out of memory",
        _BATCH,
        is_general=True,
    ),
    Sign(
        "ram-mlock-limit",
        _MEMORY,
        ("failed to mlock ",),
        regex(r"failed to mlock (?P<bytes>\d+)-byte buffer"),
        "the model could not be locked in RAM: the limit for locked memory is too low",
        "Leave out --mlock, or raise the limit (ulimit -l).",
        is_general=True,
    ),
)

DEVICE_SIGNS: Final = (
    Sign(
        "gpu-arch-not-built",
        _RUN,
        ("no kernel image is available for execution",),
        regex(r"no kernel image is available for execution"),
        "this llama.cpp was built without code for this GPU",
        "Build it for this card (bringup setup).",
    ),
    Sign(
        "driver-too-old-for-cuda",
        _RUN,
        ("device kernel image is invalid", "CUDA driver version is insufficient", "unsupported toolchain"),
        regex(r"device kernel image is invalid|CUDA driver version is insufficient|unsupported toolchain"),
        "the NVIDIA driver is too old for this llama.cpp's CUDA",
        "Update the driver, or use a llama.cpp built with an older CUDA.",
    ),
    Sign(
        "multi-gpu-peer-failed",
        _CRASH,
        ("peer access ", "ncclCommInitAll", "NCCL WARN"),
        regex(r"peer access (?:has not been|is already|is not) |ncclCommInitAll|NCCL WARN"),
        "two GPUs cannot talk to each other",
        "Use one GPU, or split by layer.",
    ),
    Sign(
        "gpu-fell-off-bus",
        _CRASH,
        ("GPU is lost", "device lost", "unspecified launch failure"),
        regex(r"GPU is lost|device lost|unspecified launch failure.*Xid 79"),
        "the GPU was lost while running",
        "Look at the kernel's log (dmesg) for Xid lines.",
    ),
    Sign(
        "no-visible-device",
        _RUN,
        ("no CUDA-capable device is detected",),
        regex(r"no CUDA-capable device is detected"),
        "CUDA sees no GPU",
        "Look at CUDA_VISIBLE_DEVICES and the driver (bringup doctor).",
    ),
    Sign(
        "cuda-kernel-crash",
        _CRASH,
        (
            "an illegal memory access",
            "unspecified launch failure",
            "misaligned address",
            "an illegal instruction",
            "device-side assert",
        ),
        regex(
            r"CUDA error(?: \d+)?: (?P<what>an illegal memory access|unspecified launch failure"
            r"|misaligned address"
            r"|an illegal instruction|device-side assert)"
        ),
        "a CUDA kernel of the engine crashed: {what}",
        "It is a bug of the engine or a failing card: try another build, then the kernel's log (dmesg).",
    ),
    Sign(
        "cuda-kernel-crash",
        _CRASH,
        ("CUDA error",),
        regex(r"CUDA error(?: \d+)?: (?P<what>.{1,100})"),
        "CUDA failed: {what}",
        "The kernel's log (dmesg) and another build help to tell why.",
        is_general=True,
    ),
)

PROGRAM_SIGNS: Final = (
    Sign(
        "port-in-use",
        ExitKind.PORT_TAKEN,
        ("server socket", "ddress already in use"),
        regex(r"couldn'?t bind (?:HTTP |to )?server socket|[Aa]ddress already in use"),
        "the port could not be had",
        "Choose another port (--port).",
    ),
    Sign(
        "shared-library-mismatch",
        _RUN,
        ("symbol lookup error: ", "' not found"),
        regex(
            r"symbol lookup error: .{0,200}undefined symbol: (?P<name>\w+)"
            r"|version `(?P<version>\w+[\d._]*)' not found"
        ),
        "the engine's libraries do not belong together",
        "Remove older copies of libllama and libggml, or build anew.",
    ),
    Sign(
        "shared-library-mismatch",
        _RUN,
        ("GGML_ASSERT(prev != ggml_uncaught_exception) failed",),
        regex(r"GGML_ASSERT\(prev != ggml_uncaught_exception\) failed"),
        "two copies of ggml are loaded into one process",
        "Remove older copies of libllama and libggml, or build anew.",
    ),
    Sign(
        "cuda-runtime-lib-missing",
        _RUN,
        ("error while loading shared libraries: ",),
        regex(r"error while loading shared libraries: (?P<name>libcu\w+\.so[.\d]*|libnccl\.so[.\d]*)"),
        "the CUDA library {name} is missing",
        "Install the CUDA runtime of that version, or use another build.",
    ),
    Sign(
        "library-missing",
        _RUN,
        ("error while loading shared libraries: ",),
        regex(r"error while loading shared libraries: (?P<name>libcuda\.so[.\d]*|libnvidia\S+)"),
        "the driver's library {name} is missing",
    ),
    Sign(
        "engine-library-missing",
        _RUN,
        ("embedded engine: libgomp.so",),
        regex(r"embedded engine: (?P<name>libgomp\.so[.\d]*): cannot open shared object file"),
        "the library {name}, which the engine's threads need, is missing",
        "Install it: libgomp1 (Debian, Ubuntu), libgomp (Fedora), gcc-libs (Arch), libgomp1 (openSUSE).",
    ),
    Sign(
        "engine-library-missing",
        _RUN,
        ("embedded engine: ",),
        regex(r"embedded engine: (?P<name>lib[^:\s]+): cannot open shared object file"),
        "the library {name} of the engine is missing",
        "Install the package that has it.",
    ),
    Sign(
        "engine-library-missing",
        _RUN,
        ("error while loading shared libraries: ",),
        regex(r"error while loading shared libraries: (?P<name>[^:\s]+)"),
        "the library {name} of the engine is missing",
        "Keep the engine's files together, or install the library.",
    ),
    Sign(
        "backend-not-loaded",
        _RUN,
        ("no backends are loaded",),
        regex(r"no backends are loaded"),
        "the engine found none of its backends (libggml-cpu, libggml-cuda)",
        "Keep the engine's files together.",
    ),
    Sign(
        "engine-flag-changed",
        _SETTING,
        ("error: ",),
        regex(r"error: (?:invalid|unknown) (?:argument|option):? ?(?P<flag>\S*)"),
        "this engine does not know the option {flag}",
        "Its own --help lists what it knows.",
    ),
    Sign(
        "auth-failed",
        _SETTING,
        ('rror while handling argument "--api-key-file"', "mbedded engine: "),
        regex(r"error while handling argument \"--api-key-file\"|embedded engine: .*no key in"),
        "the engine cannot read its key file",
        "Look at the rights of the key file.",
    ),
    Sign(
        "engine-flag-changed",
        _SETTING,
        ('error while handling argument "',),
        regex(r"error while handling argument \"(?P<flag>[^\"]+)\": (?P<why>.{0,120})"),
        "the engine refused the option {flag}: {why}",
        "Its own --help lists what it takes.",
    ),
    Sign(
        "model-file-unreadable",
        _MODEL,
        ("llama_adapter_lora_init", "failed to load lora adapter"),
        regex(r"llama_adapter_lora_init\w*: failed to|failed to load lora adapter"),
        "the LoRA adapter cannot be loaded",
        "Look at its path.",
    ),
    Sign(
        "illegal-instruction",
        _CRASH,
        ("llegal instruction",),
        regex(r"(?:signal: )?[Ii]llegal instruction"),
        "the engine was built for another CPU",
        "Use a build for this CPU.",
    ),
    Sign(
        "address-space-or-mmap",
        _MEMORY,
        ("Resource temporarily unavailable",),
        regex(r"what\(\):\s+Resource temporarily unavailable"),
        "the engine could not start its threads: a limit of memory or of processes is too low",
        _SMALLER,
    ),
    Sign(
        "address-space-or-mmap",
        _MEMORY,
        ("GGML_ASSERT(ctx->mem_buffer != NULL) failed",),
        regex(r"GGML_ASSERT\(ctx->mem_buffer != NULL\) failed"),
        "the engine was given no main memory: a limit is too low, or the machine is full",
        _SMALLER,
    ),
    Sign(
        "engine-assertion",
        _CRASH,
        (": GGML_ASSERT(",),
        regex(r"(?P<where>[\w./-]+:\d+): GGML_ASSERT\((?P<what>.{1,160})\) failed"),
        "the engine ended itself: its check {what} failed",
        "It is a bug of the engine or a file that it cannot take: try another build.",
        is_general=True,
    ),
    Sign(
        "engine-assertion",
        _CRASH,
        ("what():", "terminating due to uncaught exception"),
        regex(
            r"(?:what\(\):\s+(?P<what>.{1,160})|terminating due to uncaught exception.*?: (?P<why>.{1,160}))"
        ),
        "the engine ended itself on an error that it does not handle",
        "Try another build of llama.cpp.",
        is_general=True,
    ),
)
