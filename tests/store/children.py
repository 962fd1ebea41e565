"""Pulling processes that tests can kill: forked from a server that has everything imported already."""

from __future__ import annotations

import fcntl
import multiprocessing
from dataclasses import dataclass
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess

from bringup.machine.folders import Folders
from bringup.store.landing import Wanted
from bringup.store.prepare import PullPlan
from bringup.store.pull import fetch
from bringup.store.transfer import Remote
from bringup.store.web import Timing, site_of


@dataclass(frozen=True)
class Errand:
    """What a child is to fetch."""

    url: str
    final_path: str
    cache: str
    size_bytes: int
    sha256: str | None

    @property
    def plan(self) -> PullPlan:
        """As `prepare` makes it from a listing."""
        wanted = Wanted(
            final_path=self.final_path,
            name="someone/Some-GGUF/file.gguf",
            address=self.url,
            key=self.sha256 or self.url,
            size_bytes=self.size_bytes,
            sha256=self.sha256,
        )
        return PullPlan("x", "hub", ((wanted, Remote(self.url)),), frozenset({site_of(self.url)}))

    @property
    def folders(self) -> Folders:
        """Folders of ours with this cache."""
        return Folders(configuration=f"{self.cache}/c", cache=self.cache, state=f"{self.cache}/s")


def run_errand(errand: Errand, locks_work: bool = True) -> None:
    """In the child: fetch; exit code 0 when it is there."""
    if not locks_work:
        fcntl.flock = lambda *_: None  # as on a file system where flock succeeds and does nothing
    fetch(
        errand.plan, on_progress=lambda _: None, folders=errand.folders, timing=Timing(pauses_s=(0.05,) * 6)
    )


def start(errand: Errand, *, locks_work: bool = True) -> BaseProcess:
    """A child at work."""
    child = context().Process(target=run_errand, args=(errand, locks_work), daemon=True)
    child.start()
    return child


def context() -> ForkServerContext:
    """One fork server a test run; the heavy imports are paid once."""
    found = multiprocessing.get_context("forkserver")
    found.set_forkserver_preload(["tests.store.children", "httpx", "bringup.model.identify"])
    return found
