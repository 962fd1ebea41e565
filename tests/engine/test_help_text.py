"""Options of a build are read from its --help."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bringup.engine.help_text import parse_help

DATA = Path(__file__).with_name("data")

# What a build of each age is asked for; true where it has the option. Lines as printed.
AGES = {
    "until-2025-08": (
        "-fa,   --flash-attn                     enable Flash Attention (default: disabled)",
        False,
    ),
    # https://github.com/mostlygeek/llama-swap/issues/283
    "2025-09": (
        "-fa,   --flash-attn FA                  set Flash Attention use ('on', 'off', or 'auto')",
        True,
    ),
    "2026": (
        "-fa,   --flash-attn [on|off|auto]       set Flash Attention use ('on', 'off', or 'auto')",
        True,
    ),
    "2024-05": ("  -fa,   --flash-attn             enable Flash Attention (default: disabled)", False),
}


@pytest.mark.parametrize("age", AGES)
def test_whether_flash_attn_takes_a_value(age: str) -> None:
    line, takes_value = AGES[age]
    known = parse_help(line)
    assert known.has("--flash-attn") and known.has("-fa")
    assert known.takes_value("--flash-attn") is takes_value


def test_the_whole_help_of_a_build() -> None:
    known = parse_help((DATA / "help-2026-11.txt").read_text())
    assert len(known.with_value | known.alone) > 350
    for option in ("--model", "-m", "--cors-origins", "--no-webui", "--log-verbosity", "-lv", "--offline"):
        assert known.has(option), option
    assert known.has("--port=8080")
    for option in ("--tempp", "--print", "-Q", "--on", "none"):
        assert not known.has(option), option


def test_explanations_are_no_options() -> None:
    text = f"-a, --alias STRING   the name\n{' ' * 40}--not-one STRING is no option\nfoo --bar\n"
    known = parse_help(text)
    assert known.has("--alias") and not known.has("--not-one") and not known.has("--bar")


@given(st.text())
def test_any_text_can_be_read(text: str) -> None:
    parse_help(text)
