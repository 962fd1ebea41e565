"""The port is taken by another program, often an engine that already runs.

Symptom: "address already in use", "couldn't bind HTTP server socket".
Reason: one address and port serve one program. Another server, or an earlier start of this one (a systemd
    service, a container), listens there already.
Sources: https://github.com/ollama/ollama/issues/707
    https://man7.org/linux/man-pages/man8/ss.8.html
"""

from __future__ import annotations

from bringup.faults._fault import Certainty, Safety, Sign, Step

SIGNS = (
    Sign(
        r"[Aa]ddress (?:is )?already in use",
        anchor="already in use",
        example="Error: listen tcp 127.0.0.1:11434: bind: address already in use",
        unless=("ah00072", "nginx: [emerg]"),
    ),
    Sign(
        r"\bEADDRINUSE\b",
        anchor="eaddrinuse",
        example="Error: listen EADDRINUSE: address already in use 127.0.0.1:8080",
    ),
    Sign(
        r"couldn't bind (?:HTTP )?(?:server )?(?:to )?(?:server )?socket",
        anchor="couldn't bind",
        example="main: couldn't bind HTTP server socket, hostname: 127.0.0.1, port: 8080",
    ),
    Sign(
        r"port is already allocated|ports are not available",
        anchor="port",
        example="Error response from daemon: driver failed programming external connectivity: Bind for"
        " 0.0.0.0:8080 failed: port is already allocated",
    ),
    Sign(
        r"Only one usage of each socket address",
        anchor="only one usage of each socket address",
        example="listen tcp 127.0.0.1:11434: bind: Only one usage of each socket address is normally"
        " permitted.",
    ),
    Sign(
        r"listen tcp \S{2,60}: bind: (?!permission denied|can(?:'t|not) assign|An attempt was|The requested)",
        anchor=": bind: ",
        example="Error: listen tcp 127.0.0.1:11434: bind: Normalerweise darf jede Socketadresse (Protokoll,"
        " Netzwerkadresse oder Anschluss) nur jeweils einmal verwendet werden.",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"\[Errno 98\]",
        anchor="[errno 98]",
        example="ERROR: [Errno 98] error while attempting to bind on address ('127.0.0.1', 8000)",
    ),
    Sign(
        r"error while attempting to bind on address(?!.{0,80}cannot assign)",
        anchor="attempting to bind on address",
        example="ERROR: error while attempting to bind on address ('127.0.0.1', 8000): address already"
        " in use",
    ),
    Sign(
        r"[Pp]ort \d{2,5} is (?:already )?(?:in use|taken|occupied)",
        anchor="port ",
        example="Port 8080 is already in use",
        certainty=Certainty.SURE,
    ),
    Sign(
        r"(?i)\b(?:already|still) (?:running|listening|bound|in use) on .{0,30}(?:port\b|:\d{2,5}\b)",
        anchor="on ",
        example="a server is already running on 127.0.0.1:8080",
        certainty=Certainty.LIKELY,
        is_weak=True,
    ),
)

EXPLAINS = ("server-not-ready",)

STEPS = (
    Step("See who listens.", ("ss", "-ltnp"), safety=Safety.LOOK),
    Step(
        "Use the server that runs, or give this one another port: --port 8090 (OLLAMA_HOST=127.0.0.1:11500).",
        safety=Safety.SAFE,
        touches="your start script",
        undo="the former port",
        verify=("ss", "-ltn"),
    ),
    Step(
        "Where it is ollama's service and not wanted, stop that: it would start again if only its process"
        " were killed. (An engine of ours: `bringup stop`.)",
        ("systemctl", "stop", "ollama.service"),
        safety=Safety.DISRUPTIVE,
        needs_root=True,
        touches="the service ollama",
        undo="systemctl start ollama.service",
        verify=("ss", "-ltn"),
    ),
)
