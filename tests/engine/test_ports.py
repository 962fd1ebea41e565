"""Ports: who says which, what happens when one is taken, who is named."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from tests.stubs.ports import free_port

from bringup.engine.ports import DEFAULT_PORTS, PortTaken, choose_port, describe_holder
from bringup.errors import WrongUse
from bringup.machine import sockets
from bringup.machine.sockets import PortHolder, is_only_listener, port_holders


@contextmanager
def listening(port: int = 0, address: str = "127.0.0.1") -> Iterator[int]:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind((address, port))
        server.listen()
        yield server.getsockname()[1]


def test_the_command_line_comes_before_the_environment_and_that_before_the_configuration() -> None:
    one, two, three = free_port(), free_port(), free_port()
    assert choose_port(explicit=one, environment=str(two), configured=three, may_move=False).port == one
    assert choose_port(environment=str(two), configured=three, may_move=False).port == two
    assert choose_port(environment="", configured=three, may_move=False).port == three


def test_a_taken_port_names_its_holder() -> None:
    with listening() as port, pytest.raises(PortTaken) as caught:
        choose_port(explicit=port, may_move=False)
    assert caught.value.reference == "port-in-use"
    holder = caught.value.holder
    assert holder is not None and holder.pid == os.getpid() and holder.user_id == os.getuid()
    assert str(os.getpid()) in caught.value.context[0]


def test_a_taken_port_gives_way_to_the_next_free_one() -> None:
    with listening() as port:
        choice = choose_port(explicit=port, may_move=True)
    assert choice.wanted == port and choice.port > port and choice.holder is not None


def test_the_default_moves_to_the_engine_s_next_default(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = free_port(), free_port()
    monkeypatch.setattr("bringup.engine.ports.DEFAULT_PORTS", (first, second))
    assert choose_port(may_move=False).port == first
    with listening(first):
        assert choose_port(may_move=False).port == second
        with listening(second):
            assert choose_port(may_move=False).port not in (first, second)
    assert DEFAULT_PORTS == (8080, 9931)


def test_a_port_of_a_detached_engine_between_two_starts_is_taken() -> None:
    port = free_port()
    assert choose_port(explicit=port, claimed=frozenset({port}), may_move=True).port != port
    with pytest.raises(PortTaken):
        choose_port(explicit=port, claimed=frozenset({port}), may_move=False)


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0", "::1", "::"])
def test_a_listener_at_any_address_takes_the_port(address: str) -> None:
    with listening(address=address) as port:
        assert not sockets.is_port_free(port)
        assert [h.address for h in port_holders(port)] == [address]


def test_a_port_in_time_wait_is_free() -> None:
    with listening() as port:
        server = socket.create_server(("127.0.0.1", 0))
        client = socket.create_connection(server.getsockname())
        accepted, _ = server.accept()
        used = server.getsockname()[1]
        accepted.close()  # the side that closes first waits
        client.close()
        server.close()
    assert sockets.is_port_free(used) and sockets.is_port_free(port)


def test_the_only_listener_is_known_from_a_second_one() -> None:
    with listening() as port:
        assert is_only_listener(os.getpid(), port)
        assert not is_only_listener(os.getppid(), port)
        stranger = subprocess.Popen(
            [
                sys.executable,
                "-c",
                f"import socket;s=socket.create_server(('127.0.0.2',{port}));print(1,flush=True);input()",
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        with stranger:
            assert stranger.stdout is not None and stranger.stdout.readline()
            assert not is_only_listener(os.getpid(), port)
            stranger.kill()
    assert not is_only_listener(os.getpid(), port)


def test_whether_a_listener_still_holds_its_socket_is_a_quick_look() -> None:
    with listening() as port:
        mine = sockets.sole_listener_sockets(os.getpid(), port)
        assert len(mine) == 1
        assert sockets.holds_sockets(os.getpid(), mine)
        assert not sockets.holds_sockets(os.getppid(), mine)
        assert sockets.sole_listener_sockets(os.getppid(), port) == frozenset()
    assert not sockets.holds_sockets(os.getpid(), mine), "it is closed"
    assert not sockets.holds_sockets(os.getpid(), frozenset()), "none is not one of its own"


def test_another_user_s_holder_is_named_by_its_user() -> None:
    words = describe_holder(PortHolder(8080, "0.0.0.0", 1001, None, None))
    assert "1001" in words and "None" not in words


@pytest.mark.parametrize("port", [0, -1, 65536])
def test_no_port_number(port: int) -> None:
    with pytest.raises(WrongUse):
        choose_port(explicit=port, may_move=True)


@pytest.mark.parametrize("text", ["http", "80a", "-1", "٣", "99999"])
def test_no_port_number_in_the_environment(text: str) -> None:
    with pytest.raises(WrongUse):
        choose_port(environment=text, may_move=True)


def test_an_address_that_is_not_ours_is_no_taken_port() -> None:
    port = sockets.free_port()
    with pytest.raises(WrongUse, match=r"no server here can listen on 192\.0\.2\.1"):
        choose_port(explicit=port, host="192.0.2.1", may_move=False)
