"""The tensors or figures in the model file are not those that the engine expects.

Symptom: "missing tensor", "wrong shape", "wrong number of tensors" or "key not found in model".
Reason: the file was converted wrongly or for another program, or belongs to a variant of the architecture
    that the loader does not know. Its list of tensors does not match what the declared architecture calls
    for.
Sources: https://github.com/ggml-org/llama.cpp/issues/8467
    https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
Limits: exactly one tensor too many on Llama 3.1 or newer means an old build: `engine-too-old`.
"""

from __future__ import annotations

from bringup.faults._fault import Certainty, Evidence, Safety, Sign, Step
from bringup.faults._scene import Scene

SIGNS = (
    Sign(
        r"has wrong shape; expected",
        anchor="has wrong shape",
        example="llama_model_load: error loading model: check_tensor_dims: tensor"
        " 'blk.0.attn_qkv.weight' has wrong shape; expected  4096,  4608, got  4096,  5120,     1,    "
        " 1",
    ),
    Sign(
        r"check_tensor_dims: tensor '.{0,120}' not found|missing tensor '|tensor '[\w.]+' not found",
        anchor="tensor '",
        example="error loading model: missing tensor 'token_embd.weight'",
        unless=("mmproj", "lora"),
    ),
    Sign(
        r"error loading model.{0,120}key not found in model|key not found in model: ",
        anchor="key not found in model",
        example="error loading model hyperparameters: key not found in model:"
        " gemma3.attention.layer_norm_rms_epsilon",
    ),
    Sign(
        r"has wrong (?:array length|type) .{0,120}expected|wrong array length; expected|"
        r"invalid n_rot: \d{1,10}, expected",
        anchor="expected",
        example="error loading model hyperparameters: key qwen2vl.rope.dimension_sections has wrong"
        " array length; expected 4, got 3",
    ),
    Sign(
        r"invalid model: tensor '.{0,120}' is duplicated|duplicate(?:d)? tensor name",
        anchor="tensor",
        example="error loading model: invalid model: tensor 'rope_freqs.weight' is duplicated",
    ),
    Sign(
        r"tensor '.{0,120}' has invalid data|found tensors with invalid data|quantized data "
        r"validation failed",
        anchor="data",
        example="llama_model_load: tensor 'blk.3.ffn_up.weight' has invalid data",
    ),
    Sign(
        r"error loading model: missing [\w.]+\.weight",
        anchor="error loading model: missing ",
        example="error loading model: missing tok_embeddings.weight",
    ),
    Sign(
        r"tensor '.{0,120}' has (?:offset \d{1,10}, expected|invalid number of dim|negative|"
        r"invalid dimension)",
        anchor="tensor '",
        example="gguf_init_from_file: tensor 'blk.1.ffn_norm.weight' has offset 5242880, expected 5243904",
    ),
    Sign(
        r"duplicate key '|key '.{0,120}' (?:has invalid GGUF type|must be of type)",
        anchor="key '",
        example="gguf_init_from_file_impl: duplicate key 'general.name' for KV pair 4",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"cannot find tokenizer vocab in model file",
        anchor="cannot find tokenizer vocab",
        example="error loading model vocabulary: cannot find tokenizer vocab in model file",
    ),
    Sign(
        r"tensor '.{0,120}' has wrong size in model file|unknown tensor '.{0,120}' in model file",
        anchor="in model file",
        example="stablelm_model_load: tensor 'gpt_neox.embed_in.weight' has wrong size in model file",
    ),
    Sign(
        r"tensor '.{0,120}' (?:is missing from|has wrong shape$|has wrong shape in)",
        anchor="tensor '",
        example="error loading model: tensor 'output.weight' is missing from model",
    ),
    Sign(
        r"maybe wrong base model\?|model arch and LoRA arch mismatch",
        anchor="model",
        example="LoRA tensor 'blk.0.attn_q.weight' does not exist in base model (hint: maybe wrong base"
        " model?)",
    ),
    Sign(
        r"mismatch between text model \(n_embd",
        anchor="mismatch between text model",
        example="mismatch between text model (n_embd = 4096) and mmproj (n_embd = 5120)",
    ),
    Sign(
        r"error loading model: (?:invalid vector subscript|vector::_M_range_check|map::at)",
        anchor="error loading model: ",
        example="llama_model_load: error loading model: vector::_M_range_check: __n (which is 3) >="
        " this->size()",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"unable to find tensor [\w.]{1,80}",
        anchor="unable to find tensor ",
        example="clip_init: failed to load model 'mmproj-F16.gguf': operator(): unable to find tensor"
        " v.blk.0.attn_out.weight",
    ),
    Sign(
        r"error loading model hyperparameters: [^\s]",
        anchor="error loading model hyperparameters: ",
        example="llama_model_load: error loading model: error loading model hyperparameters: n_expert must"
        " be > 0 for QWEN3MOE",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"is not a (?:string|float32|uint32)/.{0,40}array|array length \d{1,12} for key .{1,80} exceeds max",
        anchor="array",
        example="error loading model: tokenizer.ggml.scores is not a string/float32/uint32/int32/uint64"
        " array",
    ),
    Sign(
        r"control vector n_embd does not match model|This GGUF does not support multimodal",
        anchor="not ",
        example="llama_adapter_cvec: control vector n_embd does not match model",
    ),
    Sign(
        r"LoRA tensor (?:'.{1,80}' has unexpected suffix|pair for ')",
        anchor="lora tensor ",
        example="failed to apply lora adapter: LoRA tensor 'blk.0.attn_q.weight' has unexpected suffix",
    ),
    Sign(
        r"expect (?:general|adapter)\.type to be '",
        anchor=".type to be '",
        example="failed to apply lora adapter: expect general.type to be 'adapter', but got: model",
    ),
    Sign(
        r"tensor .{0,30}\bwrong shape\b",
        anchor="wrong shape",
        example="A 'blk.0.attn_k.weight' tensor with the wrong shape was reported",
        certainty=Certainty.LIKELY,
    ),
)

EXPLAINS = ("output-garbage",)

STEPS = (
    Step("See the tensors that the file holds: `bringup show MODEL --tensors`.", safety=Safety.LOOK),
    Step(
        "Update the engine: a loader of the day may know the variant.",
        safety=Safety.SAFE,
        touches="the engine's folder",
        undo="the former build",
        verify=("llama-server", "--version"),
    ),
    Step(
        "Take the file from another publisher, or convert it anew with the converter of this llama.cpp"
        " version. Files out of ollama's store may hold tensors that only ollama reads.",
        safety=Safety.SAFE,
        touches="another model file",
        undo="delete it",
        verify=("llama-server", "--version"),
    ),
)


def check(scene: Scene) -> Evidence | None:
    """The count of tensors differs by more than the one that old builds do not know."""
    hit = scene.lines.search(
        r"wrong number of tensors;\s{1,4}expected (\d+), got (\d+)", anchor="wrong number of tensors"
    )
    if hit is None or abs(int(hit[1][1]) - int(hit[1][2])) == 1:
        return None
    return Evidence(
        saw=f"the file holds {hit[1][1]} tensors, the engine used {hit[1][2]}",
        expected="the same number",
        sources=(f"{hit[0].source}, line {hit[0].number}",),
        certainty=Certainty.SURE,
        strength=8,
    )
