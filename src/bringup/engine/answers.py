"""What the engine's API answers, as records; pure readers of its JSON.

A field that an engine of another age does not send gets the value that its absence means, or `None`.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import exp
from typing import Any, Final

from bringup.engine.answer_errors import (
    ContextFull,
    RequestRefused,
    StillLoading,
    Unauthorized,
    UnexpectedAnswer,
)
from bringup.errors import EngineError
from bringup.records import dataclass

_SLOT_LIMIT: Final = 256
_MOST: Final = 2**53
"""No count and no figure of an engine is larger; what claims to be is taken for not told."""


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """A ready engine, in its own words (`/props`).

    Attributes:
        alias: the model's name in the API.
        model_path: the file that is loaded.
        n_ctx: context window of one slot in tokens.
        n_slots: requests that run side by side.
        build: the engine's build, such as `b6325-4fd1242b`; empty when it does not say.
        has_page: it serves its own page for chats.
    """

    alias: str
    model_path: str
    n_ctx: int
    n_slots: int
    build: str
    has_page: bool = False


@dataclass(frozen=True, slots=True)
class Slot:
    """One slot of the context window. Counts are `None` where the engine does not tell them.

    Attributes:
        id: its number.
        n_ctx: its window in tokens.
        is_processing: a request runs in it.
        task_id: number of its request, or of the last one; `None` for none yet.
        n_tokens: tokens of that request, in newer engines with those that were generated so far.
        n_reused: of its prompt, tokens that were still in the KV cache.
        n_read: of its prompt, tokens that were computed so far.
        n_generated: tokens of the answer so far.
    """

    id: int
    n_ctx: int
    is_processing: bool
    task_id: int | None = None
    n_tokens: int | None = None
    n_reused: int | None = None
    n_read: int | None = None
    n_generated: int | None = None

    @property
    def n_filled(self) -> int | None:
        """Tokens in its part of the KV cache: of the running request, or kept of the last one for reuse."""
        if self.is_processing:
            if self.n_read is None or self.n_reused is None:
                return None
            return self.n_reused + self.n_read + (self.n_generated or 0)
        return 0 if self.task_id is None else self.n_tokens

    @property
    def n_prompt_left(self) -> int | None:
        """Tokens of the prompt that are still to be read; 0 once the answer has begun."""
        if not self.is_processing or self.n_generated:
            return 0
        if self.n_tokens is None or self.n_filled is None:
            return None
        return max(0, self.n_tokens - self.n_filled)


@dataclass(frozen=True, slots=True)
class ServedModel:
    """One entry of `/v1/models`. Figures are `None` where the engine does not say."""

    id: str
    n_ctx_train: int | None
    size_bytes: int | None


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one request: prompt and answer."""

    prompt_tokens: int
    completion_tokens: int


@dataclass(frozen=True, slots=True)
class Timings:
    """What one request cost, from the engine's own clock.

    Attributes:
        cached_tokens: prompt tokens that were still in the KV cache.
        prompt_tokens: prompt tokens that were computed.
        prompt_s: time for those.
        predicted_tokens: tokens of the answer.
        predicted_s: time for those.
    """

    cached_tokens: int
    prompt_tokens: int
    prompt_s: float
    predicted_tokens: int
    predicted_s: float

    @property
    def predicted_per_second(self) -> float | None:
        """Tokens of the answer per second; `None` when none were timed."""
        return self.predicted_tokens / self.predicted_s if self.predicted_s > 0 else None


@dataclass(frozen=True, slots=True)
class TokenPiece:
    """One token of a text: its id and the bytes that it stands for (part of a letter, perhaps)."""

    id: int
    piece: bytes


@dataclass(frozen=True, slots=True)
class NextToken:
    """A token that the model may go on with: its id, its bytes, its probability before any sampling."""

    id: int
    piece: bytes
    probability: float


@dataclass(frozen=True, slots=True)
class ContentDelta:
    """More of the answer."""

    text: str


@dataclass(frozen=True, slots=True)
class ReasoningDelta:
    """More of the model's thinking."""

    text: str


@dataclass(frozen=True, slots=True)
class ToolCallDelta:
    """More of a tool call: `name` and `call_id` come once, `arguments` in pieces."""

    index: int
    call_id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class PromptProgress:
    """The prompt is being read: tokens done (those from the cache included) of all."""

    done_tokens: int
    total_tokens: int


@dataclass(frozen=True, slots=True)
class Finished:
    """The answer is whole.

    Attributes:
        finish_reason: `stop`, `length` (the window or the asked limit is full), `tool_calls`.
        usage: `None` where the engine does not say.
        timings: `None` likewise.
    """

    finish_reason: str
    usage: Usage | None
    timings: Timings | None


