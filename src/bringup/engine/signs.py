"""Log lines of llama.cpp that name a cause, as data: one row a wording, the eras from 2023 to 2026 together.

A row's pattern is searched in one line. Its sentence may use the pattern's named groups. Lines that merely
follow from an earlier one ("failed to load model", "exiting due to model loading error", "try reducing
--n-gpu-layers") have no row on purpose: they are never the cause.

References are ids of faults. Wordings: llama.cpp's sources and the reports that are linked where a wording
is not in the current source any more.
"""

# Pure table: exempt from the length limit.

from __future__ import annotations

import re
from typing import Final

from bringup.engine.exits import ExitKind
from bringup.records import dataclass


@dataclass(frozen=True, slots=True)
class Sign:
    """One wording of one cause.

    Attributes:
        reference: id of the fault.
        kind: what callers decide on.
        needles: plain texts of which a matching line has one; they keep the search fast.
        pattern: searched in a line.
        sentence: the cause for people; `{name}` is replaced by the pattern's group.
        hint: the next step.
        is_general: says that something failed but not what for; any other row in the same attempt wins.
    """

    reference: str
    kind: ExitKind
    needles: tuple[str, ...]
    pattern: re.Pattern[str]
    sentence: str
    hint: str = ""
    is_general: bool = False


_MODEL = ExitKind.MODEL_BROKEN
_MEMORY = ExitKind.OUT_OF_MEMORY
_CRASH = ExitKind.CRASHED
_SETTING = ExitKind.WRONG_SETTINGS
_RUN = ExitKind.CANNOT_RUN

_FETCH: Final = "Fetch the model again (bringup pull)."
_UPDATE: Final = "Use a newer llama.cpp, or a model made for this one."
_SMALLER: Final = "Take a smaller context (--ctx-size), a smaller quantisation or a smaller model."
_LAYERS: Final = "Put fewer layers on the GPU, or take a smaller quantisation."
_WINDOW: Final = "Take a smaller context (--ctx-size) or a quantised KV cache."
_BATCH: Final = "Take a smaller micro-batch or context, or switch flash attention on."


def _sign(
    reference: str, kind: ExitKind, needles: tuple[str, ...], pattern: str, sentence: str, hint: str = ""
) -> Sign:
    return Sign(reference, kind, needles, re.compile(pattern), sentence, hint)


def _general(
    reference: str, kind: ExitKind, needles: tuple[str, ...], pattern: str, sentence: str, hint: str = ""
) -> Sign:
    return Sign(reference, kind, needles, re.compile(pattern), sentence, hint, is_general=True)


