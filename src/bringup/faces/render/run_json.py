"""The answer of `run --json` as one JSON object."""

from __future__ import annotations

from typing import Any, Final

from bringup.actions.chat.answer import Answer
from bringup.actions.running.session import EngineSession

SCHEMA: Final = 1


def answer_json(answer: Answer, session: EngineSession) -> dict[str, Any]:
    """Everything about one answer. Figures are null where the engine did not say."""
    usage, timings = answer.usage, answer.timings
    preparation, info = session.preparation, session.info
    return {
        "schema": SCHEMA,
        "text": answer.turn.text,
        "reasoning": answer.turn.reasoning,
        "raw_control_tokens": list(answer.raw_control.tokens) if answer.raw_control else [],
        "ending": answer.turn.ending.value,
        "usage": None
        if usage is None
        else {"prompt_tokens": usage.prompt_tokens, "completion_tokens": usage.completion_tokens},
        "timings": None
        if timings is None
        else {
            "cached_tokens": timings.cached_tokens,
            "prompt_tokens": timings.prompt_tokens,
            "prompt_s": timings.prompt_s,
            "predicted_tokens": timings.predicted_tokens,
            "predicted_s": timings.predicted_s,
            "predicted_tokens_per_s": timings.predicted_per_second,
        },
        "engine": {
            "kind": preparation.build.kind.value,
            "version": preparation.build.version,
            "build": info.build or None,
            "path": preparation.build.path,
        },
        "model": {
            "name": session.alias,
            "path": session.model.paths[0],
            "architecture": preparation.architecture.name,
            "size_bytes": session.model.size_bytes,
        },
        "context": {
            "size_tokens": info.n_ctx,
            "used_tokens": answer.n_used_tokens,
            "trained_tokens": preparation.plan.n_ctx_train,
        },
    }
