"""How fast an engine was: the best of its answers and its longest prompt, told by it or read in its log."""

from __future__ import annotations

from typing import Any, Final

from bringup.errors import FileTrouble
from bringup.machine import files
from bringup.records import dataclass
from bringup.stack.engine_timings import RequestTimings, parse_timings

FEWEST_TOKENS: Final = 16
"""An answer of fewer tokens says nothing of the speed."""
_SHORTEST_PROMPT: Final = 64
"""Nor does a prompt of fewer."""
_TAIL_LIMIT_BYTES: Final = 4 * 1024**2


@dataclass(slots=True)
class MeasuredSpeed:
    """Of all requests of a run.

    Attributes:
        n_tokens: of all answers.
        fastest: tokens a second of the fastest answer.
        long_fastest: of the fastest one that is long enough to say something.
        prompt_rate: of the fastest prompt.
        longest_prompt: tokens of the longest prompt that was computed in one go, and its tokens a second.
    """

    n_tokens: int = 0
    fastest: float = 0.0
    long_fastest: float = 0.0
    prompt_rate: float = 0.0
    longest_prompt: tuple[int, float] = (0, 0.0)

    def add(self, one: RequestTimings) -> None:
        """Count one request."""
        self.n_tokens += one.answer_tokens
        if one.answer_s > 0:
            rate = one.answer_tokens / one.answer_s
            self.fastest = max(self.fastest, rate)
            if one.answer_tokens >= FEWEST_TOKENS:
                self.long_fastest = max(self.long_fastest, rate)
        if one.prompt_s > 0:
            rate = one.prompt_tokens / one.prompt_s
            self.prompt_rate = max(self.prompt_rate, rate)
            if one.prompt_tokens >= _SHORTEST_PROMPT:
                self.longest_prompt = max(self.longest_prompt, (one.prompt_tokens, rate))

    def data(self) -> dict[str, Any]:
        """For the journal; what was not measured is left out, but for the figures that every run has."""
        told: dict[str, Any] = {
            "predicted_tokens": self.n_tokens,
            "predicted_tokens_per_s": round(self.fastest, 3),
            "prompt_tokens_per_s": round(self.prompt_rate, 3),
        }
        if self.long_fastest:
            told["generation_tokens_per_s"] = round(self.long_fastest, 3)
        n_prompt, rate = self.longest_prompt
        if n_prompt:
            told["longest_prompt"] = {"tokens": n_prompt, "tokens_per_s": round(rate, 3)}
        return told


def speed_in_log(path: str) -> MeasuredSpeed:
    """Speeds of the requests since the last start that a log tells; none where it cannot be read."""
    found = MeasuredSpeed()
    try:
        start = max(0, files.size_bytes(path) - _TAIL_LIMIT_BYTES)
        with files.open_binary(path) as log, files.file_errors("read", path):
            log.seek(start)
            data = log.read(_TAIL_LIMIT_BYTES)
    except FileTrouble:
        return found
    for one in parse_timings(data.decode("utf-8", "replace")):
        found.add(one)
    return found