FILE_SIGNS: Final = (
    _sign(
        "gguf-truncated",
        _MODEL,
        ("data is not within the file bounds", "unexpectedly reached end of file"),
        r"data is not within the file bounds|unexpectedly reached end of file",
        "the model's file is cut short: tensors lie beyond its end",
        _FETCH,
    ),
    _sign(
        "gguf-truncated",
        _MODEL,
        ("failed to ",),
        r"failed to read (?:key-value pairs|(?:the )?tensor data)|failed to seek to",
        "the model's file ends in the middle of its header",
        _FETCH,
    ),
    _sign(
        "gguf-truncated",
        _MODEL,
        ("failed to read magic",),
        r"failed to read magic",
        "the model's file is empty or a folder",
        _FETCH,
    ),
    _sign(
        "gguf-bad-magic",
        _MODEL,
        ("invalid magic ",),
        r"invalid magic (?:characters:? '(?:vers|<!DO|<htm|<HTM|<\?xm)|number (?:73726576|4f44213c))",
        "the model's file is a web page or a pointer to a file, not a model",
        _FETCH,
    ),
    _sign(
        "gguf-version-unsupported",
        _MODEL,
        ("invalid magic ",),
        r"invalid magic (?:characters:? '(?:tjgg|fmgg|lmgg|algg|ggjt|ggml)"
        r"|number (?:67676a74|67676d66|67676d6c))",
        "the model's file is in the old GGML format, from before August 2023",
        "Get the model as GGUF; look also whether the path is the one you meant.",
    ),
    _sign(
        "engine-too-old",
        _RUN,
        ("invalid magic number 46554747",),
        r"invalid magic number 46554747",
        "the file is a GGUF, and this engine is older than that format",
        _UPDATE,
    ),
    _sign(
        "model-file-unreadable",
        _MODEL,
        ("invalid magic characters",),
        r"invalid magic characters:? '(?:\ufffd[^']*|)'",
        "the model's path names a folder or an unreadable file",
        "Look at the path.",
    ),
    _sign(
        "gguf-bad-magic",
        _MODEL,
        ("invalid ",),
        r"invalid (?:file )?magic",
        "the file is no GGUF",
        _FETCH,
    ),
    _sign(
        "gguf-version-unsupported",
        _MODEL,
        (
            "endian",
            "GGUFv1 is no",
            "failed to read GGUF version",
            "this GGUF file is version ",
        ),
        r"(?:endian ?mismatch|model endianness|GGUFv1 is (?:not|no longer) supported|"
        r"failed to read GGUF version|this GGUF file is version (?P<version>\S+) but)",
        "the model's file is of a GGUF version or byte order that this engine does not read",
        "Get the model as GGUF version 3, little-endian.",
    ),
    _sign(
        "model-file-unreadable",
        _MODEL,
        ("failed to open ",),
        r"failed to open (?:GGUF file )?'?(?P<path>[^']*\.gguf)'?:? ?\(?(?P<why>Permission denied|"
        r"No such file or directory|Is a directory)",
        "the model's file cannot be opened: {why}",
        "Look at the path and its rights.",
    ),
    _sign(
        "model-file-unreadable",
        _MODEL,
        ("gguf_init_from_file",),
        r"gguf_init_from_file(?:_impl)?: failed to open",
        "the model's file cannot be opened",
        "Look at the path and its rights.",
    ),
    _sign(
        "download-failed",
        _MODEL,
        ("GET failed (", "HTTP "),
        r"GET failed \((?P<status>\d{3})\)|HTTP (?:error|status)[: ]+(?P<code>40[134])",
        "the engine could not fetch the model",
        "Pull the model first (bringup pull).",
    ),
    _sign(
        "disk-full",
        _MODEL,
        ("o space left on device",),
        r"[Nn]o space left on device",
        "the disk is full",
        "Free some space.",
    ),
    _sign(
        "split-part-missing",
        _MODEL,
        ("invalid split file", "illegal split", "split count", "failed to load", "missing"),
        r"invalid split file|illegal split|split count|(?:failed to load|missing) (?:GGUF )?split",
        "a part of the split model is missing or out of order",
        "All parts must lie in one folder under their own names.",
    ),
)

CONTENT_SIGNS: Final = (
    _sign(
        "model-architecture-unknown",
        _MODEL,
        ("unknown model architecture: '",),
        r"unknown model architecture: '(?P<name>[^']{1,60})",
        "this engine does not know the architecture {name}",
        _UPDATE,
    ),
    _sign(
        "model-architecture-unknown",
        _MODEL,
        ("unknown model architecture: ''",),
        r"unknown model architecture: ''",
        "the file names no architecture: it is not a language model",
    ),
    _sign(
        "tokenizer-unknown",
        _MODEL,
        ("tokenizer",),
        r"unknown (?:pre-)?tokenizer(?: type)?:? '(?P<name>[^']{0,60})",
        "this engine does not know the tokenizer {name}",
        _UPDATE,
    ),
    _sign(
        "tokenizer-unknown",
        _MODEL,
        ("error loading model vocabulary: ",),
        r"error loading model vocabulary: (?P<why>.{1,120})",
        "the model's vocabulary cannot be used: {why}",
    ),
    _sign(
        "tensor-type-unknown",
        _MODEL,
        ("invalid ggml type ", " REMOVED"),
        r"invalid ggml type (?P<number>\d+)|of type \d+ \((?P<name>TYPE_\w+) REMOVED",
        "the model has tensors of a type that this engine does not know",
        _UPDATE,
    ),
    _sign(
        "engine-too-old",
        _MODEL,
        ("wrong number of tensors; expected ",),
        r"wrong number of tensors; expected (?P<n>\d+), got (?P<got>\d+)",
        "the engine expected {got} tensors and the file has {n}: one of them is of another age",
        _UPDATE,
    ),
    _sign(
        "model-tensors-wrong",
        _MODEL,
        ("check_tensor_dims: tensor '",),
        r"check_tensor_dims: tensor '(?P<name>[^']{1,60})' (?P<what>has wrong shape|not found)",
        "tensor {name} {what}: the file was converted wrongly, or the engine is too old for it",
        _UPDATE,
    ),
    _sign(
        "model-tensors-wrong",
        _MODEL,
        ("missing tensor '", "not found", "is missing"),
        r"missing tensor '(?P<name>[^']{1,60})'|tensor '(?P<other>[^']{1,60})' (?:not found|is missing)",
        "a tensor is missing from the model",
        _UPDATE,
    ),
    _sign(
        "model-tensors-wrong",
        _MODEL,
        (
            "tensor '",
            "duplicate",
            "error loading model hyperparameters",
            "key not found in model",
            "invalid ",
            "failed to read tensor info",
        ),
        r"(?:tensor '[^']{1,64}' has (?:invalid|wrong|offset|negative|[0-9])|duplicate(?:d)? (?:key|tensor)|"
        r"error loading model hyperparameters|key not found in model|"
        r"invalid (?:key|tensor) (?:type|name)|failed to read tensor info)",
        "the model's header contradicts itself",
        "Get the model from another maker.",
    ),
    _sign(
        "chat-template-failed",
        _SETTING,
        (
            "common_chat_templates_init: error",
            " chat template",
            "chat template ",
            "template is not supported",
            "While executing ",
        ),
        r"(?:common_chat_templates_init: error|failed to (?:parse|initialize|apply) chat template"
        r"|chat template (?:parsing|is not) ?(?:supported|error)?|template is not supported"
        r"|While executing \w+ at line)",
        "the chat template cannot be used",
        "Get the model from another maker, or give a template of your own.",
    ),
    _sign(
        "kv-quant-needs-flash-attn",
        _SETTING,
        ("V cache quantization requires flash_attn", "quantized V cache "),
        r"(?:V cache quantization requires flash_attn|quantized V cache (?:was requested|requires))",
        "a quantised V cache needs flash attention, which is off",
        "Switch flash attention on, or leave the V cache at f16.",
    ),
)

