"""The talk with a scripted engine: every way in which an answer can end, and what the user chooses then."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, cast

import pytest
from tests.stubs.scripted_engine import Reply, ScriptedEngine, serving

from bringup.actions.chat.answer import AnswerOptions
from bringup.actions.chat.conversation import Conversation, Ending, Role, Turn
from bringup.actions.running.session import EngineSession
from bringup.engine.answers import Timings
from bringup.engine.api import EngineApi
from bringup.engine.exits import EngineStopped, ExitKind, ExitReason
from bringup.errors import BringupError, DoesNotFit, WrongUse
from bringup.faces.cli.chat import Talk
from bringup.faces.cli.chat_input import ChatInput
from bringup.faces.cli.chat_loop import chat
from bringup.faces.render.console import Console
from bringup.machine.folders import our_folders
from bringup.store.local import LocalModel


@dataclass
class MadeSession:
    """Stands for an engine session: the same API, its restarts recorded."""

    engine: ScriptedEngine
    restarts: list[int | None] = field(default_factory=list)
    death: BringupError | None = None
    refusal: BringupError | None = None
    alias: str = "made"
    timings: list[Timings | None] = field(default_factory=list)
    engine_identity: None = None

    @property
    def api(self) -> EngineApi:
        return EngineApi(self.engine.base_url, None, timeout_s=60)

    @property
    def n_ctx(self) -> int:
        return self.engine.n_ctx

    def poll(self) -> BringupError | None:
        return self.death

    why_ended = poll

    def answered(self, timings: Timings | None) -> None:
        self.timings.append(timings)

    def larger_n_ctx(self, *, needed_tokens: int = 0) -> int:
        return max(2 * self.engine.n_ctx, needed_tokens)

    def restart(self, *, n_ctx: int | None = None) -> None:
        self.restarts.append(n_ctx)
        if self.refusal is not None:
            raise self.refusal
        self.engine.n_ctx = n_ctx or self.engine.n_ctx
        self.death = None


@dataclass
class Lines:
    """A person who types these lines and makes these choices, then leaves."""

    typed: list[str] = field(default_factory=list)
    chosen: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def read(self) -> str:
        if not self.typed:
            raise EOFError
        line = self.typed.pop(0)
        if line == "^C":
            raise KeyboardInterrupt
        return line

    def choose(self, question: str, keys: str) -> str:
        self.asked.append(question)
        choice = self.chosen.pop(0)
        assert choice in keys
        return choice


@dataclass
class Stage:
    """Everything of one talk."""

    engine: ScriptedEngine
    session: MadeSession
    lines: Lines
    talk: Talk
    out: io.StringIO
    err: io.StringIO

    def play(self, *typed: str, chosen: tuple[str, ...] = ()) -> None:
        self.lines.typed, self.lines.chosen = list(typed), list(chosen)
        chat(self.talk, cast(ChatInput, self.lines), our_folders())
        assert not self.lines.chosen

    def sent(self, request: int = -1) -> list[str]:
        return [message["content"] for message in self.engine.requests[request]["messages"]]


def no_model(name: str) -> LocalModel:
    raise WrongUse(f"no model is called {name}")


@pytest.fixture
def stage() -> Iterator[Stage]:
    with serving(ScriptedEngine()) as engine:
        out, err, lines, session = io.StringIO(), io.StringIO(), Lines(), MadeSession(engine)
        console = Console(stdin=None, stdout=out, stderr=err)
        talk = Talk(
            console,
            cast(EngineSession, session),
            cast(ChatInput, lines),
            AnswerOptions(seed=7),
            obtain=no_model,
        )
        yield Stage(engine, session, lines, talk, out, err)


def test_answers_follow_each_other_and_reasoning_is_not_fed_back(stage: Stage) -> None:
    stage.engine.replies = [Reply(("One ", "two."), reasoning=("hm hm",)), Reply(("Three.",))]
    stage.play("first", "second")
    assert stage.sent() == ["first", "One two.", "second"]
    assert stage.out.getvalue() == "thinking: hm hm\n\nOne two.\nThree.\n"
    assert "4 tokens · 10.0 tokens/s · context 6 of 1,000 · 1 reused" in stage.err.getvalue()
    assert stage.engine.requests[0]["seed"] == 7


def test_thinking_can_be_folded_and_shown(stage: Stage) -> None:
    stage.engine.replies = [Reply(("One.",), reasoning=("hm", " hm")), Reply(("Two.",), reasoning=("ah",))]
    stage.play("/thinking hide", "first", "/thinking", "/thinking show", "second", "/thinking maybe")
    folded = "(thought: 2 pieces; /thinking shows it)\n\nOne.\n"
    assert stage.out.getvalue() == folded + "thinking: ah\n\nTwo.\n"
    said = stage.err.getvalue()
    assert "Thinking is folded from now on.\n" in said and "\nhm hm\n" in said
    assert "/thinking takes show or hide" in said


def test_control_tokens_in_an_answer_are_named(stage: Stage) -> None:
    stage.engine.replies = [Reply(("Paris.<|im_end|>",)), Reply(("Rome.",))]
    stage.play("capital of France?", "and of Italy?")
    assert stage.err.getvalue().count("control tokens as text (<|im_end|>), those of ChatML") == 1


def test_the_window_is_announced_at_75_and_90_once(stage: Stage) -> None:
    stage.engine.n_ctx = 100
    stage.engine.replies = [
        Reply(("word " * 76,)),
        Reply(("word " * 4,)),
        Reply(("word " * 7,)),
        Reply(("w",)),
    ]
    stage.play("a", "b", "c", "d")
    said = stage.err.getvalue()
    assert said.count("75 % full") == 1
    assert said.count("90 % full") == 1


def test_an_answer_at_the_end_of_the_window_is_called_unfinished_and_dropping_is_chosen(stage: Stage) -> None:
    stage.engine.n_ctx = 20
    stage.engine.replies = [
        Reply(("one two three",)),
        Reply(("cut cut cut cut",), finish_reason="length"),
        Reply(("whole now",)),
    ]
    stage.play("first question", "second question", chosen=("d",))
    assert "The context window is full: the answer above is unfinished." in stage.err.getvalue()
    assert "Dropped the oldest 1 of 2 questions" in stage.err.getvalue()
    assert stage.sent() == ["second question"]
    assert [turn.text for turn in stage.talk.conversation.turns] == ["second question", "whole now"]


def test_a_question_that_does_not_fit_says_both_figures_and_keeping_takes_it_back(stage: Stage) -> None:
    stage.engine.n_ctx = 10
    stage.engine.replies = [Reply(("fine",)), Reply(), Reply(("still here",))]
    stage.play("hello", "long " * 20, "again", chosen=("k",))
    assert stage.lines.asked == ["l/k? "]  # dropping what was before would not make room for it
    assert "This does not fit: the prompt has 25 tokens, the context window 10." in stage.err.getvalue()
    assert stage.sent() == ["hello", "fine", "again"]


def test_a_very_long_conversation_is_counted_from_its_end_and_never_laid_out_whole(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once the engine laid out 10,000 turns for a minute, without a word, to find that they are too many."""
    monkeypatch.setattr(stage.session, "larger_n_ctx", lambda *, needed_tokens: None)
    exchange = (Turn(Role.USER, "word " * 9), Turn(Role.ASSISTANT, "word " * 9))
    stage.talk.conversation = Conversation(turns=exchange * 5_000)
    stage.engine.n_ctx = 1_000
    stage.engine.replies = [Reply(("whole",))]
    stage.play("and now?", chosen=("d",))
    said = stage.err.getvalue()
    assert "This does not fit: the last 100 of 5,001 questions alone have 1," in said
    assert "Dropped the oldest 4,97" in said
    counted = [len(body["messages"]) for path, body in stage.engine.asked if path == "/apply-template"]
    assert max(counted) < 500
    assert len(counted) < 20
    assert 400 <= sum(len(text.split()) for text in stage.sent()) <= 500


