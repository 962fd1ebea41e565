"""Quantisations, shards and the default choice, by file names."""

from __future__ import annotations

import pytest

from bringup.store.quants import choose_variant, is_model_file, quant_of, shard_files, variants_of


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Qwen3-4B-Q4_K_M.gguf", "Q4_K_M"),
        ("SmolLM2-135M-Instruct.Q4_1.gguf", "Q4_1"),
        ("qwen2.5-7b-instruct-q4_k_m-00001-of-00002.gguf", "Q4_K_M"),
        ("Qwen3-30B-UD-Q4_K_XL.gguf", "UD-Q4_K_XL"),
        ("m-IQ2_XXS.gguf", "IQ2_XXS"),
        ("gpt-oss-20b-mxfp4.gguf", "MXFP4"),
        ("BF16/m-BF16-00001-of-00002.gguf", "BF16"),
        ("model-f16.gguf", "F16"),
        ("Q8_0/model.gguf", "Q8_0"),
        ("plain.gguf", ""),
        ("FAQ4_you.gguf", ""),
    ],
)
def test_a_file_name_tells_its_quantisation(name: str, expected: str) -> None:
    assert quant_of(name) == expected


@pytest.mark.parametrize("name", ["mmproj-F16.gguf", "m/imatrix.gguf", "mtp-x.gguf", "a.py", "x.gguf.pkl"])
def test_companions_and_other_files_are_no_models(name: str) -> None:
    assert not is_model_file(name)


def test_without_a_word_the_choice_is_q4_k_m_then_q8_0_then_the_first() -> None:
    def chosen(*names: str) -> str:
        variant = choose_variant(variants_of(names), None)
        assert variant is not None
        return variant.files[0]

    assert chosen("m-Q8_0.gguf", "m-Q4_K_M.gguf", "m-Q2_K.gguf", "mmproj-Q4_K_M.gguf") == "m-Q4_K_M.gguf"
    assert chosen("m-Q8_0.gguf", "m-Q2_K.gguf") == "m-Q8_0.gguf"
    assert chosen("m-Q6_K.gguf", "m-Q5_K_M.gguf") == "m-Q5_K_M.gguf"
    assert choose_variant(variants_of(["mmproj-F16.gguf"]), None) is None


def test_a_quantisation_is_matched_whole_and_in_any_case() -> None:
    variants = variants_of(["m-Q4_K_M.gguf", "m-Q4_K_S.gguf", "m-UD-Q4_K_XL.gguf"])
    found = choose_variant(variants, "q4_k_s")
    assert found is not None
    assert found.files == ("m-Q4_K_S.gguf",)
    assert choose_variant(variants, "Q4_K") is None
    assert choose_variant(variants, "Q8_0") is None


def test_shards_are_one_variant_and_a_missing_one_is_named() -> None:
    names = ["a/m-Q4_0-00001-of-00003.gguf", "a/m-Q4_0-00003-of-00003.gguf"]
    (variant,) = variants_of(names)
    assert variant.files == shard_files(names[0])
    assert variant.missing == ("a/m-Q4_0-00002-of-00003.gguf",)


@pytest.mark.parametrize("name", ["m-00000-of-00002.gguf", "m-00003-of-00002.gguf", "m-00001-of-99999.gguf"])
def test_an_absurd_shard_count_is_not_believed(name: str) -> None:
    assert shard_files(name) == (name,)