MEMORY_SIGNS: Final = (
    _sign(
        "address-space-or-mmap",
        _MEMORY,
        ("ggml_backend_cpu_buffer_type_alloc_buffer: failed to allocate buffer of size ",),
        r"ggml_backend_cpu_buffer_type_alloc_buffer: failed to allocate buffer of size (?P<bytes>\d+)",
        "the engine could not get {bytes} bytes of RAM",
        _SMALLER,
    ),
    _sign(
        "address-space-or-mmap",
        _MEMORY,
        ("failed to allocate C",),
        r"failed to allocate (?:CPU|CPU_REPACK|CUDA_Host|CPU_AMX)\w* buffer of size (?P<bytes>\d+)",
        "the engine could not get {bytes} bytes of RAM",
        _SMALLER,
    ),
    _sign(
        "address-space-or-mmap",
        _MEMORY,
        ("insufficient memory (attempted to allocate",),
        r"insufficient memory \(attempted to allocate\s+(?P<size>[\d.]+ ?\w?B)\)",
        "the engine could not get {size} of RAM",
        _SMALLER,
    ),
    _sign(
        "address-space-or-mmap",
        _MEMORY,
        ("mmap failed: ",),
        r"mmap failed: (?P<why>Cannot allocate memory|.{1,80})",
        "the model's file cannot be mapped into memory: {why}",
        _SMALLER,
    ),
    _sign(
        "address-space-or-mmap",
        _MEMORY,
        ("std::bad_alloc",),
        r"std::bad_alloc",
        "the engine ran out of RAM",
        _SMALLER,
    ),
    _sign(
        "vram-oom-compute",
        _MEMORY,
        (
            "ggml_gallocr_reserve_n",
            "graph_reserve: failed to allocate",
            "failed to allocate compute",
            "cuMemCreate",
            "look_ahead_size",
        ),
        r"(?:ggml_gallocr_reserve_n(?:_impl)?: failed to allocate \w+ buffer"
        r"|graph_reserve: failed to allocate"
        r"|failed to allocate compute|cuMemCreate|look_ahead_size)",
        "the GPU has too little memory for the compute buffers",
        _BATCH,
    ),
    _sign(
        "vram-oom-kv-cache",
        _MEMORY,
        (": failed to allocate buffer", "failed to allocate buffer for kv cache"),
        r"llama_kv_cache\w*(?:::\w+)?: failed to allocate buffer|failed to allocate buffer for kv cache",
        "the GPU has too little memory for the KV cache",
        _WINDOW,
    ),
    _sign(
        "vram-oom-weights",
        _MEMORY,
        ("unable to allocate ", "alloc_tensor_range: failed to allocate "),
        r"(?:unable to allocate (?:CUDA\d+|ROCm\d+|Vulkan\d+|SYCL\d+|backend) buffer"
        r"|alloc_tensor_range: failed to allocate (?:CUDA\d|ROCm\d|Vulkan\d))",
        "the GPU has too little memory for the model's weights",
        _LAYERS,
    ),
    _general(
        "vram-oom-weights",
        _MEMORY,
        (": cudaMalloc failed: out of memory",),
        r"allocating (?P<size>[\d.]+ MiB) on device \d+: cudaMalloc failed: out of memory",
        "the GPU has no {size} left",
        _LAYERS,
    ),
    _general(
        "vram-oom-compute",
        _MEMORY,
        ("CUDA error: out of memory",),
        r"CUDA error: out of memory",
        "the GPU ran out of memory",
        _BATCH,
    ),
    _general(
        "ram-mlock-limit",
        _MEMORY,
        ("failed to mlock ",),
        r"failed to mlock (?P<bytes>\d+)-byte buffer",
        "the model could not be locked in RAM: the limit for locked memory is too low",
        "Leave out --mlock, or raise the limit (ulimit -l).",
    ),
)

