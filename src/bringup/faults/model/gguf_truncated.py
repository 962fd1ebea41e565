"""The model file ends before its data does: an incomplete download or copy.

Symptom: "tensor data is not within the file bounds", "unexpectedly reached end of file", or a file that
    is smaller than the hub says.
Reason: the header at the front of the file lists every tensor with its place. The file is shorter than
    the last of these places, because the download or copy broke off.
Sources: https://github.com/ggml-org/llama.cpp/issues/6747
    https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

from __future__ import annotations

from bringup.faults._fault import Certainty, Safety, Sign, Step

_OTHER_VERSION = (
    "no longer supported",
    "bad gguf version",
    "endianness",
    "only supports up to",
    "supports version",
)

SIGNS = (
    Sign(
        r"data is not within (?:the )?file bounds",
        anchor="not within",
        example="llama_model_load: error loading model: tensor 'blk.46.ffn_gate.weight' data is not"
        " within the file bounds, model is corrupted or incomplete",
    ),
    Sign(
        r"unexpectedly reached end of (?:file|buffer)",
        anchor="unexpectedly reached end of",
        example="error loading model: unexpectedly reached end of file",
        unless=("session file", "state file"),
    ),
    Sign(
        r"model (?:file )?is corrupted or incomplete",
        anchor="is corrupted or incomplete",
        example="error: model is corrupted or incomplete",
    ),
    Sign(
        r"failed to read (?:tensor data binary blob|tensor data|key-value pairs|tensor info|header)\s*$",
        anchor="failed to read",
        example="gguf_init_from_file_impl: failed to read key-value pairs",
        certainty=Certainty.LIKELY,
        unless=(
            *_OTHER_VERSION,
            "invalid ggml type",
            "elements per row",
            "invalid magic",
            "duplicate",
            "has invalid",
            "gguf version",
        ),
    ),
    Sign(
        r"failed to read magic",
        anchor="failed to read magic",
        example="gguf_init_from_file_impl: failed to read magic",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"failed to seek to|seek error: ",
        anchor="seek",
        example="llama_model_load: error loading model: seek error: Invalid argument",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"mmap length is greater than file size|cannot mmap an empty file",
        anchor="mmap",
        example="ValueError: mmap length is greater than file size",
    ),
    Sign(
        r"(?:invalid magic|magic, version\) combination:)"
        r" (?:(?:number )?00000000|characters:? '(?:\\0|\\x00|\s|\?){4}')",
        anchor="magic",
        example="gguf_init_from_file: invalid magic number 00000000",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"Error while deserializing header: (?:incomplete|header too|invalid)",
        anchor="deserializing header",
        example="safetensors_rust.SafetensorError: Error while deserializing header: incomplete"
        " metadata, file not fully covered",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"(?:GGUF|gguf|model).{0,40}\b(?:file )?size mismatch",
        anchor="size mismatch",
        example="error: gguf file size mismatch: expected 4920734272, got 1073741824",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"exceeds remaining file size",
        anchor="exceeds remaining file size",
        example="gguf_reader: string length 1952867692 exceeds remaining file size 1203 bytes",
    ),
    Sign(
        r"[Cc]onsistency check failed: file should be of size",
        anchor="onsistency check failed",
        example="OSError: Consistency check failed: file should be of size 4368438944 but has size 1203"
        " (model.gguf).",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"\bread error: Success",
        anchor="read error: success",
        example="llama_model_load: error loading model: read error: Success",
    ),
)

EXPLAINS = ("model-tensors-wrong", "output-garbage")

STEPS = (
    Step(
        "Compare the size on the disk with the one that the model's page gives (`ls -l MODEL`).",
        safety=Safety.LOOK,
    ),
    Step("See whether the disk has room for the rest.", ("df", "-h"), safety=Safety.LOOK),
    Step(
        "Download it again with a tool that resumes and checks the sum (`bringup pull`, `hf download`).",
        safety=Safety.SAFE,
        touches="the model file",
        undo="none needed: the part on the disk is of no use by itself",
        verify=("bringup", "models"),
    ),
)
