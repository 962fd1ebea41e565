"""`bringup prompt`: the copy of the tokenizer answers as the real model does, and what is shown adds up."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.doctor.schema import load_schema, problems
from tests.gpt_oss.conftest import ServeModel, answers, copy_of
from tests.model.writing import tiny_llama
from tests.serve.conftest import Served
from tests.stubs.command_line import Home, run_cli

from bringup.actions.chat.prompt import lay_over
from bringup.engine.answers import TokenPiece
from bringup.faces.render.prompt import spelled


@pytest.mark.parametrize("name", ["small", "sentencepiece"])
def test_the_copy_answers_as_the_model(
    name: str, request: pytest.FixtureRequest, serve: ServeModel, tmp_path: Path
) -> None:
    if name == "small":
        path: Path = request.getfixturevalue("small_model")
    else:
        path = tmp_path / "tiny.gguf"
        path.write_bytes(bytes(tiny_llama().data))
    with serve(path) as (api, _):
        real = answers(api)
    with serve(copy_of(path, tmp_path)) as (api, _):
        assert answers(api) == real


def test_prompt_of_gpt_oss(made: Callable[..., Path], tmp_path: Path) -> None:
    words = ("prompt", str(made("random")), "Hi there", "--system", "Be brief", "--reasoning", "low")
    done = run_cli(Home(tmp_path), *words, "--json")
    assert done.returncode == 0, done.stderr
    shown = json.loads(done.stdout)
    assert problems(shown, load_schema("prompt")) == []
    rendered = shown["rendered"]
    assert rendered.startswith("<|start|>system<|message|>") and rendered.endswith("<|start|>assistant")
    assert "Reasoning: low" in rendered
    assert {part["name"]: part["n_tokens"] for part in shown["parts"]} == {
        "template": shown["n_tokens"] - 4,
        "system prompt": 2,
        "your text": 2,
    }
    mine = [token["text"] for token in shown["tokens"] if token["part"] == "your text"]
    assert mine == ["Hi", " there"]
    special = {token["text"]: token["id"] for token in shown["tokens"] if token["is_special"]}
    assert special == {"<|start|>": 200006, "<|message|>": 200008, "<|end|>": 200007}
    # Two layers of 2 heads of 64 columns, K and V in f16; the prompt is shorter than the window of 128.
    assert shown["kv_cache_bytes"] == shown["n_tokens"] * 2 * 2 * 128 * 2
    assert not list((tmp_path / ".cache/bringup/prompt").iterdir())


def test_through_the_running_engine(served: Served, small_model: Path) -> None:
    words = ("prompt", str(small_model), "What is a GPU?")
    first = json.loads(run_cli(served.home, *words, "--reuse", "--json").stdout)
    assert first["asked"] == f"the engine that runs it on port {served.port}"
    again = run_cli(served.home, *words, "--reuse", "--json")
    second = json.loads(again.stdout)
    # The last token is always computed anew.
    assert second["reused_tokens"] == second["n_tokens"] - 1
    assert second["context_tokens"] and problems(second, load_schema("prompt")) == []
    told = json.loads(run_cli(served.home, *words, "--next", "3", "--json").stdout)
    assert problems(told, load_schema("prompt")) == []
    shares = [choice["probability"] for choice in told["next"]]
    assert len(shares) == 3
    assert 1 >= shares[0] >= shares[1] >= shares[2] > 0
    assert told["reused_tokens"] == told["n_tokens"] - 1, "the same tokens as the chat had"
    assert second["next"] == []
    nobody = run_cli(served.home, *words[:2], "x", "--next", "3", "--engine", "embedded")
    assert nobody.returncode == 2
    on_copy = json.loads(run_cli(served.home, *words, "--engine", "embedded", "--json").stdout)
    assert "copy of its tokenizer" in on_copy["asked"]
    assert [token["id"] for token in on_copy["tokens"]] == [token["id"] for token in second["tokens"]]


def test_as_text(small_model: Path, tmp_path: Path) -> None:
    done = run_cli(Home(tmp_path), "prompt", str(small_model), "Hi")
    assert "<|im_start|>user\nHi<|im_end|>\n" in done.stdout
    assert " <|im_start|>                  template" in done.stdout
    assert "your text" in done.stdout and "KV cache (f16)" in done.stdout


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("no-such-model", "Hi"), 2, "no model is called"),
        (("MODEL", "Hi", "--reuse"), 2, "no engine runs this model"),
        (("MODEL", "Hi", "--reasoning", "low"), 2, "[no-reasoning-effort]"),
        (("BAD", "Hi"), 1, "tokenizer.ggml.tokens, found no such key"),
        (("BROKEN", "Hi"), 1, "[chat-template-failed]"),
    ],
)
def test_refusals(words: tuple[str, ...], code: int, said: str, tmp_path: Path) -> None:
    from tests.model.writing import STRING

    plain = {key: None for key in ("tokens", "scores", "token_type")}
    files = {
        "MODEL": tiny_llama(),
        "BAD": tiny_llama(**{f"tokenizer.ggml.{key}": value for key, value in plain.items()}),
        "BROKEN": tiny_llama(
            **{"tokenizer.chat_template": (STRING, "{{ raise_exception('no such role') }}")}
        ),
    }
    for name, built in files.items():
        (tmp_path / f"{name}.gguf").write_bytes(bytes(built.data))
    typed = [str(tmp_path / f"{word}.gguf") if word in files else word for word in words]
    done = run_cli(Home(tmp_path), "prompt", *typed)
    assert (done.returncode, done.stdout) == (code, "")
    assert said in done.stderr


@given(st.text(max_size=40), st.lists(st.integers(1, 6), max_size=30), st.text(max_size=8))
def test_tokens_that_spell_the_text_are_laid_over_it(text: str, cuts: list[int], mine: str) -> None:
    rendered = f"<s>{mine}</s>{text}"
    raw, pieces, at = rendered.encode(), [], 0
    for length in [*cuts, len(raw)]:
        if raw[at : at + length]:
            pieces.append(TokenPiece(0, raw[at : at + length]))
        at += length
    owners = lay_over(rendered, pieces, [("your text", mine)])
    assert owners is not None and len(owners) == len(pieces)
    assert lay_over(rendered, [*pieces, TokenPiece(0, b"more")], [("your text", mine)]) is None


def test_a_token_that_is_a_part_of_a_character_is_spelled_in_bytes() -> None:
    smile = "\N{GRINNING FACE}".encode()
    assert spelled(smile[:2]) == r"\xf0\x9f"
    assert spelled(smile) == "\N{GRINNING FACE}"
    assert spelled(b'it\'s "so"\n') == 'it\'s "so"\\n'
    assert spelled(rb"\xf0") == r"\\xf0", "typed, and no byte"
