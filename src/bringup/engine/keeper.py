"""The engine's keeper: a small process between us and the engine, run as `python -m bringup.engine.keeper`.

Why it exists: the kernel's "die with your parent" signal fires when the *thread* that started the child
ends, so an engine started from a worker thread would die early; and a parent killed with SIGKILL can
clean up nothing. The keeper has one thread, starts the engine from it, and lives in a session of its own,
so that neither Ctrl-C nor a closed terminal reaches the engine. It ends the engine when its parent ends
(its stdin closes, and the parent's process is watched too), when it is asked to, or on SIGTERM and SIGHUP.
Should the keeper itself be killed, the kernel kills the engine.

First line on stdin: the job. A later line asks to stop: the seconds between SIGTERM and SIGKILL. Events go
to stdout. Before the job may come an early one: a process to start that loads its library and waits for its
parameters, while the plan is still being made. Whatever keeps it from being the job's engine (another
program, an end before its time), it is killed and the job starts its own.
"""

from __future__ import annotations

import contextlib
import signal
import sys
from typing import TYPE_CHECKING, Final

from bringup.engine.job import (
    EarlyJob,
    Ended,
    Event,
    KeeperJob,
    NotStarted,
    Started,
    event_line,
    read_job,
)
from bringup.machine import child as hands
from bringup.machine.clock import monotonic_s
from bringup.machine.process import parent_pid

if TYPE_CHECKING:
    from bringup.machine.child import BoundChild, ChildEnd, RotatedFile

_STDIN: Final = 0
_STDOUT: Final = 1
_LOOK_S: Final = 0.25
_DRAIN_S: Final = 0.5
_DRAIN_READS: Final = 64
_AGAIN_S: Final = 2.0
_STOP_SIGNALS: Final = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)


class Keeper:
    """Keeps one engine until it has ended."""

    def __init__(self, job: KeeperJob, child: BoundChild, log: RotatedFile, *, wake: int) -> None:
        """`wake` is readable when a signal came."""
        self._job = job
        self._child = child
        self._log = log
        self._wake = wake
        self._parent = hands.watch_process(job.parent_pid)
        self._reasons = {_STDIN, *(() if self._parent is None else (self._parent,))}
        self._output_ended = False
        self._kill_at_s: float | None = None
        self._again_at_s: float | None = None
        self._was_killed = False

    def run(self) -> Ended:
        """Copy the log, watch for reasons to stop, return how the engine ended."""
        if self._parent is None:
            self._stop()
        while (end := self._child.poll()) is None:
            self._turn()
        self._child.kill_group()
        self._drain()
        return self._told(end)

    def _turn(self) -> None:
        watched = (*self._reasons, self._wake, *(() if self._output_ended else (self._child.output,)))
        ready = hands.wait_readable(watched, self._patience_s())
        if self._child.output in ready:
            self._copy()
        if self._wake in ready:
            caught = hands.read_descriptor(self._wake)
            if any(number in caught for number in map(int, _STOP_SIGNALS)):
                self._stop()
        for descriptor in self._reasons.intersection(ready):
            said = hands.read_descriptor(_STDIN) if descriptor == _STDIN else b""
            # The end of the pipe, or of the parent, means that nobody wants the engine any more.
            if not said:
                self._reasons.discard(descriptor)
            self._stop(_seconds(said))
        self._insist()

    def _insist(self) -> None:
        """While it has been asked to end: ask once more, then kill."""
        now_s = monotonic_s()
        if self._again_at_s is not None and now_s >= self._again_at_s:
            # llama-server in the middle of a long prompt ends at its second signal, at once.
            self._again_at_s = None
            self._child.send(signal.SIGTERM)
        if self._kill_at_s is not None and now_s >= self._kill_at_s and not self._was_killed:
            self._was_killed = True
            self._child.kill_group()

    def _patience_s(self) -> float:
        return _LOOK_S if self._kill_at_s is None else 0.05

    def _stop(self, timeout_s: float | None = None) -> None:
        if self._kill_at_s is None:
            self._kill_at_s = monotonic_s() + (self._job.stop_timeout_s if timeout_s is None else timeout_s)
            self._again_at_s = monotonic_s() + _AGAIN_S
            self._child.send(signal.SIGTERM)
            # A stopped process (SIGSTOP) takes a signal only once it goes on.
            self._child.send(signal.SIGCONT)

    def _copy(self) -> bool:
        """Copy what waits in the output to the log; whether anything did."""
        data = self._child.read_output()
        if data is None:
            self._output_ended = True
        elif data:
            self._log.write(data)
        return bool(data)

    def _drain(self) -> None:
        """Copy the last words: all that is there, however slow the machine; then wait a moment for more."""
        for _ in range(_DRAIN_READS):
            if not self._copy():
                break
        until_s = monotonic_s() + _DRAIN_S
        while not self._output_ended and (left_s := until_s - monotonic_s()) > 0:
            if hands.wait_readable((self._child.output,), left_s):
                self._copy()

    def _told(self, end: ChildEnd) -> Ended:
        return Ended(
            exit_code=end.exit_code,
            signal_number=end.signal_number,
            was_asked=self._kill_at_s is not None,
            was_killed=self._was_killed,
            cpu_s=end.cpu_s,
            peak_bytes=end.peak_bytes,
        )


