"""What an engine's own log says of the speed of its answers, request by request."""

from __future__ import annotations

from typing import Final

from bringup.patterns import regex
from bringup.records import dataclass

_START: Final = "loading model '"
_PROMPT: Final = regex(r"prompt eval time = +([\d.]+) ms / +(\d+) tokens")
_ANSWER: Final = regex(r"(?<!prompt )eval time = +([\d.]+) ms / +(\d+) tokens")


@dataclass(frozen=True, slots=True)
class RequestTimings:
    """One request: tokens that were computed and the time for them; 0 where the log does not say.

    Attributes:
        prompt_tokens: of the prompt, those in the cache left out.
        prompt_s: time for those.
        answer_tokens: of the answer.
        answer_s: time for those.
    """

    prompt_tokens: int = 0
    prompt_s: float = 0.0
    answer_tokens: int = 0
    answer_s: float = 0.0


def parse_timings(text: str) -> tuple[RequestTimings, ...]:
    """Requests since the last start that a log tells of, in order.

    Raw lines: `prompt eval time =     293.17 ms /    40 tokens (...)`, behind it
    `       eval time =    1245.78 ms /    64 tokens (...)`.
    """
    found: list[RequestTimings] = []
    prompt = RequestTimings()
    for line in text[max(0, text.rfind(_START)) :].splitlines():
        if "eval time" not in line:
            continue
        if (match := _PROMPT.search(line)) is not None:
            prompt = RequestTimings(int(match[2]), float(match[1]) / 1000)
        elif (match := _ANSWER.search(line)) is not None:
            found.append(
                RequestTimings(prompt.prompt_tokens, prompt.prompt_s, int(match[2]), float(match[1]) / 1000)
            )
            prompt = RequestTimings()
    return tuple(found)
