"""A real server of the page over a made view, in a thread; and what a browser's test wants of it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import uvicorn
from tests.live import made
from tests.live.test_top import MadeSampler
from tests.plan.models import anatomy

from bringup.actions.diagnosis.doctor import Examination
from bringup.actions.live.engine_map import EngineMap, draw_map
from bringup.actions.live.faults import Health
from bringup.actions.live.sample import LiveCard, LiveEngine, Sample
from bringup.actions.live.view import LiveView
from bringup.faces.web.access import Access
from bringup.faces.web.app import Site
from bringup.faces.web.pages.memory import Maps
from bringup.faces.web.serve import configuration
from bringup.machine.sockets import free_port
from bringup.plan.request import Request
from bringup.reading import NOT_LOOKED, Known, Reading


class MadeFaults:
    """What the doctor said, as a test makes it."""

    def __init__(self, examination: Examination | None) -> None:
        self.examination = examination
        self.health: Health | None = made.HEALTH
        self.number = 1
        self.events = made.EVENTS
        self.n_again = 0

    def again(self) -> None:
        self.n_again += 1


@dataclass(frozen=True)
class Served:
    """A server that runs: its secrets, what it shows, its address."""

    access: Access
    sampler: MadeSampler
    faults: MadeFaults
    base_url: str

    @property
    def entry(self) -> str:
        """The address with the token that is good now."""
        return f"{self.base_url}/?token={self.access.token}"

    @property
    def cookie(self) -> dict[str, str]:
        return {"Cookie": f"{self.access.cookie_name}={self.access.session}"}


def made_maps(engine: LiveEngine, cards: Sequence[LiveCard]) -> Reading[EngineMap]:
    """The layers of gpt-oss-20b, laid over the made engine."""
    if not engine.model_path:
        return NOT_LOOKED
    found = draw_map(anatomy("gpt-oss-20b"), engine, cards, Request(), "the settings of a made engine")
    return Known(found, engine.model_path)


@contextmanager
def serving(sample: Sample | None = None, examination: Examination | None = None) -> Iterator[Served]:
    """Serve until the block ends."""
    sampler = MadeSampler(sample or made.sample())
    sampler.on_sample(lambda: None)
    faults = MadeFaults(examination)
    view: Any = LiveView(sampler, faults, True)  # type: ignore[arg-type]
    with serving_view(view, made_maps) as (access, base_url):
        yield Served(access, sampler, faults, base_url)


@contextmanager
def serving_view(view: LiveView, maps: Maps = lambda *_: NOT_LOOKED) -> Iterator[tuple[Access, str]]:
    """Serve any view."""
    port = free_port()
    hosts = frozenset({f"127.0.0.1:{port}", f"localhost:{port}"})
    access = Access(port=port, hosts=hosts, export_token="made-export-token-of-a-test")
    server = uvicorn.Server(configuration(Site(view, access, maps).app(), host="127.0.0.1", port=port))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    until_s = time.monotonic() + 10
    while not server.started and time.monotonic() < until_s:
        time.sleep(0.02)
    assert server.started
    try:
        yield access, f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(10)
