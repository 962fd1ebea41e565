"""What can be wrong with an answer of the engine, or with its coming."""

from __future__ import annotations

from bringup.errors import EngineError


class UnexpectedAnswer(EngineError):
    """The engine's answer is not in the form that llama.cpp's server has."""

    default_reference = "engine-answer-unexpected"


class EngineGone(EngineError):
    """Nobody answers at the engine's port, or the connection broke before an answer."""

    default_reference = "engine-gone"


class Unauthorized(EngineError):
    """The engine refused our key."""

    default_reference = "auth-failed"


class StillLoading(EngineError):
    """The engine answers, and its model is not loaded yet."""

    default_reference = "server-not-ready"


class StreamCutOff(EngineError):
    """An answer ended without its end mark: what came is not the whole answer."""

    default_reference = "stream-cut-off"


class RequestRefused(EngineError):
    """The engine refused or failed this request; its own words are in the context."""

    default_reference = "request-refused"


class ContextFull(EngineError):
    """The prompt does not fit into the context window.

    Attributes:
        n_prompt_tokens: tokens of the prompt, `None` where the engine does not say.
        n_ctx: tokens of the window, `None` likewise.
    """

    default_reference = "prompt-exceeds-context"

    def __init__(self, n_prompt_tokens: int | None, n_ctx: int | None) -> None:
        """The error of one prompt and one window."""
        if n_prompt_tokens is None or n_ctx is None:
            message = "the prompt does not fit into the context window"
        else:
            message = f"the prompt has {n_prompt_tokens:,} tokens, the context window {n_ctx:,}"
        super().__init__(message, hint="Drop older turns, start anew, or take a larger window (--ctx-size).")
        self.n_prompt_tokens = n_prompt_tokens
        self.n_ctx = n_ctx
