"""What `serve` prints: where the API is, how programs find it, and one request to try."""

from __future__ import annotations

from bringup.actions.running.serve import ServedEngine
from bringup.faces.render.shell_words import shell_word


def served_lines(served: ServedEngine, *, shows_key: bool) -> tuple[str, ...]:
    """Lines for stdout, to be pasted into a shell or read by one: `eval "$(bringup serve ... --detach)"`.

    The key itself is shown on a terminal only; elsewhere (a pipe, a unit's journal) stands where it is.
    """
    return (
        f"# {served.alias} is served at {served.base_url}",
        f"export OPENAI_BASE_URL={shell_word(served.base_url + '/v1')}",
        f"export OPENAI_API_KEY={_key_words(served, shows_key=shows_key)}",
    )


def try_lines(served: ServedEngine) -> tuple[str, ...]:
    """A request that works as it stands, after the two lines above."""
    if served.is_embeddings:
        path, body = "embeddings", '{"input": "Hello"}'
    else:
        path, body = "chat/completions", '{"messages": [{"role": "user", "content": "Hello"}]}'
    key = ('  -H "Authorization: Bearer $OPENAI_API_KEY" \\',) if served.key_file is not None else ()
    return (
        f"curl $OPENAI_BASE_URL/{path} \\",
        *key,
        '  -H "Content-Type: application/json" \\',
        f"  -d {shell_word(body)}",
    )


def slots_line(served: ServedEngine) -> str:
    """How the window is shared out among requests; empty where one request has all of it."""
    if served.n_parallel == 1:
        return ""
    each = served.n_ctx // served.n_parallel
    return (
        f"{served.n_parallel} requests at once, each with {each:,} of the window's {served.n_ctx:,} tokens."
    )


def warnings(served: ServedEngine) -> tuple[str, ...]:
    """What this server opens beyond the usual."""
    lines = []
    if served.key_file is None:
        lines.append(
            "No key: every program and every user of this machine can use the model and see what is asked "
            "of it; so can a web page that gets around your browser's rules."
        )
    if served.is_on_network:
        lines.append(
            f"Listening on {served.host}: everyone on the network who has the key can use the model. "
            "Nothing is encrypted on the way, the key neither."
        )
    return tuple(lines)


def _key_words(served: ServedEngine, *, shows_key: bool) -> str:
    if served.key_file is None:
        return "none"
    key = served.key() if shows_key else None
    return shell_word(key) if key else f'"$(head -n 1 {shell_word(served.key_file)})"'
