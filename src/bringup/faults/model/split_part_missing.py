"""A part of a split model is missing, misnamed, or the parts were glued together.

Symptom: "invalid split file", "failed to load GGUF split", "illegal split file idx", or one
    -0000N-of-0000M file that cannot be opened.
Reason: a large model is stored in several files that carry their number in name and header, and the
    loader finds the others from the first. Here one is absent or renamed, loading did not start with the
    first, or they were joined with cat, which does not make a whole model of them.
Sources: https://github.com/ggml-org/llama.cpp/issues/9613
    https://github.com/ggml-org/llama.cpp/tree/master/tools/gguf-split
"""

from __future__ import annotations

from bringup.faults._fault import Certainty, Safety, Sign, Step

SIGNS = (
    Sign(
        r"(?:invalid|illegal) split (?:file|count)",
        anchor=" split ",
        example="llama_model_load: error loading model: invalid split file: llama.gguf",
    ),
    Sign(
        r"failed to load GGUF split from|missing key .{0,120} in GGUF split|must be loaded with the "
        r"first split",
        anchor=" split",
        example="error loading model: llama_model_loader: failed to load GGUF split from"
        " model-00002-of-00003.gguf",
    ),
    Sign(
        r"(?:failed to open|[Nn]o such file|cannot open|not found).{0,120}-(?!00001)\d{5}-of-\d{5}\.gguf",
        anchor="-of-",
        example="gguf_init_from_file: failed to open 'DeepSeek-R1-Q4_K_M-00003-of-00009.gguf'",
    ),
    Sign(
        r"-(?!00001)\d{5}-of-\d{5}\.gguf['\"]?:? .{0,120}(?:[Nn]o such file|not found)",
        anchor="-of-",
        example="ls: cannot access 'a-00002-of-00003.gguf': No such file or directory",
    ),
    Sign(
        r"corrupted model: \d{1,10} tensors expected but \d{1,10} found",
        anchor="corrupted model: ",
        example="llama_model_load: error loading model: corrupted model: 1086 tensors expected but 395 found",
        certainty=Certainty.LIKELY,
    ),
)

EXPLAINS = ("model-tensors-wrong", "model-file-unreadable")

STEPS = (
    Step("See which parts are there and whether their sizes are right: `ls -l`.", safety=Safety.LOOK),
    Step(
        "Put all parts under their original names into one folder and name the first one to the"
        " engine; download the missing ones.",
        safety=Safety.SAFE,
        touches="the model's folder",
        undo="the former names",
        verify=("bringup", "models"),
    ),
    Step(
        "For one single file, join them with `llama-gguf-split --merge first.gguf whole.gguf`, never"
        " with cat.",
        safety=Safety.SAFE,
        touches="a new file of the size of all parts",
        undo="delete it",
        verify=("bringup", "models"),
    ),
)
