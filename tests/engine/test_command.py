"""Settings become arguments and parameters: golden files, refusals, and what builds of other ages get."""

from __future__ import annotations

import importlib
import json
from dataclasses import fields, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bringup.engine.command import (
    TABLE,
    EngineSettings,
    FlashAttention,
    ReasoningFormat,
    arguments,
    parameters,
    plan_arguments,
)
from bringup.engine.embedded import set_parameters
from bringup.engine.help_text import parse_help
from bringup.errors import EngineError, WrongUse

GOLDEN = Path(__file__).with_name("golden")
HELPS = Path(__file__).with_name("data")

PLAIN = EngineSettings(model_path="/models/a b.gguf", alias="smollm2", port=8080, n_ctx=4096, n_threads=4)
KEYED = replace(PLAIN, api_key_file="/state/key")
SETTINGS = {
    "plain": KEYED,
    "no-key": PLAIN,
    "all": EngineSettings(
        model_path="/models/m.gguf",
        alias="qwen3",
        host="0.0.0.0",
        port=9931,
        n_ctx=32768,
        n_parallel=2,
        n_threads=6,
        n_threads_batch=8,
        n_batch=1024,
        n_ubatch=256,
        api_key_file="/state/key",
        n_gpu_layers=20,
        n_cpu_moe=2,
        overrides=((r"output\.weight", "CPU"),),
        tensor_split=(3.0, 1.0),
        split_mode="layer",
        main_gpu=0,
        kv_unified=True,
        swa_full=True,
        kv_offload=False,
        op_offload=False,
        is_mapped=False,
        cache_type_k="q8_0",
        cache_type_v="q8_0",
        flash_attention=FlashAttention.ON,
        embeddings=True,
        pooling="last",
        cache_ram_mib=0,
        reasoning_format=ReasoningFormat.NONE,
        web_page=True,
        metrics=True,
        verbosity=5,
        fits_itself=False,
        reasoning_effort="high",
        temperature=0.25,
        top_p=0.5,
        extra=("--jinja", "--temp", "0.2"),
    ),
}


@pytest.mark.parametrize("name", SETTINGS)
def test_arguments_are_as_recorded(name: str) -> None:
    recorded = (GOLDEN / f"{name}.arguments").read_text().splitlines()
    assert list(arguments(SETTINGS[name])) == recorded


@pytest.mark.parametrize("name", ["plain", "no-key", "all"])
def test_parameters_are_as_recorded(name: str) -> None:
    given_settings = replace(SETTINGS[name], extra=())
    assert parameters(given_settings) == json.loads((GOLDEN / f"{name}.parameters.json").read_text())


def test_every_setting_is_in_the_table() -> None:
    """Changing a setting must change both spellings, or the setting would be a lie."""
    changed = {
        "model_path": "/other.gguf", "alias": "other", "host": "::1", "port": 1, "n_ctx": 1, "n_parallel": 3,
        "n_threads": 9, "n_threads_batch": 9, "n_batch": 9, "n_ubatch": 9, "n_cpu_moe": 1,
        "overrides": (("x", "CPU"),), "tensor_split": (1.0, 2.0), "split_mode": "none", "main_gpu": 1,
        "kv_unified": True, "swa_full": True, "kv_offload": False, "op_offload": False, "is_mapped": False,
        "api_key_file": "/other", "n_gpu_layers": 9,
        "cache_type_k": "q4_0", "cache_type_v": "q4_0", "flash_attention": FlashAttention.OFF,
        "embeddings": True, "pooling": "mean",
        "cache_ram_mib": 9, "reasoning_format": ReasoningFormat.NONE, "web_page": True, "metrics": True,
        "verbosity": 1, "fits_itself": False, "reasoning_effort": "low", "temperature": 0.1, "top_p": 0.1,
    }  # fmt: skip
    assert changed.keys() == {field.name for field in fields(EngineSettings)} - {"extra"}
    for name, value in changed.items():
        other = replace(KEYED, **{name: value})
        assert arguments(other) != arguments(KEYED), name
        assert parameters(other) != parameters(KEYED), name


def test_xllamacpp_takes_every_parameter(tmp_path: Path) -> None:
    """The embedded engine's own parameter object knows each name and type of the table."""
    key = tmp_path / "key"
    key.write_text("# a comment\nsecret\n")
    library = importlib.import_module("xllamacpp")
    target = library.CommonParams()
    set_parameters(library, target, parameters(replace(SETTINGS["all"], extra=(), api_key_file=str(key))))
    assert target.model.path == "/models/m.gguf"
    assert target.model_alias == {"qwen3"}
    assert target.cors_origins == "localhost"
    assert target.api_keys == ["secret", "secret"], "of a single key the engine logs the end"
    assert target.default_template_kwargs == {"reasoning_effort": '"high"'}
    assert target.tensor_split[:3] == [3.0, 1.0, 0.0]
    assert target.tensor_buft_overrides.startswith(r"output\.weight=CPU,blk\.0\.ffn_(up|down|gate|gate_up)")
    assert target.load_mode == library.llama_load_mode.LLAMA_LOAD_MODE_NONE
    assert target.split_mode == library.llama_split_mode.LLAMA_SPLIT_MODE_LAYER
    assert target.cache_type_v == library.ggml_type.GGML_TYPE_Q8_0
    assert target.flash_attn_type == library.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_ENABLED


