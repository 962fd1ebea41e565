"""Smaller quantisations worked out from a header, against files that are public."""

from __future__ import annotations

import pytest
from tests.plan.models import anatomy

from bringup.plan.requantised import MIXTURES, requantise, smaller_mixtures
from bringup.units import GIB

PUBLISHED_BYTES = {
    "Q8_0": 8_540_775_840,
    "Q6_K": 6_596_006_304,
    "Q5_K_M": 5_732_992_416,
    "Q4_K_M": 4_920_739_232,
    "Q4_K_S": 4_692_669_856,
    "IQ4_XS": 4_447_667_616,
    "Q3_K_M": 4_018_918_816,
    "Q3_K_S": 3_664_504_224,
    "Q2_K": 3_179_136_416,
}
"""Files of Meta-Llama-3.1-8B-Instruct as the hub lists them, header included."""


@pytest.mark.parametrize("label", MIXTURES)
def test_the_tensors_of_a_public_model_to_the_byte_beside_its_header(label: str) -> None:
    header = PUBLISHED_BYTES[label] - requantise(anatomy("Llama-3.1-8B"), label).size_bytes
    assert 7_830_000 < header < 7_850_000


def test_only_what_is_smaller_by_a_tenth_is_offered() -> None:
    model = anatomy("Llama-3.1-8B")
    size = sum(tensor.size_bytes for tensor in model.whole.values())
    size += sum(tensor.size_bytes for layer in model.layers for tensor in layer.values())
    offered = list(smaller_mixtures(model))
    assert offered and all(one.size_bytes <= 0.9 * size for one in offered)
    assert [one.size_bytes for one in offered] == sorted((one.size_bytes for one in offered), reverse=True)


def test_a_model_whose_experts_are_of_four_bits_as_published_has_no_smaller_one() -> None:
    assert not list(smaller_mixtures(anatomy("gpt-oss-20b")))
    assert requantise(anatomy("gpt-oss-20b"), "Q2_K").size_bytes > 10 * GIB
