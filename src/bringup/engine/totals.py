"""What an engine counted since it started, from its `/metrics`."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Final

from bringup.records import dataclass

_LINE: Final = re.compile(r"^llamacpp:(\w+)(?:\{[^}\n]{0,500}\})? ([-+0-9.eE]{1,40})$", re.MULTILINE)
_MOST: Final = 2.0**53
"""No counter of an engine is larger, and none is below 0; what claims to be is taken for not told."""


@dataclass(frozen=True, slots=True)
class EngineTotals:
    """Counters since the engine's start. A request is counted when it has ended. `None`: not told.

    Attributes:
        prompt_tokens: computed tokens of prompts, without those that were reused.
        prompt_s: time for those.
        reused_tokens: prompt tokens that were still in the KV cache.
        predicted_tokens: generated tokens.
        predicted_s: time for those.
        requests_waiting: requests that wait for a slot.
    """

    prompt_tokens: int | None
    prompt_s: float | None
    reused_tokens: int | None
    predicted_tokens: int | None
    predicted_s: float | None
    requests_waiting: int | None


def parse_totals(text: str) -> EngineTotals:
    """Read the counters.

    Raw line: `llamacpp:tokens_predicted_total 61`.

    Raises:
        ValueError: none of them is in it.
    """
    found: dict[str, float] = {}
    for name, number in _LINE.findall(text):
        with suppress(ValueError):
            found[name] = float(number)
    found = {name: value for name, value in found.items() if 0 <= value < _MOST}
    if "tokens_predicted_total" not in found:
        raise ValueError("no line `llamacpp:tokens_predicted_total`")

    def whole(name: str) -> int | None:
        value = found.get(name)
        return int(value) if value is not None else None

    return EngineTotals(
        prompt_tokens=whole("prompt_tokens_total"),
        prompt_s=found.get("prompt_seconds_total"),
        reused_tokens=whole("prompt_tokens_cached_total"),
        predicted_tokens=whole("tokens_predicted_total"),
        predicted_s=found.get("tokens_predicted_seconds_total"),
        requests_waiting=whole("requests_deferred"),
    )
