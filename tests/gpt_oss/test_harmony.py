"""gpt-oss's format through the real engine: channels, effort, tools, and what goes wrong with them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.gpt_oss.conftest import ServeModel, answers, copy_of
from tests.stubs.command_line import Home, run_cli

from bringup.actions.chat.conversation import Conversation, Role, Turn
from bringup.engine.answer_errors import RequestRefused
from bringup.engine.answers import ContentDelta, Finished, ReasoningDelta, ToolCallDelta

CHANNEL, START, END, MESSAGE = "<[200005]>", "<[200006]>", "<[200007]>", "<[200008]>"
# A grammar makes random weights say this, so that the engine's own parser takes it apart.
TWO_CHANNELS = (
    f'root ::= {CHANNEL} "analysis" {MESSAGE} "They greet me." {END} '
    f'{START} "assistant" {CHANNEL} "final" {MESSAGE} "Hello!"'
)
NO_CHANNEL = 'root ::= "analysisThey greet me.assistantfinalHello!"'
HELLO = [{"role": "user", "content": "Hello"}]
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
TOOL_CALL = (
    b"<|channel|>", b"comment", b"ary", b" to", b"=", b"functions", b".get", b"_weather", b" ",
    b"<|constrain|>", b"json", b"<|message|>", b'{"', b"city", b'":"', b"Rome", b'"}', b"<|call|>",
)  # fmt: skip
RAW = (b"<|channel|>", b"final", b"<|message|>", b"Hello", b"<|constrain|>", b" world", b"<|return|>")


def test_channels_and_effort(made: Callable[..., Path], serve: ServeModel, tmp_path: Path) -> None:
    with serve(made("random"), reasoning_effort="high") as (api, _):
        events = list(api.chat(HELLO, grammar=TWO_CHANNELS))
        said = "".join(event.text for event in events if isinstance(event, ContentDelta))
        thought = "".join(event.text for event in events if isinstance(event, ReasoningDelta))
        assert (said, thought) == ("Hello!", "They greet me.")

        # What was thought is shown, kept and not sent back.
        turn = Turn(Role.ASSISTANT, said, thought)
        talk = Conversation("Be brief.").asked("Hello").answered(turn).asked("And now?")
        prompt = api.apply_template([{"role": role.value, "content": text} for role, text in talk.messages()])
        assert "<|channel|>final<|message|>Hello!<|end|>" in prompt
        assert "They greet me." not in prompt
        assert "<|start|>developer<|message|># Instructions\n\nBe brief." in prompt

        # The effort that the engine was started with; a request may name another.
        assert "Reasoning: high" in prompt
        low = api.apply_template(HELLO, chat_template_kwargs={"reasoning_effort": "low"})
        assert "Reasoning: low" in low

        # What the copy of its tokenizer is compared with below.
        real = answers(api)

        # An answer outside of the format is named as that.
        with pytest.raises(RequestRefused) as caught:
            list(api.chat(HELLO, grammar=NO_CHANNEL))
        assert caught.value.reference == "raw-control-tokens"
        assert "chat format" in caught.value.message
    with serve(copy_of(made("random"), tmp_path), reasoning_effort="high") as (api, _):
        assert answers(api) == real


def test_tools(made: Callable[..., Path], serve: ServeModel) -> None:
    with serve(made("tool", TOOL_CALL)) as (api, _):
        events = list(api.chat(HELLO, tools=[WEATHER], temperature=0, max_tokens=40))
        calls = [event for event in events if isinstance(event, ToolCallDelta)]
        assert next(call.name for call in calls if call.name) == "get_weather"
        assert "".join(call.arguments for call in calls) == '{"city":"Rome"}'
        assert not [event for event in events if isinstance(event, ContentDelta)]
        end = events[-1]
        assert isinstance(end, Finished) and end.finish_reason == "tool_calls"


def test_run_names_raw_control_tokens(made: Callable[..., Path], tmp_path: Path) -> None:
    home = Home(tmp_path)
    words = ("--prompt", "Hello", "--temperature", "0", "--ctx-size", "512", "--threads", "1")
    done = run_cli(home, "run", str(made("raw", RAW)), *words)
    assert done.returncode == 0
    assert done.stdout == "Hello<|constrain|> world\n"
    assert "control tokens as text (<|constrain|>), those of harmony, gpt-oss's format" in done.stderr
    assert "bringup faults raw-control-tokens" in done.stderr


def test_an_effort_that_nobody_would_hear_is_refused(small_model: Path, tmp_path: Path) -> None:
    done = run_cli(Home(tmp_path), "run", str(small_model), "--prompt", "Hello", "--reasoning", "low")
    assert done.returncode == 2
    assert "knows no reasoning effort" in done.stderr and "[no-reasoning-effort]" in done.stderr
