"""What an engine's log says of a model's file and of what is in it."""

# Pure table: exempt from the length limit.

from __future__ import annotations

from typing import Final

from bringup.engine.exits import ExitKind
from bringup.engine.sign import Sign
from bringup.patterns import regex

_MODEL = ExitKind.MODEL_BROKEN
_SETTING = ExitKind.WRONG_SETTINGS
_RUN = ExitKind.CANNOT_RUN

_FETCH: Final = "Fetch the model again (bringup pull)."
_UPDATE: Final = "Use a newer llama.cpp, or a model made for this one."

FILE_SIGNS: Final = (
    Sign(
        "gguf-truncated",
        _MODEL,
        ("data is not within the file bounds", "unexpectedly reached end of file"),
        regex(r"data is not within the file bounds|unexpectedly reached end of file"),
        "the model's file is cut short: tensors lie beyond its end",
        _FETCH,
    ),
    Sign(
        "gguf-truncated",
        _MODEL,
        ("failed to ",),
        regex(r"failed to read (?:key-value pairs|(?:the )?tensor data)|failed to seek to"),
        "the model's file ends in the middle of its header",
        _FETCH,
    ),
    Sign(
        "gguf-truncated",
        _MODEL,
        ("failed to read magic",),
        regex(r"failed to read magic"),
        "the model's file is empty or a folder",
        _FETCH,
    ),
    Sign(
        "gguf-bad-magic",
        _MODEL,
        ("invalid magic ",),
        regex(r"invalid magic (?:characters:? '(?:vers|<!DO|<htm|<HTM|<\?xm)|number (?:73726576|4f44213c))"),
        "the model's file is a web page or a pointer to a file, not a model",
        _FETCH,
    ),
    Sign(
        "gguf-version-unsupported",
        _MODEL,
        ("invalid magic ",),
        regex(
            r"invalid magic (?:characters:? '(?:tjgg|fmgg|lmgg|algg|ggjt|ggml)"
            r"|number (?:67676a74|67676d66|67676d6c))"
        ),
        "the model's file is in the old GGML format, from before August 2023",
        "Get the model as GGUF; look also whether the path is the one you meant.",
    ),
    Sign(
        "engine-too-old",
        _RUN,
        ("invalid magic number 46554747",),
        regex(r"invalid magic number 46554747"),
        "the file is a GGUF, and this engine is older than that format",
        _UPDATE,
    ),
    Sign(
        "model-file-unreadable",
        _MODEL,
        ("invalid magic characters",),
        regex(r"invalid magic characters:? '(?:\ufffd[^']*|)'"),
        "the model's path names a folder or an unreadable file",
        "Look at the path.",
    ),
    Sign(
        "gguf-bad-magic",
        _MODEL,
        ("invalid ",),
        regex(r"invalid (?:file )?magic"),
        "the file is no GGUF",
        _FETCH,
    ),
    Sign(
        "gguf-version-unsupported",
        _MODEL,
        (
            "endian",
            "GGUFv1 is no",
            "failed to read GGUF version",
            "this GGUF file is version ",
        ),
        regex(
            r"(?:endian ?mismatch|model endianness|GGUFv1 is (?:not|no longer) supported|"
            r"failed to read GGUF version|this GGUF file is version (?P<version>\S+) but)"
        ),
        "the model's file is of a GGUF version or byte order that this engine does not read",
        "Get the model as GGUF version 3, little-endian.",
    ),
    Sign(
        "model-file-unreadable",
        _MODEL,
        ("failed to open ",),
        regex(
            r"failed to open (?:GGUF file )?'?(?P<path>[^']*\.gguf)'?:? ?\(?(?P<why>Permission denied|"
            r"No such file or directory|Is a directory)"
        ),
        "the model's file cannot be opened: {why}",
        "Look at the path and its rights.",
    ),
    Sign(
        "model-file-unreadable",
        _MODEL,
        ("gguf_init_from_file",),
        regex(r"gguf_init_from_file(?:_impl)?: failed to open"),
        "the model's file cannot be opened",
        "Look at the path and its rights.",
    ),
    Sign(
        "download-failed",
        _MODEL,
        ("GET failed (", "HTTP "),
        regex(r"GET failed \((?P<status>\d{3})\)|HTTP (?:error|status)[: ]+(?P<code>40[134])"),
        "the engine could not fetch the model",
        "Pull the model first (bringup pull).",
    ),
    Sign(
        "disk-full",
        _MODEL,
        ("o space left on device",),
        regex(r"[Nn]o space left on device"),
        "the disk is full",
        "Free some space.",
    ),
    Sign(
        "split-part-missing",
        _MODEL,
        ("invalid split file", "illegal split", "split count", "failed to load", "missing"),
        regex(r"invalid split file|illegal split|split count|(?:failed to load|missing) (?:GGUF )?split"),
        "a part of the split model is missing or out of order",
        "All parts must lie in one folder under their own names.",
    ),
)

