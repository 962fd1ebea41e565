"""Tools or reasoning were asked of a server that does not use the model's own template.

Symptom: HTTP 500 "tools param requires --jinja flag".
Reason: only the Jinja template of the model can write tool definitions into the prompt. This server was
    started without --jinja, which was off by default until December 2025.
Sources: https://github.com/defilantech/LLMKube/issues/126
    https://github.com/ggml-org/llama.cpp/blob/master/docs/function-calling.md
"""

from __future__ import annotations

from bringup.faults._fault import Certainty, Safety, Sign, Step

SIGNS = (
    Sign(
        r"requires --jinja(?: flag)?|(?:param|option) requires --jinja",
        anchor="requires --jinja",
        example="500 tools param requires --jinja flag",
    ),
    Sign(
        r"[Uu]nsupported param: tools\b",
        anchor="unsupported param: tools",
        example='{"code":500,"message":"Unsupported param: tools","type":"server_error"}',
    ),
    Sign(
        r"try using --jinja",
        anchor="try using --jinja",
        example="error: this custom template is not supported, try using --jinja",
    ),
    Sign(
        r"does not support tools\b",
        anchor="does not support tools",
        example='{"error":{"message":"registry.ollama.ai/library/gemma3:4b does not support tools"}}',
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"does not support thinking\b",
        anchor="does not support thinking",
        example='Error: "llama3.1" does not support thinking',
        certainty=Certainty.LIKELY,
    ),
)

EXPLAINS = ("raw-control-tokens", "tool-call-parse-failed", "chat-template-failed")

STEPS = (
    Step(
        "Start llama-server with --jinja, or update it: it is the default since December 2025.",
        safety=Safety.SAFE,
        touches="your start script",
        undo="leave the option out",
        verify=("bringup", "ps"),
    ),
    Step(
        "For ollama, take a model whose page carries the label tools; the template of this one has no"
        " place for them.",
        safety=Safety.SAFE,
        touches="another model file",
        undo="delete it",
        verify=("bringup", "ps"),
    ),
)
