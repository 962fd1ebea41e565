"""Ports for servers of tests."""

from __future__ import annotations

import os
import random

from bringup.machine.sockets import is_port_free

_LOWEST = 12_000
_CHOOSER = random.Random(os.getpid())
_GIVEN: set[int] = set()
# Of processes that test at once (tests/lanes.py) each has ports of its own.
_LANES = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
_LANE = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % _LANES


def free_port() -> int:
    """A port that is free now, and that neither an outgoing connection nor a second call will get.

    The kernel takes ports for connections from a range of its own: a port of that range, asked for by binding
    to 0, can be gone again before a server has started.
    """
    with open("/proc/sys/net/ipv4/ip_local_port_range") as limits:
        first_outgoing = int(limits.read().split()[0])
    while True:
        port = _CHOOSER.randrange(_LOWEST, max(first_outgoing, _LOWEST + 10_000))
        if port % _LANES == _LANE and port not in _GIVEN and is_port_free(port):
            _GIVEN.add(port)
            return port