CONTENT_SIGNS: Final = (
    Sign(
        "model-architecture-unknown",
        _MODEL,
        ("unknown model architecture: '",),
        regex(r"unknown model architecture: '(?P<name>[^']{1,60})"),
        "this engine does not know the architecture {name}",
        _UPDATE,
    ),
    Sign(
        "model-architecture-unknown",
        _MODEL,
        ("unknown model architecture: ''",),
        regex(r"unknown model architecture: ''"),
        "the file names no architecture: it is not a language model",
    ),
    Sign(
        "tokenizer-unknown",
        _MODEL,
        ("tokenizer",),
        regex(r"unknown (?:pre-)?tokenizer(?: type)?:? '(?P<name>[^']{0,60})"),
        "this engine does not know the tokenizer {name}",
        _UPDATE,
    ),
    Sign(
        "tokenizer-unknown",
        _MODEL,
        ("error loading model vocabulary: ",),
        regex(r"error loading model vocabulary: (?P<why>.{1,120})"),
        "the model's vocabulary cannot be used: {why}",
    ),
    Sign(
        "tensor-type-unknown",
        _MODEL,
        ("invalid ggml type ", " REMOVED"),
        regex(r"invalid ggml type (?P<number>\d+)|of type \d+ \((?P<name>TYPE_\w+) REMOVED"),
        "the model has tensors of a type that this engine does not know",
        _UPDATE,
    ),
    Sign(
        "engine-too-old",
        _MODEL,
        ("wrong number of tensors; expected ",),
        regex(r"wrong number of tensors; expected (?P<n>\d+), got (?P<got>\d+)"),
        "the engine expected {got} tensors and the file has {n}: one of them is of another age",
        _UPDATE,
    ),
    Sign(
        "model-tensors-wrong",
        _MODEL,
        ("check_tensor_dims: tensor '",),
        regex(r"check_tensor_dims: tensor '(?P<name>[^']{1,60})' (?P<what>has wrong shape|not found)"),
        "tensor {name} {what}: the file was converted wrongly, or the engine is too old for it",
        _UPDATE,
    ),
    Sign(
        "model-tensors-wrong",
        _MODEL,
        ("missing tensor '", "not found", "is missing"),
        regex(
            r"missing tensor '(?P<name>[^']{1,60})'|tensor '(?P<other>[^']{1,60})' (?:not found|is missing)"
        ),
        "a tensor is missing from the model",
        _UPDATE,
    ),
    Sign(
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
        regex(
            r"(?:tensor '[^']{1,64}' has (?:invalid|wrong|offset|negative|[0-9])|"
            r"duplicate(?:d)? (?:key|tensor)|"
            r"error loading model hyperparameters|key not found in model|"
            r"invalid (?:key|tensor) (?:type|name)|failed to read tensor info)"
        ),
        "the model's header contradicts itself",
        "Get the model from another maker.",
    ),
    Sign(
        "chat-template-failed",
        _SETTING,
        (
            "common_chat_templates_init: error",
            " chat template",
            "chat template ",
            "template is not supported",
            "While executing ",
        ),
        regex(
            r"(?:common_chat_templates_init: error|failed to (?:parse|initialize|apply) chat template"
            r"|chat template (?:parsing|is not) ?(?:supported|error)?|template is not supported"
            r"|While executing \w+ at line)"
        ),
        "the chat template cannot be used",
        "Get the model from another maker, or give a template of your own.",
    ),
    Sign(
        "kv-quant-needs-flash-attn",
        _SETTING,
        ("V cache quantization requires flash_attn", "quantized V cache "),
        regex(r"(?:V cache quantization requires flash_attn|quantized V cache (?:was requested|requires))"),
        "a quantised V cache needs flash attention, which is off",
        "Switch flash attention on, or leave the V cache at f16.",
    ),
)
