"""Plan a model of this disk: the answer of `bringup plan`, and its picture. Nothing is ever fetched here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from bringup.actions.models import list_models
from bringup.actions.plan import PlanWishes, plan_model
from bringup.actions.plan_devices import Described
from bringup.actions.plan_report import PlanReport
from bringup.errors import BringupError, WrongUse
from bringup.faces.render.format import format_bytes
from bringup.faces.render.plan import PIPE_COLUMNS, plan_lines
from bringup.faces.render.plan_svg import plan_svg
from bringup.faces.web.html import Html, join, tag
from bringup.faces.web.pages.terminal import preformatted
from bringup.plan.request import Request
from bringup.units import parse_size, parse_tokens

_LONGEST = 200


@dataclass(frozen=True, slots=True)
class PlanForm:
    """What was typed; every field may be empty. `model` is a number in the list of models."""

    model: str = ""
    gpu: str = ""
    ram: str = ""
    ctx: str = ""
    parallel: str = ""

    @classmethod
    def of(cls, query: Mapping[str, str]) -> PlanForm:
        """The fields of an address."""
        names = ("model", "gpu", "ram", "ctx", "parallel")
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
        return PlanWishes(Request(n_ctx=n_ctx, n_parallel=n_parallel), described)


def make_plan(form: PlanForm) -> PlanReport:
    """The plan that a form asks for.

    Raises:
        BringupError: it cannot be made; says why.
    """
    models = list_models().survey.models
    if not form.model.isdecimal() or int(form.model) >= len(models):
        raise WrongUse("no such model on this disk", hint="Take one of the list.")
    return plan_model(models[int(form.model)].paths[0], form.wishes(), may_send_token=lambda _: False)


def plan_page(form: PlanForm) -> Html:
    """The form, and below it what it gives."""
    models = list_models().survey.models
    options = [
        tag(
            "option",
            f"{model.name} ({format_bytes(model.size_bytes)})",
            value=at,
            selected=str(at) == form.model,
        )
        for at, model in enumerate(models)
    ]
    fields = [
        tag("label", "Model on this disk", tag("select", options, name="model")),
        _field("Card (empty: this machine's)", "gpu", form.gpu, "RTX 3060"),
        _field("Main memory", "ram", form.ram, "32G"),
        _field("Context in tokens", "ctx", form.ctx, "8k"),
        _field("Slots", "parallel", form.parallel, "1"),
        tag("button", "Plan", type="submit"),
    ]
    head = tag("form", fields, method="get", action="/plan")
    if not models:
        return join(
            [head, tag("p", "No model is on this disk: ", tag("code", "bringup pull MODEL"), " fetches one.")]
        )
    if not form.model:
        return join([head, tag("p", "Nothing is fetched: only models of this disk can be planned here.")])
    try:
        report = make_plan(form)
    except BringupError as problem:
        words = [problem.message, *problem.context, problem.hint]
        return join(
            [head, tag("div", [tag("p", word) for word in words if word], role="alert", class_="fault box")]
        )
    address = "/plan.svg?" + urlencode({name: getattr(form, name) for name in form.__slots__})
    picture = tag("img", src=address, alt=f"the plan as a picture: {report.verdict}", class_="picture")
    lines = plan_lines(report, width_columns=PIPE_COLUMNS)
    return join([head, picture, preformatted(lines, label="the plan in words, with the command to copy")])


def _field(words: str, name: str, value: str, example: str) -> Html:
    return tag("label", words, tag("input", name=name, value=value, placeholder=example))


def plan_picture(form: PlanForm) -> str:
    """The same as a drawing.

    Raises:
        BringupError: it cannot be made.
    """
    return plan_svg(make_plan(form))