ChatEvent = ContentDelta | ReasoningDelta | ToolCallDelta | PromptProgress | Finished


def _text(given: Mapping[str, Any], name: str) -> str:
    value = given.get(name)
    return value if isinstance(value, str) else ""


def _count(given: Mapping[str, Any], name: str) -> int | None:
    value = given.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) and abs(value) < _MOST else None


def _number(given: Mapping[str, Any], name: str) -> float:
    value = given.get(name)
    return float(value) if isinstance(value, int | float) and abs(value) < _MOST else 0.0


def _object(given: Mapping[str, Any], name: str) -> dict[str, Any]:
    value = given.get(name)
    return value if isinstance(value, dict) else {}


def _bytes(value: object) -> bytes | None:
    """The bytes of a list of numbers; `None` where it is none."""
    if isinstance(value, list) and all(isinstance(byte, int) and 0 <= byte < 256 for byte in value):
        return bytes(value)
    return None


def read_info(given: dict[str, Any]) -> EngineInfo:
    """`/props`.

    Raises:
        UnexpectedAnswer: it names no context window.
    """
    n_ctx = _count(_object(given, "default_generation_settings"), "n_ctx")
    if n_ctx is None:
        raise UnexpectedAnswer("the engine's /props names no context window")
    return EngineInfo(
        alias=_text(given, "model_alias"),
        model_path=_text(given, "model_path"),
        n_ctx=n_ctx,
        n_slots=_count(given, "total_slots") or 1,
        build=_build(_text(given, "build_info")),
        has_page=given.get("ui") is True or given.get("webui") is True,
    )


def _build(told: str) -> str:
    """The build's name; empty for `b0-unknown`, which says that whoever compiled it left it out (a wheel)."""
    return "" if "unknown" in told or told.startswith("b0-") else told


def read_slots(given: list[Any]) -> tuple[Slot, ...]:
    """`/slots`."""
    return tuple(_read_slot(slot) for slot in given[:_SLOT_LIMIT] if isinstance(slot, dict))


def _read_slot(given: dict[str, Any]) -> Slot:
    """One slot. Raw: `{"id":1,"n_ctx":1024,"is_processing":true,"id_task":16,"n_prompt_tokens":59,...}`."""
    following = given.get("next_token")
    first = following[0] if isinstance(following, list) and following else following
    task_id = _count(given, "id_task")
    return Slot(
        id=_count(given, "id") or 0,
        n_ctx=_count(given, "n_ctx") or 0,
        is_processing=given.get("is_processing") is True,
        task_id=None if task_id == -1 else task_id,
        n_tokens=_count(given, "n_prompt_tokens"),
        n_reused=_count(given, "n_prompt_tokens_cache"),
        n_read=_count(given, "n_prompt_tokens_processed"),
        n_generated=_count(first, "n_decoded") if isinstance(first, dict) else None,
    )


def read_models(given: dict[str, Any]) -> tuple[ServedModel, ...]:
    """`/v1/models`."""
    rows = given.get("data")
    found = []
    for row in rows if isinstance(rows, list) else []:
        if isinstance(row, dict):
            meta = _object(row, "meta")
            found.append(ServedModel(_text(row, "id"), _count(meta, "n_ctx_train"), _count(meta, "size")))
    return tuple(found)


def read_pieces(given: dict[str, Any]) -> tuple[TokenPiece, ...]:
    """`/tokenize` with pieces. Raw: `{"tokens":[{"id":653,"piece":"Hi"},{"id":12,"piece":[226,152]}]}`.

    Raises:
        UnexpectedAnswer: another form.
    """
    rows = given.get("tokens")
    if not isinstance(rows, list):
        raise UnexpectedAnswer("the engine's /tokenize gave no list of tokens")
    found = []
    for row in rows:
        number = _count(row, "id") if isinstance(row, dict) else None
        piece = row.get("piece") if isinstance(row, dict) else None
        raw = piece.encode("utf-8", "surrogatepass") if isinstance(piece, str) else _bytes(piece)
        if raw is None:
            raise UnexpectedAnswer("the engine's /tokenize gave a token without its piece")
        if number is None:
            raise UnexpectedAnswer("the engine's /tokenize gave a token without its id")
        found.append(TokenPiece(number, raw))
    return tuple(found)


