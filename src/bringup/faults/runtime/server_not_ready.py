"""The server does not answer yet, or nothing listens where the client asks.

Symptom: HTTP 503 "Loading model", "connection refused", or a starter that gives up: "health check failed".
Reason: a large model takes minutes to read from a cold or slow disk, and the starter's patience was
    shorter; or no engine runs at that address.
Sources: https://github.com/mostlygeek/llama-swap/issues/92
    https://github.com/ollama/ollama/issues/5494
"""

from __future__ import annotations

from bringup.faults._fault import Certainty, Safety, Sign, Step

_OTHER_SERVERS = ("5432", "6379", "3306", "redis", "postgres", "mysql", "mongo")
_ELSEWHERE = ("huggingface", "registry.ollama", "hf.co", "docker.io", "nvidia.github.io", "download.")

SIGNS = (
    Sign(
        r"timed out waiting for llama (?:runner|server) to start",
        anchor="timed out waiting for llama",
        example='msg="error loading llama server" error="timed out waiting for llama runner to start -'
        ' progress 1.00 - "',
    ),
    Sign(
        r"health check failed after|health check timed? ?out",
        anchor="health check",
        example="unable to start process: health check failed after 15s",
    ),
    Sign(
        r"503.{0,30}[Ll]oading model|\"message\":\s?\"Loading model\"|model is (?:still )?loading\b",
        anchor="loading",
        example='{"error":{"code":503,"message":"Loading model","type":"unavailable_error"}}',
    ),
    Sign(
        r"closed before \S{1,80} finished loading",
        anchor="finished loading",
        example="client connection closed before llama-server finished loading, aborting load",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"could not connect to (?:a running )?[Oo]llama",
        anchor="could not connect to",
        example="Error: could not connect to ollama app, is it running?",
        certainty=Certainty.LIKELY,
        unless=_ELSEWHERE,
    ),
    Sign(
        r"[Oo]llama server not responding",
        anchor="ollama server not responding",
        example="Error: ollama server not responding - could not find ollama app",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"(?:localhost|127\.0\.0\.1|0\.0\.0\.0|host\.docker\.internal|"
        r"\[::1\]).{0,30}(?:[Cc]onnection refused|ECONNREFUSED)|"
        r"(?:[Cc]onnection refused|ECONNREFUSED).{0,30}(?:localhost|127\.0\.0\.1|host\.docker\.internal|::1)",
        anchor="refused",
        example="dial tcp 127.0.0.1:11434: connect: connection refused",
        certainty=Certainty.LIKELY,
        unless=(*_ELSEWHERE, *_OTHER_SERVERS),
    ),
    Sign(
        r"Failed to connect to (?:localhost|127\.0\.0\.1) port \d{1,10}",
        anchor="failed to connect to",
        example="curl: (7) Failed to connect to localhost port 8080 after 0 ms: Connection refused",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"APIConnectionError",
        anchor="apiconnectionerror",
        example="openai.APIConnectionError: Connection error.",
        certainty=Certainty.LIKELY,
        unless=_ELSEWHERE,
    ),
    Sign(
        r"Max retries exceeded with url: /(?:v1|api|health|completion)",
        anchor="max retries exceeded with url: /",
        example="HTTPConnectionPool(host='localhost', port=11434): Max retries exceeded with url: /api/chat",
        certainty=Certainty.LIKELY,
        unless=_ELSEWHERE,
    ),
    Sign(
        r"HTTPConnectionPool\(host='(?:localhost|127\.0\.0\.1|host\.docker\.internal|ollama|llama\S{0,20})'",
        anchor="httpconnectionpool(host='",
        example="requests.exceptions.ConnectionError: HTTPConnectionPool(host='localhost', port=11434):"
        " Max retries exceeded",
        certainty=Certainty.LIKELY,
        unless=_ELSEWHERE,
    ),
    Sign(
        r"(?:Connect(?:ion)?Error|ConnectionRefusedError).{0,30}\[Errno 111\]|\[Errno 111\] Connection"
        r" refused",
        anchor="[errno 111]",
        example="httpx.ConnectError: [Errno 111] Connection refused",
        certainty=Certainty.LIKELY,
        unless=(*_ELSEWHERE, *_OTHER_SERVERS),
    ),
    Sign(
        r"No models loaded\. Please load a model in",
        anchor="no models loaded. please load",
        example='"error": "No models loaded. Please load a model in the developer page or use the `lms'
        ' load` command."',
        certainty=Certainty.LIKELY,
    ),
)

OVER = (
    Sign(
        r"server is listening on http",
        anchor="server is listening on http",
        example="srv  llama_server: server is listening on http://127.0.0.1:8080",
    ),
    Sign(
        r"llama runner started in \d",
        anchor="llama runner started in",
        example='msg="llama runner started in 2.10 seconds"',
    ),
)

STEPS = (
    Step("See whether an engine runs and at which port.", ("ss", "-ltn"), safety=Safety.LOOK),
    Step(
        "Ask the server how far it is, with your port.",
        ("curl", "-s", "http://127.0.0.1:8080/health"),
        safety=Safety.LOOK,
    ),
    Step(
        "Wait longer: healthCheckTimeout in llama-swap, OLLAMA_LOAD_TIMEOUT=30m in ollama; the second"
        " start is faster, because the file is then in the page cache.",
        safety=Safety.SAFE,
        touches="your start script",
        undo="the former patience",
        verify=("ss", "-ltn"),
    ),
    Step(
        "From a container, name the host's address instead of localhost, and let the server listen"
        " there (--host).",
        safety=Safety.SAFE,
        touches="who can reach the server: give it an API key",
        undo="the former address",
        verify=("ss", "-ltn"),
    ),
)