def test_a_window_that_cannot_be_is_answered_in_the_chats_own_words(stage: Stage) -> None:
    stage.session.refusal = DoesNotFit(
        "too large", hint="A window of 4,096 tokens would fit: --ctx-size 4096."
    )
    stage.play("/context 1000000")
    assert "would fit: /context 4096." in stage.err.getvalue()


def test_a_question_that_fits_no_window_is_taken_back_without_offers_that_cannot_help(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stage.session, "larger_n_ctx", lambda *, needed_tokens: None)
    stage.engine.n_ctx = 10
    stage.engine.replies = [Reply(("fine",)), Reply(), Reply(("still here",))]
    stage.play("hello", "long " * 20, "again")
    assert stage.lines.asked == []
    assert "Even alone it is too long" in stage.err.getvalue()
    assert stage.sent() == ["hello", "fine", "again"]


def test_a_pasted_byte_that_is_no_text_is_not_sent(stage: Stage) -> None:
    stage.engine.replies = [Reply(("fine",))]
    stage.play("caf\udce9", "hello")
    assert "what was typed is not text: byte 0xe9 at character 3" in stage.err.getvalue()
    assert stage.sent() == ["hello"]


def test_starting_anew_keeps_only_the_question(stage: Stage) -> None:
    stage.engine.n_ctx = 12
    stage.talk.conversation = stage.talk.conversation.__class__(system="Be brief.")
    stage.engine.replies = [Reply(("five words of an answer",)), Reply(), Reply(("ok",))]
    stage.play("hello", "and what is that now", chosen=("n",))
    assert stage.sent() == ["Be brief.", "and what is that now"]


def test_a_larger_window_restarts_the_engine_and_keeps_everything(stage: Stage) -> None:
    stage.engine.n_ctx = 12
    stage.engine.replies = [Reply(("five words of an answer",)), Reply(), Reply(("ok",))]
    stage.play("hello", "and what is that now", chosen=("l",))
    assert stage.session.restarts == [24]
    assert stage.sent() == ["hello", "five words of an answer", "and what is that now"]


