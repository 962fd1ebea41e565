"""The server refuses the client's API key.

Symptom: HTTP 401, "Invalid API Key", from your own server.
Reason: llama-server was started with a key (--api-key, --api-key-file or LLAMA_API_KEY) and the client
    sends none, or another one. A key in the environment counts without being named on the command line.
Sources: https://github.com/huggingface/pi-llama/pull/33
    https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md
"""

from __future__ import annotations

from bringup.faults._fault import Certainty, Safety, Sign, Step

_HUB = ("huggingface.co", "hf.co", "gated repo", "gatedrepo", "registry.ollama", "hf api", "manifest")

SIGNS = (
    Sign(
        r"[Ii]nvalid API [Kk]ey|[Ii]ncorrect API key provided",
        anchor=" api key",
        example='{"error":{"message":"Invalid API Key","type":"authentication_error","code":401}}',
    ),
    Sign(
        r"\bauthentication_error\b|\bAuthenticationError\b",
        anchor="authentication",
        example="openai.AuthenticationError: Error code: 401",
    ),
    Sign(
        r"(?:localhost|127\.0\.0\.1|0\.0\.0\.0|/v1/|llama).{0,30}\b(?:returned|status|code|HTTP[/1.]*|"
        r"error)\b\D{0,12}401\b",
        anchor="401",
        example="[llama-cpp] http://localhost:8080/v1/models returned 401",
        unless=_HUB,
    ),
    Sign(
        r"\b401 Unauthorized\b.{0,30}(?:localhost|127\.0\.0\.1|/v1/)|(?:localhost|127\.0\.0\.1|/v1/|"
        r"HTTP/1\.1).{0,30}\b401 Unauthorized\b",
        anchor="401 unauthorized",
        example="httpx.HTTPStatusError: Client error '401 Unauthorized' for url"
        " 'http://localhost:8080/v1/models'",
        unless=_HUB,
    ),
    Sign(
        r"No API key (?:found|provided)|API key (?:is )?(?:required|missing)",
        anchor="api key",
        example="No API key found for the selected model.",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"api_key client option must be set",
        anchor="api_key client option",
        example="openai.OpenAIError: The api_key client option must be set either by passing api_key to"
        " the client or by",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"[Dd]idn't provide an API key",
        anchor="provide an api key",
        example="[401]: You didn't provide an API key.",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"(?i)\bapi key\b.{0,60}\b401\b|\b401\b.{0,60}\bapi key\b",
        anchor="api key",
        example="with the right API key it still answers 401",
        certainty=Certainty.LIKELY,
        is_weak=True,
    ),
)

EXPLAINS = ("server-not-ready",)

STEPS = (
    Step(
        "See whether the variable is set where the server starts (`env | grep LLAMA_API_KEY`).",
        safety=Safety.LOOK,
    ),
    Step(
        "Give the client the server's key (Authorization: Bearer ..., OPENAI_API_KEY), or start the"
        " server without one where only this machine can reach it.",
        safety=Safety.SAFE,
        touches="the client's settings",
        undo="the former key",
        verify=("bringup", "ps"),
    ),
)