def _seconds(said: bytes) -> float | None:
    try:
        return float(said.split(b"\n", 1)[0])
    except ValueError:
        return None


def _tell(event: Event) -> None:
    hands.write_descriptor(_STDOUT, event_line(event))


class Lines:
    """Lines on stdin, as long as somebody wants an engine."""

    def __init__(self, *, wake: int, parent_pid: int) -> None:
        """`wake` is readable when a signal came."""
        self._wake = wake
        self._parent = hands.watch_process(parent_pid)
        self._rest = b""

    def next(self) -> bytes:
        """The next one; nothing where the parent is gone, or asked us to end."""
        while self._parent is not None and b"\n" not in self._rest:
            ready = hands.wait_readable((_STDIN, self._wake, self._parent), None)
            if self._wake in ready and _asks_to_stop(self._wake):
                return b""
            more = hands.read_descriptor(_STDIN) if _STDIN in ready else b""
            if not more and (_STDIN in ready or self._parent in ready):
                return b""
            self._rest += more
        line, _, self._rest = self._rest.partition(b"\n")
        return line

    @property
    def has_more(self) -> bool:
        """Whether a further line has come along with the last one."""
        return bool(self._rest)


def _asks_to_stop(wake: int) -> bool:
    caught = hands.read_descriptor(wake)
    return any(number in caught for number in map(int, _STOP_SIGNALS))


class Waiting:
    """A process that was started early and waits for its parameters.

    There is none where it cannot be started: the job itself will say why.
    """

    def __init__(self, job: EarlyJob) -> None:
        """Start it."""
        self._job = job
        self._child: BoundChild | None = None
        with contextlib.suppress(OSError):
            self._child = hands.BoundChild(
                job.argv, environment=job.environment, stdin=None, data_limit_bytes=None
            )

    def taken(self, job: KeeperJob) -> BoundChild | None:
        """The process, with its parameters; `None`, and it is gone, where it cannot be the job's."""
        child = self._child
        given = (
            child is not None
            and self._job.suits(job)
            and child.give(job.stdin.encode(), data_limit_bytes=job.data_limit_bytes)
        )
        if not given:
            self.end()
        return self._child

    def end(self) -> None:
        """Nobody wants it."""
        if self._child is not None:
            self._child.end()
            self._child = None


def _next_job(lines: Lines) -> EarlyJob | KeeperJob | None:
    line = lines.next()
    job = read_job(line) if line else None
    return job if job is not None and job.parent_pid == parent_pid() else None


def main() -> int:
    """Take the job, start the engine, keep it."""
    wake = hands.wake_on_signals((*_STOP_SIGNALS, signal.SIGCHLD))
    lines = Lines(wake=wake, parent_pid=parent_pid())
    waiting: Waiting | None = None
    job = _next_job(lines)
    if isinstance(job, EarlyJob):
        waiting = Waiting(job)
        job = _next_job(lines)
    # A further line asks to stop what was never started.
    if isinstance(job, KeeperJob) and not lines.has_more:
        return _serve(job, waiting.taken(job) if waiting else None, wake)
    if waiting is not None:
        waiting.end()
    return 0


def _serve(job: KeeperJob, child: BoundChild | None, wake: int) -> int:
    """Keep the engine that was started early, or start one and keep it."""
    try:
        log = hands.RotatedFile(job.log_path, limit_bytes=job.log_limit_bytes)
    except OSError as problem:
        if child is not None:
            child.end()
        _tell(NotStarted(f"{job.log_path}: {problem.strerror or problem}"))
        return 1
    try:
        child = child or hands.BoundChild(
            job.argv,
            environment=job.environment,
            stdin=job.stdin.encode(),
            data_limit_bytes=job.data_limit_bytes,
        )
    except OSError as problem:
        _tell(NotStarted(f"{job.argv[0]}: {problem.strerror or problem}"))
        return 1
    if child.identity is not None:
        _tell(Started(child.identity))
    _tell(Keeper(job, child, log, wake=wake).run())
    return 0


if __name__ == "__main__":
    sys.exit(main())
