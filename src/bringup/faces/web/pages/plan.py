"""Plan a model of this disk: the answer of `bringup plan` as a page. Nothing is ever fetched here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import urlencode

from bringup.actions.models.on_disk import list_models
from bringup.actions.planning.place import Described
from bringup.actions.planning.plan import plan_model
from bringup.actions.planning.report import Alternative, DeviceUse, Group, PlanReport, Rung, Speed
from bringup.actions.planning.start import PlanWishes
from bringup.errors import BringupError, WrongUse
from bringup.faces.render.format import format_bytes, format_count, format_duration, format_short_count
from bringup.faces.render.plan import command_lines, command_title, short_band, size_text
from bringup.faces.render.plan_svg import plan_svg
from bringup.faces.web.charts import Row, Slice, axis, rows
from bringup.faces.web.html import Html, join, tag
from bringup.faces.web.html import text as plain
from bringup.faces.web.widgets import (
    Tile,
    choice,
    command,
    field,
    key,
    mapped,
    more,
    panel,
    pill,
    tiles,
    trouble,
)
from bringup.plan.predict import Estimate
from bringup.plan.request import Request
from bringup.records import dataclass
from bringup.store.local import LocalModel
from bringup.units import parse_size, parse_tokens

_LONGEST: Final = 200
_COMMAND_COLUMNS: Final = 100
_LOOKS: Final = {
    Group.WEIGHTS: "weights",
    Group.CACHE: "kv-filled",
    Group.COMPUTE: "compute",
    Group.OVERHEAD: "overhead",
    Group.PROMPTS: "prompts",
    Group.MARGIN: "margin",
    Group.OTHERS: "others",
    Group.FREE: "free",
}
_CACHE_TYPES: Final = ("f16", "q8_0", "q4_0")


@dataclass(frozen=True, slots=True)
class PlanForm:
    """What was typed; every field may be empty. `model` is a number in the list of models."""

    model: str = ""
    gpu: str = ""
    ram: str = ""
    ctx: str = ""
    parallel: str = ""
    cache: str = ""

    @classmethod
    def of(cls, query: Mapping[str, str]) -> PlanForm:
        """The fields of an address."""
        names = ("model", "gpu", "ram", "ctx", "parallel", "cache")
        return cls(*(query.get(name, "").strip()[:_LONGEST] for name in names))

    def wishes(self) -> PlanWishes:
        """What they ask for.

        Raises:
            WrongUse: a field that cannot be read.
        """
        try:
            n_ctx = parse_tokens(self.ctx) if self.ctx else None
            ram_bytes = parse_size(self.ram) if self.ram else None
            n_parallel = int(self.parallel) if self.parallel else 1
        except ValueError as problem:
            raise WrongUse(str(problem)) from problem
        described = Described(gpus=(self.gpu,) if self.gpu else (), ram_bytes=ram_bytes)
        cache = self.cache or None
        request = Request(n_ctx=n_ctx, n_parallel=n_parallel, cache_type_k=cache, cache_type_v=cache)
        return PlanWishes(request, described)

    def address(self, path: str) -> str:
        """An address that asks for the same."""
        return f"{path}?" + urlencode({name: getattr(self, name) for name in self.__slots__})


def make_plan(form: PlanForm, models: Sequence[LocalModel]) -> PlanReport:
    """The plan that a form asks for.

    Raises:
        BringupError: it cannot be made; says why.
    """
    if not form.model.isdecimal() or int(form.model) >= len(models):
        raise WrongUse("no such model on this disk", hint="Take one of the list.")
    return plan_model(models[int(form.model)].paths[0], form.wishes(), may_send_token=lambda _: False)


def plan_page(form: PlanForm, cards: Sequence[str]) -> Html:
    """The form, and below it what it gives; `cards` are names to choose from."""
    models = list_models().survey.models
    if not models:
        say = tag("p", "No model is on this disk: ", tag("code", "bringup pull MODEL"), " fetches one.")
        return tag("section", say, class_="panel")
    names = [(str(at), f"{one.name} ({format_bytes(one.size_bytes)})") for at, one in enumerate(models)]
    types = [("", "our choice"), *((name, name) for name in _CACHE_TYPES)]
    fields = [
        choice("Model on this disk", "model", names, form.model or "0", wide=True),
        field("Card (empty: yours)", "gpu", form.gpu, example="RTX 3060", list_="known-cards"),
        tag("datalist", [tag("option", value=name) for name in cards], id="known-cards"),
        field("Main memory", "ram", form.ram, example="32G"),
        field("Context in tokens", "ctx", form.ctx, example="our choice"),
        field("Slots", "parallel", form.parallel, example="1"),
        choice("KV cache as", "cache", types, form.cache),
        tag("button", "Plan", type="submit", class_="main needs-no-script"),
    ]
    head = tag(
        "form",
        fields,
        method="get",
        action="/plan",
        class_="fields panel",
        data_follow="plan",
        data_from="/plan/result",
    )
    asked = form if form.model else PlanForm(model="0")
    return join([head, tag("div", plan_result(asked, models), id="plan")])


def plan_result(form: PlanForm, models: Sequence[LocalModel] | None = None) -> Html:
    """What a form gives."""
    try:
        report = make_plan(form, list_models().survey.models if models is None else models)
    except BringupError as problem:
        return trouble(problem)
    drawn = [_head(report), *(_device(use) for use in report.uses)]
    drawn += [_ladder(report.ladder, form)] if report.ladder else []
    drawn.append(panel(command_title(report), command(_typed(report)), *_given(report)))
    ways = _ways(report.alternatives)
    words = [_listed("Why so", report.reasons), _listed("Taken for granted", report.assumptions)]
    drawn.append(tag("div", [one for one in words if one], class_="pair"))
    picture = tag("a", "save it as a picture (SVG)", href=form.address("/plan.svg"), download="plan.svg")
    return join([*drawn, ways, _parts(report.uses), tag("p", picture, class_="small")])


def _typed(report: PlanReport) -> str:
    """The command as it can be pasted, broken before options only."""
    lines = command_lines(report.command, _COMMAND_COLUMNS)
    return "\n".join("".join(str(getattr(one, "text", one)) for one in line)[2:] for line in lines)


def _given(report: PlanReport) -> list[Html]:
    given = [f"{one.option} {one.value}".rstrip() for one in report.choices if one.is_given]
    return [tag("p", f"As given: {', '.join(given)}.", class_="soft small")] if given else []


def _head(report: PlanReport) -> Html:
    figures, model = report.architecture, report.source.model
    words = [
        f"{format_short_count(figures.n_parameters)} parameters",
        figures.file_type or "",
        size_text(model),
        f"trained for {format_count(figures.n_ctx_train)} tokens" if figures.n_ctx_train else "",
    ]
    body = [
        tag("p", report.verdict, role="status", class_=f"verdict {'fine' if report.can_run else 'fault'}")
    ]
    body += [tag("p", one, class_="note warn") for one in (*report.missing, *report.warnings)]
    if (way := report.nearest_fit) is not None:
        body += [
            tag(
                "p", f"Nearest fit: {way.what}. ", tag("code", " ".join(way.options)) if way.options else None
            )
        ]
    if report.speed is not None:
        body.append(tiles(_speed(report.speed)))
        body.append(
            tag(
                "p",
                f"{report.speed.bottleneck}. Sources: {'; '.join(report.speed.sources)}.",
                class_="soft small",
            )
        )
    elif report.fits:
        body.append(tag("p", f"How fast it will be is not told: {report.no_speed}.", class_="soft"))
    return panel(report.source.title, *body, note=", ".join(word for word in words if word))


def _speed(speed: Speed) -> list[Tile]:
    first = speed.first_token_s
    return [
        Tile("answer, empty window", _rate(speed.generation_empty), _band(speed.generation_empty)),
        Tile("answer, full window", _rate(speed.generation_full), _band(speed.generation_full)),
        Tile("prompt", _rate(speed.prompt_empty), _band(speed.prompt_empty)),
        Tile(
            f"first token after {format_count(speed.n_prompt)}",
            format_duration(first.value),
            f"{format_duration(first.low)} to {format_duration(first.high)}",
        ),
    ]


def _rate(rate: Estimate) -> str:
    return short_band(rate).partition(" ")[0]


def _band(rate: Estimate) -> str:
    return f"tokens/s {short_band(rate).partition(' ')[2]}"


def _device(use: DeviceUse) -> Html:
    device, groups = use.device, use.groups()
    ordered = (Group.OTHERS, *(one for one in groups if one not in (Group.OTHERS, Group.FREE)), Group.FREE)
    slices = [
        Slice(groups[group], _LOOKS[group], f"{group.value} {format_bytes(groups[group])} of {device.name}")
        for group in ordered
        if groups.get(group)
    ]
    total = max(device.total_bytes, use.held_bytes + use.planned_bytes)
    limit = device.total_bytes if use.left_bytes < 0 else None
    drawing = rows([Row(slices, 0.0, 40.0)], total, label=f"plan of {device.name}", limit=limit)
    marks = axis(["0", format_bytes(total / 2), format_bytes(total)])
    legend = key((_LOOKS[group], f"{group.value} {format_bytes(size)}") for group, size in groups.items())
    short = f"{format_bytes(-use.left_bytes)} too little" if use.left_bytes < 0 else ""
    told = (
        tag("p", f"{short}: what is behind the line has no room.", class_="note fault") if short else Html("")
    )
    right = format_bytes(device.total_bytes)
    return panel(
        device.title or device.name, mapped(drawing, marks), legend, told, note=device.name, right=right
    )


def _ladder(ladder: Sequence[Rung], form: PlanForm) -> Html:
    names = [use.device.name for use in ladder[0].uses]
    has_speed = any(rung.speed for rung in ladder)
    most = max((rung.cache_bytes for rung in ladder), default=1) or 1
    speed = [plain("tokens/s at its end")] if has_speed else []
    drawn, fits = tag("span", "drawn to scale", class_="said"), tag("span", "does it fit", class_="said")
    titles = [plain("tokens"), plain("KV cache"), drawn, *map(plain, names), *speed, fits]
    right = {0, 1, *range(3, 3 + len(names) + has_speed)}
    head = [
        tag("th", title, scope="col", class_="n" if at in right else None) for at, title in enumerate(titles)
    ]
    body = [
        tag("tr", _rung(rung, form, most, has_speed=has_speed), class_=_rung_look(rung)) for rung in ladder
    ]
    inside = tag("table", tag("thead", tag("tr", head)), tag("tbody", body))
    scroll = tag("div", inside, class_="scroll", tabindex=0, role="region", aria_label="windows that fit")
    return panel("Context window", scroll)


def _rung_look(rung: Rung) -> str | None:
    return "chosen" if rung.is_chosen else None if rung.fits else "no"


def _rung(rung: Rung, form: PlanForm, most: int, *, has_speed: bool) -> list[Html]:
    query = urlencode({name: getattr(form, name) for name in form.__slots__ if name != "ctx"})
    link = tag("a", format_count(rung.n_ctx), href=f"/plan?{query}&ctx={rung.n_ctx}")
    note = f"fits with {rung.gives_way}" if rung.fits and rung.gives_way else rung.gives_way or "fits"
    note += ", beyond its training" if rung.is_beyond_training else ""
    share = Slice(rung.cache_bytes, "kv-filled", "")
    shown = tag("rect", x=0, y=0, width=100 * share.amount / most, height=10, class_="kv-filled")
    speed = (
        [tag("td", short_band(rung.speed.generation_full) if rung.speed else "", class_="n")]
        if has_speed
        else []
    )
    look = "fault" if not rung.fits else "warn" if rung.gives_way else "fine"
    return [
        tag("td", link, class_="n"),
        tag("td", format_bytes(rung.cache_bytes), class_="n"),
        tag("td", tag("svg", shown, viewBox="0 0 100 10", width=80, height=10, aria_hidden="true")),
        *(tag("td", format_bytes(use.used_bytes), class_="n") for use in rung.uses),
        *speed,
        tag("td", pill(note, look) if len(note) < 12 else note),
    ]


def _listed(title: str, sentences: Sequence[str]) -> Html:
    return panel(title, tag("ul", [tag("li", one) for one in sentences])) if sentences else Html("")


def _ways(alternatives: Sequence[Alternative]) -> Html:
    if not alternatives:
        return Html("")
    items = []
    for one in alternatives:
        told = ": ".join(word for word in (one.what, one.effect) if word) + (
            f"; {one.cost}" if one.cost else ""
        )
        options = tag("code", " ".join(one.options)) if one.options else None
        items.append(tag("li", pill("fits", "fine") if one.fits else None, f" {told} ", options))
    return panel("Other ways, the cheapest first", tag("ul", items, class_="plain"))


def _parts(uses: Sequence[DeviceUse]) -> Html:
    items = [
        tag(
            "li",
            tag("b", f"{use.device.name} {part.name} {format_bytes(part.bytes)}"),
            f": {part.formula} ({part.source})",
        )
        for use in uses
        for part in use.parts
    ]
    return more("every part with its formula", tag("ul", items, class_="small"), id_="plan-parts")


def plan_picture(form: PlanForm) -> str:
    """The same as a drawing.

    Raises:
        BringupError: it cannot be made.
    """
    return plan_svg(make_plan(form, list_models().survey.models))