DEVICE_SIGNS: Final = (
    _sign(
        "gpu-arch-not-built",
        _RUN,
        ("no kernel image is available for execution",),
        r"no kernel image is available for execution",
        "this llama.cpp was built without code for this GPU",
        "Build it for this card (bringup setup).",
    ),
    _sign(
        "driver-too-old-for-cuda",
        _RUN,
        ("device kernel image is invalid", "CUDA driver version is insufficient", "unsupported toolchain"),
        r"device kernel image is invalid|CUDA driver version is insufficient|unsupported toolchain",
        "the NVIDIA driver is too old for this llama.cpp's CUDA",
        "Update the driver, or use a llama.cpp built with an older CUDA.",
    ),
    _sign(
        "multi-gpu-peer-failed",
        _CRASH,
        ("peer access ", "ncclCommInitAll", "NCCL WARN"),
        r"peer access (?:has not been|is already|is not) |ncclCommInitAll|NCCL WARN",
        "two GPUs cannot talk to each other",
        "Use one GPU, or split by layer.",
    ),
    _sign(
        "gpu-fell-off-bus",
        _CRASH,
        ("GPU is lost", "device lost", "unspecified launch failure"),
        r"GPU is lost|device lost|unspecified launch failure.*Xid 79",
        "the GPU was lost while running",
        "Look at the kernel's log (dmesg) for Xid lines.",
    ),
    _sign(
        "no-visible-device",
        _RUN,
        ("no CUDA-capable device is detected",),
        r"no CUDA-capable device is detected",
        "CUDA sees no GPU",
        "Look at CUDA_VISIBLE_DEVICES and the driver (bringup doctor).",
    ),
    _sign(
        "cuda-kernel-crash",
        _CRASH,
        (
            "an illegal memory access",
            "unspecified launch failure",
            "misaligned address",
            "an illegal instruction",
            "device-side assert",
        ),
        r"CUDA error(?: \d+)?: (?P<what>an illegal memory access|unspecified launch failure"
        r"|misaligned address"
        r"|an illegal instruction|device-side assert)",
        "a CUDA kernel of the engine crashed: {what}",
        "It is a bug of the engine or a failing card: try another build, then the kernel's log (dmesg).",
    ),
    _general(
        "cuda-kernel-crash",
        _CRASH,
        ("CUDA error",),
        r"CUDA error(?: \d+)?: (?P<what>.{1,100})",
        "CUDA failed: {what}",
        "The kernel's log (dmesg) and another build help to tell why.",
    ),
)