def test_an_unknown_parameter_is_an_error() -> None:
    library = importlib.import_module("xllamacpp")
    with pytest.raises(AttributeError):
        set_parameters(library, library.CommonParams(), {"n_ctxx": 1})


def test_the_current_engine_knows_all_of_it() -> None:
    known = parse_help((HELPS / "help-2026-11.txt").read_text())
    assert arguments(SETTINGS["all"], known) == arguments(SETTINGS["all"])


def test_an_engine_of_2024_gets_what_it_knows() -> None:
    known = parse_help((HELPS / "help-2024-made.txt").read_text())
    words = arguments(replace(KEYED, flash_attention=FlashAttention.ON, n_gpu_layers=3, verbosity=2), known)
    assert [w for w in words if w.startswith("-") and not known.has(w)] == []
    assert "--flash-attn" in words and words[words.index("--flash-attn") + 1].startswith("--")
    assert "--cors-origins" not in words and "--offline" not in words
    assert "--n-gpu-layers" in words


def test_a_file_that_is_not_mapped_is_said_in_the_builds_own_words() -> None:
    older = parse_help((HELPS / "help-2026-11.txt").read_text().replace("--load-mode MODE", "--no-mmap     "))
    assert "--no-mmap" in arguments(replace(KEYED, is_mapped=False), older)
    words = arguments(replace(KEYED, is_mapped=False))
    assert words[words.index("--load-mode") + 1] == "none"


def test_a_named_tensor_is_placed_before_the_experts_rule() -> None:
    """The engine takes the first rule that matches, as `plan.place` does."""
    both = replace(KEYED, n_cpu_moe=1, overrides=(("ffn_up", "CUDA0"),))
    words = arguments(both)
    assert words.index("--override-tensor") < words.index("--n-cpu-moe")
    assert str(parameters(both)["tensor_buft_overrides"]).startswith("ffn_up=CUDA0,blk")


def test_the_command_of_a_plan_says_nothing_of_our_own_ways() -> None:
    words = plan_arguments(SETTINGS["all"])
    assert "--n-cpu-moe" in words and "--ctx-size" in words
    assert not {"--model", "--port", "--host", "--api-key-file", "--alias", "--offline"} & set(words)


def test_flash_attention_off_is_the_default_of_an_old_switch() -> None:
    known = parse_help((HELPS / "help-2024-made.txt").read_text())
    assert "--flash-attn" not in arguments(replace(KEYED, flash_attention=FlashAttention.OFF), known)


def test_an_engine_without_cors_needs_a_key() -> None:
    known = parse_help((HELPS / "help-2024-made.txt").read_text())
    with pytest.raises(EngineError) as caught:
        arguments(PLAIN, known)
    assert caught.value.reference == "engine-too-old"
    assert arguments(KEYED, known)


def test_an_engine_without_a_needed_option_is_refused() -> None:
    with pytest.raises(EngineError) as caught:
        arguments(KEYED, parse_help("-m, --model FNAME   the model\n"))
    assert caught.value.reference == "engine-too-old"


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.2"])
def test_no_key_means_loopback(host: str) -> None:
    with pytest.raises(WrongUse) as caught:
        arguments(replace(PLAIN, host=host))
    assert caught.value.reference == "open-without-key"
    with pytest.raises(WrongUse):
        parameters(replace(PLAIN, host=host))
    assert arguments(replace(KEYED, host=host))


@pytest.mark.parametrize(
    "word", ["--port", "--host=0.0.0.0", "--api-key", "--cors-origins", "-m", "--no-webui"]
)
def test_extra_arguments_cannot_undo_ours(word: str) -> None:
    with pytest.raises(WrongUse) as caught:
        arguments(replace(KEYED, extra=(word, "x")))
    assert caught.value.reference == "engine-flag-ours"


def test_an_unknown_extra_argument_is_named_before_the_start() -> None:
    known = parse_help((HELPS / "help-2026-11.txt").read_text())
    with pytest.raises(WrongUse, match="--tempp"):
        arguments(replace(KEYED, extra=("--tempp", "-0.5")), known)
    assert arguments(replace(KEYED, extra=("--temp", "-0.5")), known)


def test_the_embedded_engine_takes_no_arguments() -> None:
    with pytest.raises(WrongUse):
        parameters(replace(KEYED, extra=("--jinja",)))


@pytest.mark.parametrize("alias", ["", "  ", "a,b"])
def test_an_alias_is_one_name(alias: str) -> None:
    with pytest.raises(WrongUse):
        arguments(replace(KEYED, alias=alias))


@given(st.text(min_size=1), st.text(min_size=1).filter(lambda text: not text.startswith("-")))
def test_values_stay_one_word(path: str, extra: str) -> None:
    """Whatever a path holds, it is one argument: there is no shell and no splitting."""
    words = arguments(replace(KEYED, model_path=path, extra=("--lora", extra)))
    assert words[words.index("--model") + 1] == path
    assert words[-1] == extra


def test_the_key_is_in_no_argument(tmp_path: Path) -> None:
    assert "--api-key" not in arguments(KEYED)
    assert all(option.flag != "--api-key" for option in TABLE)
