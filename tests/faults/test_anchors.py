"""An anchor that a match does not contain would silence its sign: tried on text made from each pattern."""

from __future__ import annotations

import re

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from bringup.faults._catalogue import load_catalogue
from bringup.faults._fault import Fault, Sign
from bringup.patterns import needed_words

SIGNS = [
    pytest.param(fault, sign, id=f"{fault.id}-{number}")
    for fault in load_catalogue()
    for number, sign in enumerate(fault.signs)
]


@pytest.mark.parametrize(("fault", "sign"), SIGNS)
def test_every_match_contains_the_anchor(fault: Fault, sign: Sign) -> None:
    @settings(
        max_examples=12,
        database=None,
        derandomize=True,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.from_regex(sign.pattern))
    def try_one(text: str) -> None:
        match = re.search(sign.pattern, text)
        if match is not None:
            held = match.group(0).lower()
            assert sign.anchor in held
            needed = needed_words(sign.pattern)
            assert not needed or any(word in held for word in needed)

    try_one()


@pytest.mark.parametrize(("fault", "sign"), SIGNS)
def test_an_anchor_is_long_enough_to_spare_most_lines(fault: Fault, sign: Sign) -> None:
    assert len(sign.anchor) >= 3 or sign.anchor.isdigit(), "short, and no error code"