def read_next_tokens(given: dict[str, Any]) -> tuple[NextToken, ...]:
    """The likeliest first tokens of a completion with `n_probs`, the likeliest first; empty where it ends.

    Raw: `"completion_probabilities":[{"top_logprobs":[{"id":29,"token":"-","bytes":[45],"logprob":-0.78}]}]`.

    Raises:
        UnexpectedAnswer: another form.
    """
    places = given.get("completion_probabilities")
    first = places[0] if isinstance(places, list) and places and isinstance(places[0], dict) else {}
    rows = first.get("top_logprobs")
    found = []
    for row in rows if isinstance(rows, list) else []:
        number = _count(row, "id") if isinstance(row, dict) else None
        raw = _bytes(row.get("bytes")) if isinstance(row, dict) else None
        logarithm = row.get("logprob") if isinstance(row, dict) else None
        if number is None or raw is None or not isinstance(logarithm, int | float):
            raise UnexpectedAnswer("the engine's /completion gave a choice without its id, bytes or logprob")
        found.append(NextToken(number, raw, exp(max(-_MOST, min(0.0, logarithm)))))
    return tuple(found)


def read_usage(given: dict[str, Any]) -> Usage | None:
    """The `usage` of an answer; `None` without one."""
    usage = _object(given, "usage")
    if not usage:
        return None
    return Usage(_count(usage, "prompt_tokens") or 0, _count(usage, "completion_tokens") or 0)


def read_timings(given: dict[str, Any]) -> Timings | None:
    """The `timings` of an answer; `None` without them. Raw: `"timings":{"cache_n":0,"prompt_n":31,...}`."""
    timings = _object(given, "timings")
    if not timings:
        return None
    return Timings(
        cached_tokens=_count(timings, "cache_n") or 0,
        prompt_tokens=_count(timings, "prompt_n") or 0,
        prompt_s=_number(timings, "prompt_ms") / 1000,
        predicted_tokens=_count(timings, "predicted_n") or 0,
        predicted_s=_number(timings, "predicted_ms") / 1000,
    )


def read_delta(given: dict[str, Any]) -> tuple[ContentDelta | ReasoningDelta | ToolCallDelta, ...]:
    """What one chunk of a streamed chat adds."""
    found: list[ContentDelta | ReasoningDelta | ToolCallDelta] = []
    for choice in _choices(given):
        delta = _object(choice, "delta")
        if reasoning := _text(delta, "reasoning_content"):
            found.append(ReasoningDelta(reasoning))
        if content := _text(delta, "content"):
            found.append(ContentDelta(content))
        calls = delta.get("tool_calls")
        for call in calls if isinstance(calls, list) else []:
            if isinstance(call, dict):
                function = _object(call, "function")
                words = (_text(call, "id"), _text(function, "name"), _text(function, "arguments"))
                found.append(ToolCallDelta(_count(call, "index") or 0, *words))
    return tuple(found)


def read_progress(given: dict[str, Any]) -> PromptProgress | None:
    """The `prompt_progress` of a chunk; `None` without one."""
    progress = _object(given, "prompt_progress")
    total = _count(progress, "total")
    return None if total is None else PromptProgress(_count(progress, "processed") or 0, total)


def read_finish_reason(given: dict[str, Any]) -> str:
    """Why the answer ended; empty while it goes on."""
    return next((reason for c in _choices(given) if (reason := _text(c, "finish_reason"))), "")


def _choices(given: dict[str, Any]) -> list[dict[str, Any]]:
    choices = given.get("choices")
    return [c for c in choices if isinstance(c, dict)] if isinstance(choices, list) else []


def read_error(status: int, given: object) -> EngineError:
    """The error behind a refused request.

    Raw: `{"error":{"code":400,"type":"exceed_context_size_error","n_prompt_tokens":9,"n_ctx":4}}`.
    """
    error = given.get("error") if isinstance(given, dict) else None
    if isinstance(error, str):
        error = {"message": error}
    if not isinstance(error, dict):
        error = {}
    kind, words = _text(error, "type"), _text(error, "message")[:2000]
    status = _count(error, "code") or status
    if kind == "exceed_context_size_error":
        return ContextFull(_count(error, "n_prompt_tokens"), _count(error, "n_ctx"))
    # The shared KV cache of several slots ran out in the middle of an answer.
    if "context size has been exceeded" in words.lower():
        return ContextFull(None, None)
    if status in (401, 403):
        return Unauthorized("the engine refused the key", context=(words,) if words else ())
    if status == 503:
        return StillLoading("the engine is still loading its model")
    if "does not match the expected" in words or "Failed to parse input" in words:
        return RequestRefused(
            "the model's answer is not in its own chat format, so the engine could not take it apart",
            context=(words,),
            hint="Ask again. If it happens often: the engine is too old for this model, or its template is "
            "damaged (bringup faults raw-control-tokens).",
            reference="raw-control-tokens",
        )
    return RequestRefused(
        f"the engine refused the request (HTTP {status})" if status else "the engine broke off the request",
        context=(words,) if words else (),
    )