PROGRAM_SIGNS: Final = (
    _sign(
        "port-in-use",
        ExitKind.PORT_TAKEN,
        ("server socket", "ddress already in use"),
        r"couldn'?t bind (?:HTTP |to )?server socket|[Aa]ddress already in use",
        "the port could not be had",
        "Choose another port (--port).",
    ),
    _sign(
        "shared-library-mismatch",
        _RUN,
        ("symbol lookup error: ", "' not found"),
        r"symbol lookup error: .{0,200}undefined symbol: (?P<name>\w+)"
        r"|version `(?P<version>\w+[\d._]*)' not found",
        "the engine's libraries do not belong together",
        "Remove older copies of libllama and libggml, or build anew.",
    ),
    _sign(
        "shared-library-mismatch",
        _RUN,
        ("GGML_ASSERT(prev != ggml_uncaught_exception) failed",),
        r"GGML_ASSERT\(prev != ggml_uncaught_exception\) failed",
        "two copies of ggml are loaded into one process",
        "Remove older copies of libllama and libggml, or build anew.",
    ),
    _sign(
        "cuda-runtime-lib-missing",
        _RUN,
        ("error while loading shared libraries: ",),
        r"error while loading shared libraries: (?P<name>libcu\w+\.so[.\d]*|libnccl\.so[.\d]*)",
        "the CUDA library {name} is missing",
        "Install the CUDA runtime of that version, or use another build.",
    ),
    _sign(
        "library-missing",
        _RUN,
        ("error while loading shared libraries: ",),
        r"error while loading shared libraries: (?P<name>libcuda\.so[.\d]*|libnvidia\S+)",
        "the driver's library {name} is missing",
    ),
    _sign(
        "engine-library-missing",
        _RUN,
        ("embedded engine: libgomp.so",),
        r"embedded engine: (?P<name>libgomp\.so[.\d]*): cannot open shared object file",
        "the library {name}, which the engine's threads need, is missing",
        "Install it: libgomp1 (Debian, Ubuntu), libgomp (Fedora), gcc-libs (Arch), libgomp1 (openSUSE).",
    ),
    _sign(
        "engine-library-missing",
        _RUN,
        ("embedded engine: ",),
        r"embedded engine: (?P<name>lib[^:\s]+): cannot open shared object file",
        "the library {name} of the engine is missing",
        "Install the package that has it.",
    ),
    _sign(
        "engine-library-missing",
        _RUN,
        ("error while loading shared libraries: ",),
        r"error while loading shared libraries: (?P<name>[^:\s]+)",
        "the library {name} of the engine is missing",
        "Keep the engine's files together, or install the library.",
    ),
    _sign(
        "backend-not-loaded",
        _RUN,
        ("no backends are loaded",),
        r"no backends are loaded",
        "the engine found none of its backends (libggml-cpu, libggml-cuda)",
        "Keep the engine's files together.",
    ),
    _sign(
        "engine-flag-changed",
        _SETTING,
        ("error: ",),
        r"error: (?:invalid|unknown) (?:argument|option):? ?(?P<flag>\S*)",
        "this engine does not know the option {flag}",
        "Its own --help lists what it knows.",
    ),
    _sign(
        "auth-failed",
        _SETTING,
        ('rror while handling argument "--api-key-file"', "mbedded engine: "),
        r"error while handling argument \"--api-key-file\"|embedded engine: .*no key in",
        "the engine cannot read its key file",
        "Look at the rights of the key file.",
    ),
    _sign(
        "engine-flag-changed",
        _SETTING,
        ('error while handling argument "',),
        r"error while handling argument \"(?P<flag>[^\"]+)\": (?P<why>.{0,120})",
        "the engine refused the option {flag}: {why}",
        "Its own --help lists what it takes.",
    ),
    _sign(
        "model-file-unreadable",
        _MODEL,
        ("llama_adapter_lora_init", "failed to load lora adapter"),
        r"llama_adapter_lora_init\w*: failed to|failed to load lora adapter",
        "the LoRA adapter cannot be loaded",
        "Look at its path.",
    ),
    _sign(
        "illegal-instruction",
        _CRASH,
        ("llegal instruction",),
        r"(?:signal: )?[Ii]llegal instruction",
        "the engine was built for another CPU",
        "Use a build for this CPU.",
    ),
    _sign(
        "address-space-or-mmap",
        _MEMORY,
        ("Resource temporarily unavailable",),
        r"what\(\):\s+Resource temporarily unavailable",
        "the engine could not start its threads: a limit of memory or of processes is too low",
        _SMALLER,
    ),
    _sign(
        "address-space-or-mmap",
        _MEMORY,
        ("GGML_ASSERT(ctx->mem_buffer != NULL) failed",),
        r"GGML_ASSERT\(ctx->mem_buffer != NULL\) failed",
        "the engine was given no main memory: a limit is too low, or the machine is full",
        _SMALLER,
    ),
    _general(
        "engine-assertion",
        _CRASH,
        (": GGML_ASSERT(",),
        r"(?P<where>[\w./-]+:\d+): GGML_ASSERT\((?P<what>.{1,160})\) failed",
        "the engine ended itself: its check {what} failed",
        "It is a bug of the engine or a file that it cannot take: try another build.",
    ),
    _general(
        "engine-assertion",
        _CRASH,
        ("what():", "terminating due to uncaught exception"),
        r"(?:what\(\):\s+(?P<what>.{1,160})|terminating due to uncaught exception.*?: (?P<why>.{1,160}))",
        "the engine ended itself on an error that it does not handle",
        "Try another build of llama.cpp.",
    ),
)

SIGNS: Final = (*PROGRAM_SIGNS, *MEMORY_SIGNS, *DEVICE_SIGNS, *FILE_SIGNS, *CONTENT_SIGNS)
