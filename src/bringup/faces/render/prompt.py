"""A prompt as text, as a table of tokens and as data."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from bringup.actions.chat.prompt import PromptReport, PromptToken
from bringup.faces.render.clean import clean
from bringup.faces.render.console import Style, Styled
from bringup.faces.render.format import format_bytes, format_count, format_share, pad

SCHEMA: Final = 1
_SHOWN_TOKENS: Final = 200
_ID_COLUMNS: Final = 7
_TEXT_COLUMNS: Final = 30

Line = tuple[str | Styled, ...]


def prompt_lines(report: PromptReport, *, shows_all: bool) -> Iterator[Line]:
    """The figures, the rendered prompt, its tokens."""
    yield (Styled(headline(report), Style.BOLD),)
    yield (Styled(f"asked: {report.asked}", Style.DIM),)
    yield from (line for line in _cost_lines(report))
    yield ("",)
    yield _rendered(report)
    yield ("",)
    if report.next_tokens:
        yield from _next_lines(report)
        yield ("",)
    shown = report.tokens if shows_all else report.tokens[:_SHOWN_TOKENS]
    for number, token in enumerate(shown):
        yield _token_line(number, token)
    if len(shown) < len(report.tokens):
        yield (Styled(f"and {format_count(len(report.tokens) - len(shown))} more: --all", Style.DIM),)


def headline(report: PromptReport) -> str:
    """Model, tokens, what they cost of the window and of the KV cache."""
    n_tokens = len(report.tokens)
    words = [clean(report.model_name, keep_newlines=False), f"{format_count(n_tokens)} tokens"]
    for n_ctx, name in ((report.n_ctx, "window"), (report.n_ctx_train, "trained window")):
        if n_ctx:
            words.append(f"{format_share(n_tokens / n_ctx)} of the {name} of {format_count(n_ctx)}")
            break
    words.append(f"{format_bytes(report.kv_cache_bytes)} of KV cache (f16)")
    return " · ".join(words)


def _cost_lines(report: PromptReport) -> Iterator[Line]:
    if not report.parts:
        yield ("whose each token is cannot be told: the tokens do not spell the text",)
    for name, n_tokens in report.parts:
        yield (f"  {pad(name, 14)}{pad(format_count(n_tokens), 8, right=True)}",)
    if report.reused_tokens is not None:
        n_tokens = len(report.tokens)
        reused = format_count(report.reused_tokens)
        yield (f"  the running engine had {reused} of {format_count(n_tokens)} in its KV cache",)


def _next_lines(report: PromptReport) -> Iterator[Line]:
    yield (Styled("goes on with, before any sampling", Style.BOLD),)
    for choice in report.next_tokens:
        text = spelled(choice.piece)
        share = f"{choice.probability * 100:6.2f} %"
        yield (f"  {share}  ", Styled(f"{choice.id:>{_ID_COLUMNS}}  ", Style.DIM), Styled(text, Style.CYAN))


def _rendered(report: PromptReport) -> Line:
    """The prompt with its special tokens marked; as it is where the tokens do not spell it."""
    if not report.parts:
        return (report.rendered,)
    pieces: list[str | Styled] = []
    for token, is_special in _runs(report.tokens):
        text = token.decode("utf-8", "replace")
        pieces.append(Styled(text, Style.CYAN) if is_special else text)
    return tuple(pieces)


def _runs(tokens: tuple[PromptToken, ...]) -> Iterator[tuple[bytes, bool]]:
    """Neighbours of one kind together, so that a letter of several tokens stays whole."""
    run, was_special = b"", False
    for token in tokens:
        if token.is_special != was_special and run:
            yield run, was_special
            run = b""
        run, was_special = run + token.piece, token.is_special
    if run:
        yield run, was_special


def spelled(piece: bytes) -> str:
    r"""A token on one line: `\n` for a line's end, `\xf0` for a byte that is only a part of a character."""
    text = piece.decode("utf-8", "surrogateescape")
    return "".join(
        f"\\x{ord(one) - 0xDC00:02x}" if "\udc80" <= one <= "\udcff" else repr(one)[1:-1] for one in text
    )


def _token_line(number: int, token: PromptToken) -> Line:
    text = spelled(token.piece)
    shown = pad(text, _TEXT_COLUMNS) if len(text) < _TEXT_COLUMNS else f"{text}  "
    return (
        Styled(f"{number:>6} ", Style.DIM),
        f"{token.id:>{_ID_COLUMNS}}  ",
        Styled(shown, Style.CYAN if token.is_special else Style.PLAIN),
        Styled(token.part, Style.DIM),
    )


def prompt_json(report: PromptReport) -> dict[str, Any]:
    """The same as data; docs/schema/prompt.json describes it."""
    return {
        "schema": SCHEMA,
        "model": report.model_name,
        "asked": report.asked,
        "rendered": report.rendered,
        "n_tokens": len(report.tokens),
        "parts": [{"name": name, "n_tokens": n_tokens} for name, n_tokens in report.parts],
        "context_tokens": report.n_ctx,
        "trained_tokens": report.n_ctx_train,
        "kv_cache_bytes": report.kv_cache_bytes,
        "reused_tokens": report.reused_tokens,
        "next": [
            {
                "id": choice.id,
                "text": choice.piece.decode("utf-8", "backslashreplace"),
                "probability": round(choice.probability, 6),
            }
            for choice in report.next_tokens
        ],
        "tokens": [
            {
                "id": token.id,
                "text": token.piece.decode("utf-8", "backslashreplace"),
                "is_special": token.is_special,
                "part": token.part or None,
            }
            for token in report.tokens
        ],
    }
