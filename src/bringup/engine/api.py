"""Client of llama.cpp's own HTTP API: plain requests, and a chat as a stream of events."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

from bringup.engine.answer_errors import EngineGone, StreamCutOff, UnexpectedAnswer
from bringup.engine.answers import (
    ChatEvent,
    EngineInfo,
    Finished,
    NextToken,
    ServedModel,
    Slot,
    Timings,
    TokenPiece,
    Usage,
    read_delta,
    read_error,
    read_finish_reason,
    read_info,
    read_models,
    read_next_tokens,
    read_pieces,
    read_progress,
    read_slots,
    read_timings,
    read_usage,
)
from bringup.engine.event_stream import event_data
from bringup.engine.totals import EngineTotals, parse_totals
from bringup.errors import EngineError
from bringup.machine.http import Endpoint, HttpTrouble, request, stream
from bringup.reading import parse_json

_DONE: Final = "[DONE]"
_REFUSAL_LIMIT_BYTES: Final = 1024**2
_SILENCE_S: Final = 3600.0
"""A long prompt on a slow machine can take most of an hour, without a byte from an older engine."""


class EngineApi:
    """One engine's API.

    All methods raise `EngineGone` (no answer), `Unauthorized`, `StillLoading`, `ContextFull` or
    `RequestRefused`; `UnexpectedAnswer` where the server is no llama.cpp.
    """

    def __init__(self, base_url: str, key: str | None, *, timeout_s: float = 10.0) -> None:
        """`base_url` as `http://127.0.0.1:8080`; `key` is `None` where the engine wants none."""
        parts = urlsplit(base_url)
        self._endpoint = Endpoint(parts.hostname or "127.0.0.1", parts.port or 80, key)
        self._timeout_s = timeout_s

    def health(self) -> bool:
        """Whether the model is loaded and requests are taken; asked without the key.

        Raises:
            EngineGone: nobody answers.
        """
        open_door = Endpoint(self._endpoint.host, self._endpoint.port)
        try:
            return request(open_door, "GET", "/health", timeout_s=self._timeout_s).status == 200
        except HttpTrouble as problem:
            raise self._gone(problem) from problem

    def info(self) -> EngineInfo:
        """What is loaded, and the window of one slot."""
        return read_info(self._get_object("/props"))

    def slots(self) -> tuple[Slot, ...]:
        """The slots and whether they work."""
        found = self._get("/slots")
        if not isinstance(found, list):
            raise UnexpectedAnswer("the engine's /slots is no list")
        return read_slots(found)

    def totals(self) -> EngineTotals:
        """Its counters; refused by an engine that was started without `--metrics`."""
        text = self._ask_bytes("GET", "/metrics", None).decode("utf-8", "replace")
        try:
            return parse_totals(text)
        except ValueError as problem:
            raise UnexpectedAnswer("the engine's /metrics are not llama.cpp's") from problem

    def models(self) -> tuple[ServedModel, ...]:
        """Models by the names that clients use."""
        return read_models(self._get_object("/v1/models"))

    def tokenize(self, text: str, *, add_special: bool = False) -> tuple[int, ...]:
        """Token ids of a text; markers such as `<|im_end|>` in it count as one token."""
        body = {"content": text, "add_special": add_special, "parse_special": True}
        tokens = self._post_object("/tokenize", body).get("tokens")
        if not isinstance(tokens, list) or not all(isinstance(token, int) for token in tokens):
            raise UnexpectedAnswer("the engine's /tokenize gave no list of ids")
        return tuple(tokens)

    def pieces(self, text: str) -> tuple[TokenPiece, ...]:
        """Tokens of a prompt as the engine reads it for a chat, with the bytes that each stands for."""
        body = {"content": text, "add_special": True, "parse_special": True, "with_pieces": True}
        return read_pieces(self._post_object("/tokenize", body))

    def apply_template(
        self,
        messages: Sequence[Mapping[str, Any]],
        **options: Any,  # noqa: ANN401 - the API's own request fields
    ) -> str:
        """The prompt that the engine makes of a conversation; `tools` and the like as in a chat."""
        body = {"messages": list(messages), **options}
        prompt = self._post_object("/apply-template", body).get("prompt")
        if not isinstance(prompt, str):
            raise UnexpectedAnswer("the engine's /apply-template gave no prompt")
        return prompt

    def next_tokens(
        self, prompt: Sequence[int], *, count: int
    ) -> tuple[tuple[NextToken, ...], Timings | None]:
        """What the model may go on with behind these tokens, and what reading them cost.

        It is a request like any other: it takes a slot and leaves the prompt in its cache.
        """
        body = {"prompt": list(prompt), "n_predict": 1, "n_probs": count, "cache_prompt": True}
        given = self._post_object("/completion", body)
        return read_next_tokens(given), read_timings(given)

    def chat(
        self,
        messages: Sequence[Mapping[str, Any]],
        *,
        model: str = "default",
        silence_s: float = _SILENCE_S,
        **options: Any,  # noqa: ANN401 - the API's own request fields
    ) -> Iterator[ChatEvent]:
        """Answer a conversation, piece by piece; the last event is `Finished`.

        Closing the iterator ends the connection, and with it the engine's work.

        Args:
            messages: OpenAI-style `{"role": ..., "content": ...}`.
            model: name in the request; an engine with one model ignores it.
            silence_s: longest wait for the next byte.
            **options: further fields of the request, such as `temperature`, `max_tokens`, `tools`.

        Raises:
            StreamCutOff: the stream ended without its end mark: the answer is not whole.
        """
        body = {
            "messages": list(messages),
            "model": model,
            "stream": True,
            "stream_options": {"include_usage": True},
            "return_progress": True,
            **options,
        }
        try:
            with stream(self._endpoint, "/v1/chat/completions", body=body, timeout_s=silence_s) as answer:
                status, content_type, lines = answer
                if status != 200 or "event-stream" not in content_type:
                    raise _refusal(status, _beginning(lines))
                yield from read_chat(lines)
        except HttpTrouble as problem:
            raise self._gone(problem) from problem

    def _get(self, path: str) -> Any:  # noqa: ANN401 - foreign JSON
        return self._ask("GET", path, None)

    def _get_object(self, path: str) -> dict[str, Any]:
        return _need_object(path, self._get(path))

    def _post_object(self, path: str, body: object) -> dict[str, Any]:
        return _need_object(path, self._ask("POST", path, body))

    def _ask(self, method: str, path: str, body: object) -> Any:  # noqa: ANN401 - foreign JSON
        return _json(self._ask_bytes(method, path, body))

    def _ask_bytes(self, method: str, path: str, body: object) -> bytes:
        try:
            answer = request(self._endpoint, method, path, body=body, timeout_s=self._timeout_s)
        except HttpTrouble as problem:
            raise self._gone(problem) from problem
        if answer.status != 200:
            raise _refusal(answer.status, answer.body)
        return answer.body

    def _gone(self, problem: HttpTrouble) -> EngineGone:
        where = f"{self._endpoint.host}:{self._endpoint.port}"
        return EngineGone(f"the engine at {where} does not answer", context=(str(problem),))


def read_chat(lines: Iterable[bytes]) -> Iterator[ChatEvent]:
    """Events of a streamed chat from the lines of its body.

    Raises:
        StreamCutOff: the lines end, or the connection breaks, before `[DONE]`.
        EngineError: the engine reports a failure inside the stream (HTTP 200 was said by then).
    """
    finish_reason, usage, timings = "", None, None
    try:
        for data in event_data(lines):
            if data.strip() == _DONE:
                yield Finished(finish_reason, usage, timings)
                return
            chunk = _need_object("a chunk of the answer", _json(data.encode()))
            if "error" in chunk:
                raise read_error(0, chunk)
            if (progress := read_progress(chunk)) is not None:
                yield progress
            yield from read_delta(chunk)
            finish_reason = read_finish_reason(chunk) or finish_reason
            usage, timings = read_usage(chunk) or usage, read_timings(chunk) or timings
    except HttpTrouble as problem:
        raise _cut_off(str(problem), usage) from problem
    raise _cut_off("the stream ended without its end mark", usage)


def _cut_off(why: str, usage: Usage | None) -> StreamCutOff:
    tokens = f"; {usage.completion_tokens} tokens had come" if usage else ""
    return StreamCutOff("the answer was cut off", context=(why + tokens,), hint="Ask again.")


def _beginning(lines: Iterable[bytes]) -> bytes:
    """What a refusal says; one without an end is not read to it."""
    body = bytearray()
    for line in lines:
        body += line + b"\n"
        if len(body) > _REFUSAL_LIMIT_BYTES:
            break
    return bytes(body)


def _refusal(status: int, body: bytes) -> EngineError:
    try:
        given = parse_json(body)
    except (ValueError, RecursionError):
        given = None
    return read_error(status, given)


def _json(data: bytes) -> Any:  # noqa: ANN401 - foreign JSON
    try:
        return parse_json(data)
    except (ValueError, RecursionError) as problem:
        raise UnexpectedAnswer(
            "the engine's answer is no JSON", context=(data[:200].decode("utf-8", "replace"),)
        ) from problem


def _need_object(what: str, given: object) -> dict[str, Any]:
    if not isinstance(given, dict):
        raise UnexpectedAnswer(f"{what} is no JSON object")
    return given
