"""What a running engine is really sent: tokens with ids and cost, what is reused, what may follow."""

from __future__ import annotations

from typing import Final

from bringup.actions.chat.prompt import PromptReport, PromptToken, PromptWishes, show_prompt
from bringup.actions.running.engines import list_engines
from bringup.actions.surroundings import look_around
from bringup.engine.answers import NextToken
from bringup.errors import BringupError
from bringup.faces.render.format import format_bytes, format_count, format_percent
from bringup.faces.web.charts import Slice, bar
from bringup.faces.web.html import Html, join, table, tag
from bringup.faces.web.widgets import Tile, choice, key, mapped, more, panel, tiles, trouble
from bringup.machine.folders import our_folders
from bringup.records import dataclass

_TOKENS_SHOWN: Final = 2000
_NEXT: Final = 10
_LOOKS: Final = {"your text": "yours", "system prompt": "system"}
_PARTS: Final = {"your text": "yours-part", "system prompt": "system-part", "template": "template-part"}


@dataclass(frozen=True, slots=True)
class PromptForm:
    """What was typed: the engine's port, the texts, and whether the engine is asked what follows."""

    engine: str = ""
    text: str = ""
    system: str = ""
    sends: bool = False


def prompt_page(form: PromptForm) -> Html:
    """The form, and below it the prompt. Only engines that run are asked; none is started for it."""
    running = [one.record for one in list_engines(our_folders()) if one.is_answering]
    if not running:
        say = tag("p", "No engine is running: ", tag("code", "bringup serve MODEL --detach"), " starts one.")
        other = tag("p", tag("code", "bringup prompt MODEL TEXT"), " shows it without.", class_="soft")
        return tag("section", say, other, class_="panel")
    engines = [(str(one.port), f"{one.alias} on port {one.port}") for one in running]
    sends = tag("input", type="checkbox", name="sends", value="1", checked=form.sends or not form.text)
    fields = [
        choice("Engine", "engine", engines, form.engine, wide=True),
        tag(
            "label",
            "System prompt (may be empty)",
            tag("input", name="system", value=form.system),
            class_="wide",
        ),
        tag(
            "label",
            "Your text",
            tag("textarea", form.text, name="text", rows=3, required=True),
            class_="whole",
        ),
        tag(
            "label",
            sends,
            "Send it for one token, to see what is reused and what may follow: it takes a slot for a moment.",
            class_="tick",
        ),
        tag("button", "Show", type="submit", class_="main"),
    ]
    head = tag("form", fields, method="get", action="/prompt", class_="fields panel")
    chosen = next((one for one in running if str(one.port) == form.engine), None)
    if chosen is None or not form.text:
        return head
    wishes = PromptWishes(text=form.text, system=form.system, n_next=_NEXT if form.sends else 0)
    try:
        report = show_prompt(chosen.model_path, wishes, look_around())
    except BringupError as problem:
        return join([head, trouble(problem)])
    return join([head, *_report(report)])


def _report(report: PromptReport) -> list[Html]:
    return [
        panel("What it costs", tiles(_cost(report)), *_whose(report), note=report.asked),
        panel("Token by token", *_tokens(report)),
        *(
            [panel("What it may go on with", *_next(report), note="before any sampling")]
            if report.next_tokens
            else []
        ),
    ]


def _cost(report: PromptReport) -> list[Tile]:
    n_tokens = len(report.tokens)
    found = [Tile("tokens", format_count(n_tokens))]
    window = report.n_ctx or report.n_ctx_train
    if window:
        name = "of the window" if report.n_ctx else "of the trained window"
        found.append(Tile(name, f"{100 * n_tokens / window:.1f} %", f"of {format_count(window)}"))
    found.append(Tile("of the KV cache", format_bytes(report.kv_cache_bytes), "as f16"))
    if report.reused_tokens is not None:
        share = format_percent(report.reused_tokens / n_tokens) if n_tokens else ""
        found.append(Tile("reused from the cache", format_count(report.reused_tokens), share))
    return found


def _whose(report: PromptReport) -> list[Html]:
    if not report.parts:
        return [
            tag("p", "Whose each token is cannot be told: the tokens do not spell the text.", class_="soft")
        ]
    slices = [Slice(count, _PARTS[name], f"{name}: {count:,} tokens") for name, count in report.parts]
    drawing = mapped(bar(slices, len(report.tokens), label="tokens by whose they are", kind="slim"))
    return [drawing, key((_PARTS[name], f"{name} {count:,}") for name, count in report.parts)]


def _tokens(report: PromptReport) -> list[Html]:
    reused = report.reused_tokens or 0
    shown = [_token(token, is_reused=at < reused) for at, token in enumerate(report.tokens[:_TOKENS_SHOWN])]
    block = tag(
        "pre", shown, class_="tokens", tabindex=0, role="region", aria_label="the prompt, token by token"
    )
    rows = [
        (str(at), str(token.id), repr(_text(token.piece))[1:-1], token.part or "template")
        for at, token in enumerate(report.tokens[:_TOKENS_SHOWN])
    ]
    listed = table(("place", "id", "text", "whose"), rows, caption="every token", right=frozenset({0, 1}))
    left = len(report.tokens) - len(shown)
    return [
        block,
        key([*_legend(report)]),
        tag("p", "Dotted below: it was still in the KV cache.", class_="soft small") if reused else Html(""),
        more("as a table, with ids", listed, id_="tokens-table"),
        tag("p", f"and {left:,} more") if left else Html(""),
    ]


def _legend(report: PromptReport) -> list[tuple[str, str]]:
    found = [(_PARTS[name], name) for name, _ in report.parts]
    has_special = any(token.is_special for token in report.tokens)
    return [*found, *([("other", "special token")] if has_special else [])]


def _token(token: PromptToken, *, is_reused: bool) -> Html:
    """One token; its id and its owner come up when it is pointed at."""
    look = "special" if token.is_special else _LOOKS.get(token.part, "template")
    reused = " reused" if is_reused else ""
    title = f"{token.id}, {token.part or 'template'}{', reused' if is_reused else ''}"
    return tag("span", _text(token.piece), class_=f"token {look}{reused}", title=title)


def _text(piece: bytes) -> str:
    return piece.decode("utf-8", "replace")


def _next(report: PromptReport) -> list[Html]:
    cells = [
        cell for choice in report.next_tokens for cell in _choice(choice, report.next_tokens[0].probability)
    ]
    return [tag("div", cells, class_="likely")]


def _choice(one: NextToken, most: float) -> list[Html]:
    share = 100 * one.probability / most if most else 0.0
    shown = tag("rect", x=0, y=0, width=max(0.4, share), height=10, class_="weights")
    drawing = tag("svg", shown, viewBox="0 0 100 10", preserveAspectRatio="none", aria_hidden="true")
    told = tag("code", repr(_text(one.piece))[1:-1], title=f"id {one.id}")
    return [told, tag("span", f"{one.probability * 100:.2f} %"), drawing]
