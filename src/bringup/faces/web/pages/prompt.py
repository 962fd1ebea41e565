"""What a running engine is really sent: the template around a text, as tokens with ids and cost."""

from __future__ import annotations

from typing import Final

from bringup.actions.engines import list_engines
from bringup.actions.preparation import look_around
from bringup.actions.prompt import PromptReport, PromptToken, PromptWishes, show_prompt
from bringup.errors import BringupError
from bringup.faces.render.prompt import headline
from bringup.faces.web.html import Html, join, table, tag
from bringup.machine.folders import our_folders

_TOKENS_SHOWN: Final = 2000
_LOOKS: Final = {"your text": "yours", "system prompt": "system"}


def prompt_page(engine: str, text: str, system: str) -> Html:
    """The form, and below it the prompt. Only engines that run are asked; none is started for it."""
    running = [one.record for one in list_engines(our_folders()) if one.is_answering]
    options = [
        tag("option", f"{one.alias} on port {one.port}", value=one.port, selected=str(one.port) == engine)
        for one in running
    ]
    fields = [
        tag("label", "Engine", tag("select", options, name="engine")),
        tag("label", "System prompt (may be empty)", tag("input", name="system", value=system)),
        tag("label", "Your text", tag("textarea", text, name="text", rows=4)),
        tag("button", "Show", type="submit"),
    ]
    head = tag("form", fields, method="get", action="/prompt")
    if not running:
        say = tag("p", "No engine is running: ", tag("code", "bringup serve MODEL --detach"), " starts one.")
        return join([head, say])
    chosen = next((one for one in running if str(one.port) == engine), None)
    if chosen is None or not text:
        return head
    try:
        report = show_prompt(chosen.model_path, PromptWishes(text=text, system=system), look_around())
    except BringupError as problem:
        words = [problem.message, *problem.context, problem.hint]
        return join(
            [head, tag("div", [tag("p", word) for word in words if word], role="alert", class_="fault box")]
        )
    return join([head, *_report(report)])


def _report(report: PromptReport) -> list[Html]:
    rows = [(name, f"{count:,}") for name, count in report.parts]
    parts = [tag("p", tag("strong", headline(report))), tag("p", f"asked: {report.asked}", class_="soft")]
    if rows:
        parts.append(
            table(("whose", "tokens"), rows, caption="tokens by whose they are", right=frozenset({1}))
        )
    shown = [_token(token) for token in report.tokens[:_TOKENS_SHOWN]]
    parts.append(
        tag("pre", shown, class_="tokens", tabindex=0, role="region", aria_label="the prompt, token by token")
    )
    if len(report.tokens) > _TOKENS_SHOWN:
        parts.append(tag("p", f"and {len(report.tokens) - _TOKENS_SHOWN:,} more"))
    return parts


def _token(token: PromptToken) -> Html:
    """One token; its id and its owner come up when it is pointed at."""
    look = "special" if token.is_special else _LOOKS.get(token.part, "template")
    shown = token.piece.decode("utf-8", "replace")
    return tag("span", shown, class_=f"token {look}", title=f"{token.id}, {token.part or 'template'}")
