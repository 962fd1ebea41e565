"""What a server of the page is told."""

from __future__ import annotations

from bringup.records import dataclass


@dataclass(frozen=True, slots=True)
class Page:
    """What is served: where, of which machine (`None`: this one), looked at how often.

    With `reads_token` the first token comes on stdin from somebody who tells it on, and none is printed.
    """

    host: str
    port: int
    recording: str | None
    interval_s: float
    reads_token: bool = False
