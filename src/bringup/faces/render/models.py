"""How the list of models looks: by the place where each lies, then what is twice, damaged or unfinished."""

from __future__ import annotations

from bringup.actions.models.on_disk import ModelsReport, short_name
from bringup.faces.render.clean import clean
from bringup.faces.render.console import Style, Styled
from bringup.faces.render.format import Column, format_bytes, format_table
from bringup.faces.render.pull import JSON_SCHEMA, model_json
from bringup.store.catalogue import CatalogueEntry
from bringup.store.local import LocalModel, Place, Unfinished

Line = tuple[str | Styled, ...]
_COLUMNS = (Column("name", elastic=True), Column("size", right=True), Column(""))


def report_lines(report: ModelsReport, *, width_columns: int | None, with_paths: bool) -> list[Line]:
    """The whole list."""
    lines: list[Line] = []
    for place in report.survey.places:
        here = [m for m in report.survey.models if _lies_in(m, place)]
        if here:
            lines += [(Styled(f"{_shown(place.path)}", Style.BOLD), f"  {place.origin.value}")]
            lines += [(line,) for line in _table(here, width_columns)]
            lines += [(f"    {_shown(path)}",) for model in here if with_paths for path in model.paths]
            lines.append(("",))
    if not lines:
        lines = [("No models are here yet. To fetch the small one: bringup pull smollm2-135m",), ("",)]
    lines += _twice(report)
    lines += _damaged(report)
    lines += _unfinished_summary(report.survey.unfinished)
    lines += _looked(report.survey.places, report.survey.models)
    return lines


def _lies_in(model: LocalModel, place: Place) -> bool:
    return model.origin is place.origin and model.paths[0].startswith(place.path.rstrip("/") + "/")


def _table(models: list[LocalModel], width_columns: int | None) -> list[str]:
    rows = [(model.name, format_bytes(model.size_bytes), _remark(model)) for model in models]
    inner = None if width_columns is None else max(20, width_columns - 2)
    return [f"  {line}" for line in format_table(_COLUMNS, rows, width_columns=inner)[1:]]


def _remark(model: LocalModel) -> str:
    shards = f"{len(model.paths)} files" if len(model.paths) > 1 else ""
    checked = ""
    if model.is_ours:
        checked = "verified" if model.is_verified else "not verified"
        if model.is_changed:
            checked = "written to since it was fetched: bringup pull checks it"
    return ", ".join(part for part in (short_name(model), shards, checked) if part)


def _twice(report: ModelsReport) -> list[Line]:
    lines: list[Line] = []
    for pair in report.duplicates:
        lost = f", {format_bytes(pair.lost_bytes)} more than needed" if pair.lost_bytes else ""
        lines += [
            (Styled("Twice", Style.YELLOW), f": {pair.sameness.value}{lost}"),
            (f"    {_shown(pair.first.paths[0])}",),
            (f"    {_shown(pair.second.paths[0])}",),
        ]
    return lines


def _damaged(report: ModelsReport) -> list[Line]:
    return [
        (Styled("Damaged", Style.RED), f": no longer the size that was verified; not used: {_shown(path)}")
        for path in report.damaged
    ]


def _unfinished_summary(unfinished: tuple[Unfinished, ...]) -> list[Line]:
    if not unfinished:
        return []
    total = format_bytes(sum(one.done_bytes for one in unfinished))
    return [
        (Styled("Unfinished", Style.YELLOW), f": {len(unfinished)}, {total}; see bringup models --unfinished")
    ]


def _looked(places: tuple[Place, ...], models: tuple[LocalModel, ...]) -> list[Line]:
    empty = [place for place in places if not any(_lies_in(model, place) for model in models)]
    unreadable = [place for place in empty if place.why not in ("", "not there")]
    lines: list[Line] = [
        (
            Styled("Could not look", Style.YELLOW),
            f" in {_shown(place.path)} ({place.origin.value}): {place.why}",
        )
        for place in unreadable
    ]
    lines += [
        (Styled("Could not look", Style.YELLOW), f" in {_shown(trouble)}")
        for place in places
        for trouble in place.troubles
    ]
    rest = [place for place in empty if place not in unreadable]
    if rest:
        lines.append((Styled("Looked also in these folders, where no model is:", Style.DIM),))
        lines += [(Styled(f"  {_shown(place.path)}  {place.origin.value}", Style.DIM),) for place in rest]
    return lines


def unfinished_lines(unfinished: tuple[Unfinished, ...]) -> list[str]:
    """Partial files, how far they are and how to go on."""
    if not unfinished:
        return ["Nothing is unfinished."]
    lines = []
    for one in unfinished:
        of = f" of {format_bytes(one.size_bytes)}" if one.size_bytes is not None else ""
        held = (
            f"being fetched by process {one.in_use_by_pid}"
            if one.in_use_by_pid
            else f"go on: bringup pull {one.name}"
        )
        lines += [
            f"{_shown(one.name)}  {format_bytes(one.done_bytes)}{of}, {_shown(held)}",
            f"    {_shown(one.path)}",
        ]
    return lines


def catalogue_lines(entries: tuple[CatalogueEntry, ...], *, width_columns: int | None) -> tuple[str, ...]:
    """Short names and what they stand for."""
    columns = (Column("name"), Column("repository and file", elastic=True))
    rows = [(entry.name, f"{entry.repo}:{entry.file or entry.quant}") for entry in entries]
    return format_table(columns, rows, width_columns=width_columns)


def entry_json(entry: CatalogueEntry) -> dict[str, object]:
    """A short name as data: its repository, and the file or the quantisation that it means there."""
    return {"name": entry.name, "repo": entry.repo, "file": entry.file or None, "quant": entry.quant or None}


def report_json(report: ModelsReport) -> dict[str, object]:
    """The list as data."""
    return {
        "schema": JSON_SCHEMA,
        "models": [model_json(model) for model in report.survey.models],
        "duplicates": [
            {
                "paths": [pair.first.paths[0], pair.second.paths[0]],
                "sameness": pair.sameness.name.lower(),
                "lost_bytes": pair.lost_bytes,
            }
            for pair in report.duplicates
        ],
        "damaged": list(report.damaged),
        "unfinished": [unfinished_json(one) for one in report.survey.unfinished],
        "looked_in": [
            {
                "path": place.path,
                "origin": place.origin.name.lower(),
                "why_not": place.why or None,
                "troubles": list(place.troubles),
            }
            for place in report.survey.places
        ],
    }


def unfinished_json(one: Unfinished) -> dict[str, object]:
    """A partial file as data."""
    return {
        "name": one.name,
        "path": one.path,
        "done_bytes": one.done_bytes,
        "size_bytes": one.size_bytes,
        "in_use_by_pid": one.in_use_by_pid,
    }


def _shown(text: str) -> str:
    return clean(text, keep_newlines=False)
