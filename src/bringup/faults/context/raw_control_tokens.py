"""The model's control tokens appear in the answer.

Symptom: <|channel|>analysis<|message|>, <|start|>assistant or "assistantfinal" stands in the text.
Reason: gpt-oss answers in the harmony format, whose parts the server must take apart. Server or client is
    too old for it, or the server was started without --jinja, so the raw text comes through.
Sources: https://github.com/johnbean393/Sidekick/issues/75
    https://github.com/ggml-org/llama.cpp/blob/master/docs/function-calling.md
"""

from __future__ import annotations

from bringup.faults._fault import Certainty, Safety, Sign, Step

_TEMPLATES = ("example_format", "chat_template", "chat template, ", "tokenizer.chat_template", "{%", "{{")

_NOTES = ("eog token", "eos token", "eot token", "print_info", "llm_load_print_meta", "token:")

SIGNS = (
    Sign(
        r"<\|channel\|>\s*(?:analysis|final|commentary)",
        anchor="<|channel|>",
        example="<|channel|>analysis<|message|>User says"
        " hi.<|end|><|start|>assistant<|channel|>final<|message|>Hello!",
        unless=(*_TEMPLATES, "failed to parse input", "unparsed peg", "does not match the expected"),
    ),
    Sign(
        r"assistantfinal",
        anchor="assistantfinal",
        example="analysisThe user says hi. We should answer briefly.assistantfinalHello! How can I help?",
        unless=_TEMPLATES,
    ),
    Sign(
        r"assistantcommentary to=",
        anchor="assistantcommentary to=",
        example="We should call the tool.assistantcommentary to=functions.read json",
        unless=_TEMPLATES,
    ),
    Sign(
        r"[\w.!?] ?<\|im_end\|>\W*$",
        anchor="<|im_end|>",
        example="Paris is the capital of France.<|im_end|>",
        certainty=Certainty.LIKELY,
        unless=(*_TEMPLATES, *_NOTES),
    ),
    Sign(
        r"[\w.!?] ?<\|eot_id\|>\W*$",
        anchor="<|eot_id|>",
        example="Paris is the capital of France.<|eot_id|>",
        certainty=Certainty.LIKELY,
        unless=(*_TEMPLATES, *_NOTES),
    ),
    Sign(
        r"[\w.!?] ?<end_of_turn>\W*$",
        anchor="<end_of_turn>",
        example="Paris is the capital of France.<end_of_turn>",
        certainty=Certainty.LIKELY,
        unless=(*_TEMPLATES, *_NOTES),
    ),
    Sign(
        r"<\|eot_id\|><\|start_header_id\|>assistant",
        anchor="<|eot_id|><|start_header_id|>assistant",
        example="Sure!<|eot_id|><|start_header_id|>assistant<|end_header_id|>",
        certainty=Certainty.LIKELY,
        unless=(*_TEMPLATES, *_NOTES, "<|begin_of_text|>"),
    ),
)

STEPS = (
    Step("See the build's number and date.", ("llama-server", "--version"), safety=Safety.LOOK),
    Step(
        "Update server and client, and start the server with --jinja (for gpt-oss a build of August"
        " 2025 or newer).",
        safety=Safety.SAFE,
        touches="the engine's folder",
        undo="the former build",
        verify=("llama-server", "--version"),
    ),
    Step(
        "Use /v1/chat/completions instead of /completion: only the chat route takes the parts apart.",
        safety=Safety.SAFE,
        touches="your client",
        undo="the former address",
        verify=("llama-server", "--version"),
    ),
)
