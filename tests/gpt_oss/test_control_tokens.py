"""Which words of an answer count as control tokens, and which do not."""

from __future__ import annotations

import pytest

from bringup.engine.control_tokens import find_raw_control
from bringup.faces.render.chat import raw_control_line


@pytest.mark.parametrize(
    ("answer", "tokens", "whose"),
    [
        ("<|channel|>analysis<|message|>Hm<|end|>", ("<|channel|>", "<|message|>", "<|end|>"), "harmony"),
        ("analysisThey greet.assistantfinalHello!", ("assistantfinal",), "harmony"),
        ("Let us call it.assistantcommentary to=f", ("assistantcommentary",), "harmony"),
        ("Paris.<|im_end|>", ("<|im_end|>",), "ChatML"),
        ("Paris.<|eot_id|>", ("<|eot_id|>",), "Llama 3"),
        ("Paris.<end_of_turn>", ("<end_of_turn>",), "Gemma"),
    ],
)
def test_found(answer: str, tokens: tuple[str, ...], whose: str) -> None:
    found = find_raw_control(answer)
    assert found is not None
    assert found.tokens == tokens
    assert whose in found.format_name
    assert tokens[0] in raw_control_line(found)


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "The tag `<|channel|>` begins a channel.",
        "```\n<|start|>assistant<|channel|>final\n```",
        "```\n<|im_start|>user",
        "Use <div> and <|pipe|>; the assistant finally answers. assistantfinally",
        "a < b and [1] [INSTALL]",
    ],
)
def test_left_in_peace(answer: str) -> None:
    assert find_raw_control(answer) is None


def test_what_was_asked_about_may_be_answered() -> None:
    assert find_raw_control("<|im_end|> ends a turn.", asked=["What does <|im_end|> mean?"]) is None
    found = find_raw_control("<|im_end|> ends a turn.<|im_start|>", asked=["What does <|im_end|> mean?"])
    assert found is not None and found.tokens == ("<|im_start|>",)
