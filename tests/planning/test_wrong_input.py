"""Files and options that no plan can be made of: each gets its own clear answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.model.writing import build, llama_pairs, llama_tensors
from tests.planning.made import described, file_of, planned

from bringup.errors import BringupError, WrongUse
from bringup.model.values import ValueType
from bringup.model.window import NATIVE_ORDER, ByteOrder
from bringup.plan.request import Request

CARD = described("RTX 3060")
TEXT = ValueType.STRING
KINDS = [
    ({"general.type": "adapter", "general.architecture": "llama", "adapter.type": "lora"}, "a LoRA adapter"),
    ({"general.type": "imatrix"}, "an importance matrix"),
    ({"general.architecture": "flux"}, "a model that makes pictures or films"),
    ({"general.architecture": "controlvector"}, "a control vector"),
    ({"general.architecture": "whisper"}, "a model that writes down speech"),
]


@pytest.mark.parametrize(("keys", "what"), KINDS, ids=lambda one: one if isinstance(one, str) else "")
def test_what_is_no_language_model_is_named(tmp_path: Path, keys: dict[str, str], what: str) -> None:
    path = tmp_path / "other.gguf"
    path.write_bytes(build([(key, TEXT, value) for key, value in keys.items()]).data)
    with pytest.raises(BringupError, match=f"{what}, not a language model") as caught:
        planned(path, CARD)
    assert caught.value.reference == "not-a-language-model"
    assert caught.value.hint


def test_a_file_of_the_other_byte_order_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "big.gguf"
    other = next(order for order in ByteOrder if order is not NATIVE_ORDER)
    path.write_bytes(build(llama_pairs(), llama_tensors(), order=other.value).data)
    with pytest.raises(BringupError, match="the other byte order"):
        planned(path, CARD)


@pytest.mark.parametrize("device", ["NOWHERE", "CUDA7", ""])
def test_a_tensor_cannot_lie_on_a_device_that_is_not_there(gpt_oss: Path, device: str) -> None:
    with pytest.raises(WrongUse, match="there is no device") as caught:
        planned(gpt_oss, CARD, Request(overrides=(("ffn", device),)))
    assert "CUDA0, CPU" in (caught.value.hint or "")


@pytest.mark.parametrize(
    "fixed", [{"n_cpu_moe": 12}, {"overrides": (("exps", "CPU"),)}, {"n_gpu_layers": 4}], ids=str
)
def test_no_quality_is_given_where_the_user_fixed_what_it_could_buy(
    gpt_oss: Path, fixed: dict[str, Any]
) -> None:
    """Found by hand: q8_0 was chosen because it is read faster, "and more of the model fits on the cards"."""
    report = planned(gpt_oss, described("RTX 3090"), Request(n_ctx=32_768, **fixed))
    assert report.fits
    assert "--cache-type-k" not in report.command
    assert not any("q8_0" in reason for reason in report.reasons)


def test_a_model_without_experts_keeps_none_in_main_memory(tmp_path: Path) -> None:
    path = file_of(tmp_path, "Llama-3.1-8B")
    report = planned(path, CARD, Request(n_cpu_moe=5))
    assert "experts" not in report.verdict
    assert any("this model has no experts" in reason for reason in report.reasons)
    assert report.verdict == planned(path, CARD).verdict
