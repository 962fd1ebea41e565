"""The model uses a tensor type (quantisation) that this build does not know.

Symptom: "has invalid ggml type 39", "TYPE_... REMOVED" or "not a multiple of block size (0)".
Reason: each quantisation has a number. This build has none for the number in the file: it is older than
    the type (39 is MXFP4 of gpt-oss), it dropped the type, or the file belongs to a fork with types of
    its own.
Sources: https://github.com/ggml-org/llama.cpp/issues/15099
    https://github.com/ggml-org/llama.cpp/issues/17105
    https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

from __future__ import annotations

from bringup.faults._fault import Certainty, Safety, Sign, Step

SIGNS = (
    Sign(
        r"invalid ggml type \d{1,10}",
        anchor="invalid ggml type",
        example="gguf_init_from_file_impl: tensor 'blk.0.ffn_down_exps.weight' has invalid ggml type"
        " 39 (NONE)",
    ),
    Sign(
        r"TYPE_\w{1,40} REMOVED",
        anchor=" removed",
        example="tensor 'blk.0.ffn_down.weight' of type 36 (TYPE_IQ4_NL_4_4 REMOVED, use IQ4_NL with"
        " runtime repacking) has 6912 elements per row",
    ),
    Sign(
        r"not a multiple of block size \(0\)",
        anchor="block size (0)",
        example="tensor 'blk.0.ffn_down.weight' of type 36 has 6912 elements per row, not a multiple"
        " of block size (0)",
    ),
    Sign(
        r"\b\d{1,4} is not a valid GGMLQuantizationType",
        anchor="ggmlquantizationtype",
        example="ValueError: 39 is not a valid GGMLQuantizationType",
    ),
    Sign(
        r"type < GGML_TYPE_COUNT",
        anchor="ggml_type_count",
        example="GGML_ASSERT: ggml.c:21075: 0 <= info->type && info->type < GGML_TYPE_COUNT",
    ),
    Sign(
        r"(?:unknown|unsupported|unrecognized) (?:tensor|ggml|quantization|quantized) type:? ?\d{0,10}",
        anchor=" type",
        example="error loading model: unsupported tensor type 36",
        certainty=Certainty.LIKELY,
    ),
)

EXPLAINS = ("gguf-truncated", "download-failed", "model-tensors-wrong")

STEPS = (
    Step("See the build's number and date.", ("llama-server", "--version"), safety=Safety.LOOK),
    Step(
        "Update the engine: type 39 (MXFP4) needs a build of August 2025 or newer.",
        safety=Safety.SAFE,
        touches="the engine's folder",
        undo="the former build",
        verify=("llama-server", "--version"),
    ),
    Step(
        "Where a current build refuses it too, run the file with the fork that made it (bitnet.cpp,"
        " ik_llama.cpp) or take another quantisation of the model.",
        safety=Safety.SAFE,
        touches="another model file",
        undo="delete it",
        verify=("llama-server", "--version"),
    ),
)
