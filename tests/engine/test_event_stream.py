"""Server-sent events and streamed chats, whole and broken."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from itertools import repeat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bringup.engine.answer_errors import (
    ContextFull,
    EngineGone,
    RequestRefused,
    StillLoading,
    StreamCutOff,
    Unauthorized,
    UnexpectedAnswer,
)
from bringup.engine.answers import (
    ContentDelta,
    Finished,
    PromptProgress,
    ReasoningDelta,
    ToolCallDelta,
    read_error,
    read_info,
    read_models,
    read_next_tokens,
    read_slots,
)
from bringup.engine.api import EngineApi, read_chat
from bringup.engine.event_stream import event_data
from bringup.engine.totals import parse_totals
from bringup.machine.http import HttpTrouble
from bringup.records import replace

REFUSALS = (StreamCutOff, UnexpectedAnswer, RequestRefused, ContextFull, Unauthorized, StillLoading)


def lines(*chunks: object, done: bool = True) -> list[bytes]:
    found = []
    for chunk in chunks:
        found += [b"data: " + json.dumps(chunk).encode(), b""]
    return [*found, *([b"data: [DONE]", b""] if done else [])]


def delta(**values: object) -> dict[str, object]:
    return {"choices": [{"delta": values, "finish_reason": None}]}


END = {"choices": [{"delta": {}, "finish_reason": "stop"}]}
USAGE = {
    "choices": [],
    "usage": {"prompt_tokens": 31, "completion_tokens": 3},
    "timings": {"cache_n": 20, "prompt_n": 11, "prompt_ms": 100.0, "predicted_n": 3, "predicted_ms": 50.0},
}


def test_a_whole_answer() -> None:
    first = {**delta(), "prompt_progress": {"total": 31, "cache": 20, "processed": 31}}
    stream = lines(
        first, delta(reasoning_content="hm"), delta(content="he"), delta(content="llo"), END, USAGE
    )
    events = list(read_chat(stream))
    assert events[:-1] == [
        PromptProgress(31, 31),
        ReasoningDelta("hm"),
        ContentDelta("he"),
        ContentDelta("llo"),
    ]
    end = events[-1]
    assert isinstance(end, Finished) and end.finish_reason == "stop"
    assert end.usage is not None and end.usage.prompt_tokens == 31
    assert end.timings is not None and end.timings.cached_tokens == 20
    assert end.timings.predicted_per_second == 60.0


def test_a_tool_call_in_pieces() -> None:
    one = {"index": 0, "id": "c1", "function": {"name": "look", "arguments": '{"a'}}
    two = {"index": 0, "function": {"arguments": '":1}'}}
    events = list(read_chat(lines(delta(tool_calls=[one]), delta(tool_calls=[two]), END)))
    assert events[:2] == [ToolCallDelta(0, "c1", "look", '{"a'), ToolCallDelta(0, "", "", '":1}')]


@pytest.mark.parametrize("chunks", [(), (delta(content="half"),), (delta(content="all"), END), (END, USAGE)])
def test_no_end_mark_means_cut_off(chunks: tuple[object, ...]) -> None:
    with pytest.raises(StreamCutOff):
        list(read_chat(lines(*chunks, done=False)))


def test_a_broken_connection_means_cut_off() -> None:
    def broken():  # noqa: ANN202
        yield from lines(delta(content="half"), done=False)
        raise HttpTrouble("connection reset")

    events = read_chat(broken())
    assert next(events) == ContentDelta("half")
    with pytest.raises(StreamCutOff) as caught:
        next(events)
    assert "connection reset" in caught.value.context[0]


def test_an_error_inside_the_stream() -> None:
    error = {"error": {"code": 400, "type": "exceed_context_size_error", "n_prompt_tokens": 9, "n_ctx": 4}}
    with pytest.raises(ContextFull) as caught:
        list(read_chat(lines(error, done=False)))
    assert (caught.value.n_prompt_tokens, caught.value.n_ctx) == (9, 4)
    old = [b'error: {"code": 500, "message": "Context size has been exceeded."}', b""]
    with pytest.raises(ContextFull):
        list(read_chat(old))
    with pytest.raises(RequestRefused, match="500"):
        list(read_chat(lines({"error": {"code": 500, "message": "no"}})))


def test_a_chunk_that_is_no_json() -> None:
    with pytest.raises(UnexpectedAnswer):
        list(read_chat([b"data: {half", b""]))
    with pytest.raises(UnexpectedAnswer):
        list(read_chat([b"data: [1]", b""]))
    with pytest.raises(UnexpectedAnswer):
        list(read_chat([b"data: " + b"[" * 100_000, b""]))


def test_comments_carriage_returns_and_other_fields() -> None:
    raw = [
        b": ping\r",
        b"\r",
        b"event: message\r",
        b"id: 3",
        b"data:  two blanks\r",
        b"data: next",
        b"\r",
        b"data: last",
    ]
    assert list(event_data(raw)) == [" two blanks\nnext", "last"]


def test_every_character_of_a_split_text_arrives() -> None:
    """llama.cpp holds a character back until it is whole; what it sends in a line is valid on its own."""
    text = "aé漢🙂"
    stream = lines(*(delta(content=character) for character in text), END)
    assert "".join(e.text for e in read_chat(stream) if isinstance(e, ContentDelta)) == text


def test_an_event_without_an_end_is_cut_off() -> None:
    with pytest.raises(StreamCutOff) as caught:
        list(read_chat(repeat(b"data: " + b"x" * 2**20)))
    assert "longer than" in caught.value.context[0]


@pytest.mark.timeout(60)
@pytest.mark.parametrize("line", [b"x" * 2**16, b"[" * 2**16], ids=["endless", "nested"])
def test_a_refusal_without_an_end_is_not_read_to_it(line: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def refuse() -> None:
            connection, _ = server.accept()
            with connection, contextlib.suppress(OSError):
                connection.sendall(b"HTTP/1.1 500 No\r\n\r\n")
                while True:
                    connection.sendall(line + b"\n")

        stranger = threading.Thread(target=refuse)
        stranger.start()
        api = EngineApi(f"http://127.0.0.1:{server.getsockname()[1]}", None)
        with pytest.raises(RequestRefused):
            list(api.chat([], silence_s=30.0))
        stranger.join()


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    ("first", "piece"),
    [
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (b"HTTP/1.1 200 OK\r\n\r\n{", b" "),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n", b" "),
        (b"", b" "),
        (b"HTTP/1.1 200 OK\r\nA: ", b"b"),
    ],
    ids=["never comes to an answer", "no end", "an end far off", "no end of the first line", "of a header"],
)
def test_an_answer_that_trickles_is_given_up_in_time(first: bytes, piece: bytes) -> None:
    """Each byte comes in time, and the whole never does: the limit is one of the whole answer."""
    is_over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def trickle() -> None:
            connection, _ = server.accept()
            with connection, contextlib.suppress(OSError):
                connection.sendall(first)
                while not is_over.wait(0.02):
                    connection.sendall(piece)

        stranger = threading.Thread(target=trickle)
        stranger.start()
        api = EngineApi(f"http://127.0.0.1:{server.getsockname()[1]}", None, timeout_s=0.4)
        try:
            with pytest.raises(EngineGone, match="does not answer") as caught:
                api.info()
        finally:
            is_over.set()
            stranger.join()
        assert caught.value.context == ("no answer in time",)


HUGE = [10**400, -(10**400), 1e308, float("inf"), float("-inf"), float("nan"), 2**63]


@pytest.mark.parametrize("value", HUGE, ids=range(len(HUGE)))
def test_a_figure_beyond_reason_is_taken_for_not_told(value: float) -> None:
    """Such integers are JSON, too: no sum, share or speed of them may end who reads them."""
    counts = ("cache_n", "prompt_n", "predicted_n", "n_ctx", "id", "total", "processed", "code", "n_decoded")
    figures = {name: value for name in (*counts, "prompt_ms", "predicted_ms", "n_prompt_tokens_processed")}
    (whole,) = read_chat(lines({"choices": [], "timings": figures, "usage": figures}))
    assert isinstance(whole, Finished) and whole.timings is not None
    assert whole.timings == replace(whole.timings, prompt_s=0.0, predicted_s=0.0, predicted_tokens=0)
    assert whole.timings.predicted_per_second is None
    (slot,) = read_slots([{**figures, "is_processing": True, "next_token": [figures]}])
    assert (slot.n_ctx, slot.n_read, slot.n_generated) == (0, None, None)
    chances = {"top_logprobs": [{"id": 1, "bytes": [1], "logprob": value}]}
    (choice,) = read_next_tokens({"completion_probabilities": [chances]})
    assert 0 <= choice.probability <= 1


@pytest.mark.parametrize("value", ["9" * 39, "1e308", "-5", "1e999"])
def test_a_counter_beyond_reason_is_taken_for_not_told(value: str) -> None:
    names = ("prompt_tokens_total", "prompt_seconds_total", "requests_deferred")
    told = parse_totals(
        "\n".join(["llamacpp:tokens_predicted_total 5", *(f"llamacpp:{n} {value}" for n in names)])
    )
    assert (told.predicted_tokens, told.prompt_tokens, told.prompt_s, told.requests_waiting) == (
        5,
        *[None] * 3,
    )


@given(st.lists(st.binary(max_size=40).map(lambda b: b.replace(b"\n", b""))))
def test_any_lines_end_in_an_answer_or_an_error(raw: list[bytes]) -> None:
    try:
        events = list(read_chat(raw))
    except REFUSALS:
        return
    assert isinstance(events[-1], Finished)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(
            ["choices", "delta", "content", "tool_calls", "function", "usage", "timings", "error", "code",
             "message", "data", "meta", "id", "prompt_progress", "total", "n_ctx", "type",
             "default_generation_settings"]
        ),
        inner,
        max_size=4,
    ),
    max_leaves=12,
)  # fmt: skip


@pytest.mark.parametrize(("told", "build"), [("b6325-4fd1242b", "b6325-4fd1242b"), ("b0-unknown", "")])
def test_a_build_that_nobody_named_is_none(told: str, build: str) -> None:
    """The wheel's engine says `b0-unknown`: that is no build, and is not handed on as one."""
    info = read_info({"build_info": told, "default_generation_settings": {"n_ctx": 1024}})
    assert info.build == build


@given(json_values)
def test_any_json_of_an_engine_can_be_read(value: object) -> None:
    with contextlib.suppress(*REFUSALS):
        list(read_chat(lines(value, done=False)))
    read_error(400, value)
    if isinstance(value, dict):
        read_models(value)
        with contextlib.suppress(UnexpectedAnswer):
            read_info(value)
    if isinstance(value, list):
        read_slots(value)


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (
            401,
            {"error": {"code": 401, "message": "Invalid API Key", "type": "authentication_error"}},
            Unauthorized,
        ),
        (503, {"error": {"code": 503, "message": "Loading model"}}, StillLoading),
        (500, {"error": {"code": 500, "message": "tools param requires --jinja flag"}}, RequestRefused),
        (404, None, RequestRefused),
        (500, {"error": "in plain words"}, RequestRefused),
    ],
)
def test_errors(status: int, body: object, kind: type[Exception]) -> None:
    problem = read_error(status, body)
    assert type(problem) is kind
    assert problem.reference


def test_a_full_window_says_both_figures() -> None:
    problem = ContextFull(9000, 4096)
    assert "9,000" in problem.message and "4,096" in problem.message
