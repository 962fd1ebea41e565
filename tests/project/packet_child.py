"""Runs commands where every packet is seen: started in a network namespace of its own, whose only way out is
a tun device that this program holds. Standard input: JSON lines of argv; answers with a JSON line for each.

The name server lies beyond the device too and never answers: what is asked of it is told by name.
"""

from __future__ import annotations

import fcntl
import json
import os
import select
import struct
import subprocess
import sys
import time

TUNSETIFF = 0x400454CA
IFF_TUN, IFF_NO_PI = 0x0001, 0x1000
UDP, DNS_PORT = 17, 53


def open_way_out(resolver_file: str) -> int:
    """The device, as the default route; and a name server behind it."""
    tun = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH", b"seen0", IFF_TUN | IFF_NO_PI))
    with open("/proc/sys/net/ipv6/conf/seen0/disable_ipv6", "w") as file:
        file.write("1")
    for words in (
        "link set lo up",
        "addr add 10.99.0.1/24 dev seen0",
        "link set seen0 up",
        "route add default via 10.99.0.2",
    ):
        subprocess.run(["ip", *words.split()], check=True)
    with open(resolver_file, "w") as file:
        file.write("nameserver 10.99.0.53\n")
    subprocess.run(["mount", "--bind", resolver_file, "/etc/resolv.conf"], check=True)
    return tun


def seen(tun: int) -> list[str]:
    """Every packet since the last look: `udp 10.99.0.53 example.org` for a question, else `6 1.2.3.4`."""
    found = []
    while select.select([tun], [], [], 0.05)[0]:
        packet = os.read(tun, 65535)
        head = (packet[0] & 15) * 4
        target = ".".join(map(str, packet[16:20]))
        if packet[9] == UDP and struct.unpack_from(">H", packet, head + 2)[0] == DNS_PORT:
            found.append(f"dns {target} {question(packet[head + 8 + 12 :])}")
        else:
            found.append(f"protocol {packet[9]} {target}")
    return found


def question(data: bytes) -> str:
    labels, at = [], 0
    while at < len(data) and data[at]:
        labels.append(data[at + 1 : at + 1 + data[at]].decode("ascii", "replace"))
        at += data[at] + 1
    return ".".join(labels)


def main() -> None:
    tun = open_way_out(sys.argv[1])
    for line in sys.stdin:
        seen(tun)
        started = time.monotonic()
        done = subprocess.run(
            json.loads(line), stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=90
        )
        answer = {
            "code": done.returncode,
            "took_s": time.monotonic() - started,
            "text": (done.stdout + done.stderr).decode("utf-8", "replace")[-4000:],
            "packets": seen(tun),
        }
        print(json.dumps(answer), flush=True)


main()