def test_a_larger_window_that_does_not_fit_says_so_and_the_talk_goes_on(stage: Stage) -> None:
    stage.engine.n_ctx = 13
    stage.session.refusal = DoesNotFit("needs 9 GiB, 1 GiB are free")
    stage.engine.replies = [Reply(("five words of an answer",)), Reply(), Reply(("ok",))]
    stage.play("hello", "and what is that now then", "so?", chosen=("l", "k"))
    assert "needs 9 GiB" in stage.err.getvalue()
    assert "The context window is still full." in stage.err.getvalue()
    assert stage.sent() == ["hello", "five words of an answer", "so?"]


def test_a_stream_without_its_end_mark_is_said_to_be_cut_off(stage: Stage) -> None:
    stage.engine.replies = [Reply(("half an ans",), has_end_mark=False), Reply(("on",))]
    stage.play("hello", "go on")
    assert "(cut off: the stream ended before the answer did)" in stage.err.getvalue()
    assert stage.out.getvalue().startswith("half an ans\n")
    assert stage.sent() == ["hello", "half an ans", "go on"]
    assert stage.talk.conversation.turns[1].ending is Ending.CUT_OFF


def test_a_dead_engine_is_named_with_its_cause_and_started_again_when_wished(stage: Stage) -> None:
    reason = ExitReason(
        ExitKind.CRASHED, "the engine crashed: GGML_ASSERT(n > 0)", ("ggml.c:1: GGML_ASSERT",)
    )
    stage.session.death = EngineStopped(reason)
    stage.engine.replies = [Reply(("half",), has_end_mark=False), Reply(("whole",))]
    stage.play("hello", chosen=("r",))
    said = stage.err.getvalue()
    assert "(cut off: the engine ended before the answer did)" in said
    assert "error: the engine crashed: GGML_ASSERT(n > 0)" in said
    assert stage.session.restarts == [None]
    assert [turn.text for turn in stage.talk.conversation.turns] == ["hello", "whole"]


def test_a_dead_engine_left_stopped_keeps_the_conversation(stage: Stage) -> None:
    stage.session.death = EngineStopped(ExitReason(ExitKind.KILLED, "somebody killed the engine"))
    stage.engine.replies = [Reply(("half",), has_end_mark=False)]
    stage.play("hello", chosen=("k",))
    assert [turn.text for turn in stage.talk.conversation.turns] == ["hello", "half"]


def test_a_refused_request_is_shown_and_the_question_taken_back(stage: Stage) -> None:
    error = {"code": 500, "message": "the template failed", "type": "server_error"}
    stage.engine.replies = [Reply(status=500, error=error), Reply(("ok",))]
    stage.play("hello", "again")
    assert "the template failed" in stage.err.getvalue()
    assert stage.sent() == ["again"]


def test_ctrl_c_stops_the_answer_and_keeps_what_came(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    pause = threading.Event()
    stage.engine.replies = [Reply(("first words ", "never seen"), pause=pause), Reply(("on",))]
    paint = stage.talk._paint

    def interrupted(stream: Any, painter: Any, watch: Any) -> None:
        for _ in stream.events():
            painter.content("first words ")
            raise KeyboardInterrupt

    monkeypatch.setattr(stage.talk, "_paint", interrupted)
    stage.play("hello")
    pause.set()
    monkeypatch.setattr(stage.talk, "_paint", paint)
    assert "(stopped)" in stage.err.getvalue()
    assert stage.talk.conversation.turns[-1].text == "first words "
    assert stage.talk.conversation.turns[-1].ending is Ending.STOPPED
    stage.play("go on")
    assert stage.sent() == ["hello", "first words ", "go on"]


def test_ctrl_c_at_the_prompt_says_how_to_leave(stage: Stage) -> None:
    stage.play("^C", "^C")
    assert stage.err.getvalue() == "Ctrl-D or /quit leaves.\n" * 2


def test_commands(stage: Stage) -> None:
    stage.engine.replies = [Reply(("An answer.",)), Reply(("Ok.",))]
    stage.play(
        "/system Be brief.", "hello there", "/context", "/save talk", "/clear", "/load", "/load talk", "again"
    )
    said = stage.err.getvalue()
    assert "system prompt: Be brief." in said
    assert "context window: 1,000 tokens, 1 % used" in said
    assert "saved: talk" in said
    assert "Loaded 1 question, held with made." in said
    assert stage.sent() == ["Be brief.", "hello there", "An answer.", "again"]


def test_commands_that_cannot_be_followed_say_why_and_end_nothing(stage: Stage) -> None:
    stage.engine.replies = [Reply(("Ok.",))]
    stage.play("/contxt", "/context much", "/load absent", "/save a\x07b", "/quit now", "still here")
    said = stage.err.getvalue()
    assert "Did you mean /context?" in said
    assert "'much' is not a number of tokens" in said
    assert "there is no file" in said
    assert "/quit takes no argument" in said
    assert "\x07" not in said
    assert stage.sent() == ["still here"]


def test_quit_leaves_at_once(stage: Stage) -> None:
    stage.play("/quit", "never asked")
    assert stage.lines.typed == ["never asked"]
    assert stage.engine.requests == []
