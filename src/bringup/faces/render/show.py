"""How a model's report looks: what it is, its figures, where its bytes are, its tokenizer and template."""

from __future__ import annotations

from collections.abc import Iterable

from bringup.actions.models.show import ModelReport
from bringup.faces.render.clean import clean
from bringup.faces.render.console import Style, Styled
from bringup.faces.render.format import (
    Column,
    format_bytes,
    format_count,
    format_share,
    format_short_count,
    format_table,
    pad,
    truncate,
)
from bringup.model.architecture import Architecture
from bringup.model.gguf import Tensor
from bringup.model.problem import Gravity, Problem
from bringup.model.sizes import Share

Line = tuple[str | Styled, ...]
_LABEL_COLUMNS = 14
_TEMPLATE_LINES = 6
_PIPE_COLUMNS = 100
_TEXT_COLUMNS = 160


def report_lines(report: ModelReport, *, width_columns: int | None) -> list[Line]:
    """The whole report.

    Args:
        report: of the model.
        width_columns: of the terminal; `None` for a pipe, where nothing is cut but the template.
    """
    lines: list[Line] = [
        (Styled(_one_line(report.name or _file_name(report.paths[0])), Style.BOLD),),
        (_summary(report),),
    ]
    lines += _section("File", _file_facts(report))
    if report.architecture is not None:
        lines += _section("Architecture", _figures(report.architecture))
    if report.total.n_tensors:
        lines += _sizes(report)
    if report.architecture is not None:
        lines += _section("Tokenizer", _tokenizer(report, report.architecture))
    lines += _template(report, width_columns)
    lines += _problems(report.problems)
    return lines


def tensor_lines(tensors: Iterable[Tensor], *, width_columns: int | None) -> tuple[str, ...]:
    """The tensor table, in the order of the file."""
    columns = (
        Column("tensor", elastic=True),
        Column("shape", right=True),
        Column("type"),
        Column("bytes", right=True),
        Column("offset", right=True),
    )
    rows = (
        (tensor.name, _shape(tensor), tensor.type.name, f"{tensor.size_bytes:,}", f"{tensor.offset_bytes:,}")
        for tensor in tensors
    )
    return format_table(columns, rows, width_columns=width_columns)


def _summary(report: ModelReport) -> str:
    figures = report.architecture
    parts = [figures.name if figures else "no language model"]
    if report.total.n_elements:
        parts.append(f"{format_short_count(report.total.n_elements)} parameters")
    if figures is not None and figures.file_type is not None:
        parts.append(figures.file_type)
    if report.bits_per_weight is not None:
        parts.append(f"{report.bits_per_weight:.2f} bits per weight")
    if figures is not None and figures.n_ctx_train is not None:
        parts.append(f"context {format_count(figures.n_ctx_train)}")
    return " · ".join(parts)


def _section(title: str, facts: Iterable[tuple[str, str]]) -> list[Line]:
    rows = [
        (label, _whole(value) if label == "path" else _one_line(value)) for label, value in facts if value
    ]
    body: list[Line] = [
        (Styled("  " + pad(label, _LABEL_COLUMNS), Style.DIM), value) for label, value in rows
    ]
    return [("",), (Styled(title, Style.BOLD),), *body] if body else []


def _file_facts(report: ModelReport) -> Iterable[tuple[str, str]]:
    header = report.model.header
    yield ("path", report.paths[0])
    if len(report.paths) > 1:
        yield ("files", f"{len(report.paths)}, this is the first")
    yield (
        "size",
        f"{format_bytes(report.model.file_size_bytes)} ({format_count(report.model.file_size_bytes)} bytes)",
    )
    order = "" if header.byte_order.name == "LITTLE" else ", big-endian"
    yield ("format", f"GGUF version {header.version}{order}")
    for word, value in report.about:
        if word in ("license", "author", "organization", "quantized_by"):
            yield (word.replace("_", " "), value)


def _figures(figures: Architecture) -> Iterable[tuple[str, str]]:
    known = "" if figures.is_known else " (not known to this version: figures are read by the common rules)"
    yield ("name", figures.name + known)
    drafts = f", and {figures.n_layer_nextn} for drafting" if figures.n_layer_nextn else ""
    yield ("layers", f"{format_count(figures.n_layer)}{drafts}")
    yield ("width", f"{format_count(figures.n_embd)}")
    yield ("heads", _heads(figures))
    yield ("feed-forward", _range(figures.n_ff) if figures.n_ff else "")
    yield ("experts", _experts(figures))
    yield ("window", _window(figures))
    yield ("state", _state(figures))
    yield ("context", f"{format_count(figures.n_ctx_train)} tokens" if figures.n_ctx_train else "not said")
    yield (
        "vocabulary",
        f"{format_count(figures.n_vocab)} tokens" if figures.n_vocab is not None else "not said",
    )


def _heads(figures: Architecture) -> str:
    if not any(figures.n_head):
        return "none"
    size = f"{figures.n_embd_head_k}"
    if figures.n_embd_head_v != figures.n_embd_head_k:
        size = f"{figures.n_embd_head_k} (keys) and {figures.n_embd_head_v} (values)"
    mla = ", kept compressed (MLA)" if figures.is_mla else ""
    kv = _range(figures.n_head_kv)
    return f"{_range(figures.n_head)}, {kv} for keys and values, {size} elements each{mla}"


def _range(numbers: tuple[int, ...]) -> str:
    low, high = min(numbers), max(numbers)
    return format_count(low) if low == high else f"{format_count(low)} to {format_count(high)} by layer"


def _experts(figures: Architecture) -> str:
    if not figures.n_expert:
        return ""
    width = f", {_range(figures.n_ff_exp)} wide" if figures.n_ff_exp else ""
    return f"{figures.n_expert}, {figures.n_expert_used} used for a token{width}"


def _window(figures: Architecture) -> str:
    sliding = sum(figures.swa_layers)
    if not sliding:
        return ""
    return f"{format_count(figures.n_swa)} tokens in {sliding} of {len(figures.swa_layers)} layers"


def _state(figures: Architecture) -> str:
    state = figures.recurrent
    if state is None:
        return ""
    size = format_bytes(state.n_layer * (state.n_embd_r + state.n_embd_s) * 4)
    return f"{size} for each conversation, in {state.n_layer} recurrent layers"


def _sizes(report: ModelReport) -> list[Line]:
    columns = (
        Column(pad("", _LABEL_COLUMNS)),
        Column("tensors", right=True),
        Column("parameters", right=True),
        Column("size", right=True),
        Column("share", right=True),
        Column("bits", right=True),
    )
    total = report.total
    kinds = [_share_row(kind.value, share, total) for kind, share in report.kinds.items()]
    types = [_share_row(kind.name, share, total) for kind, share in report.types.items()]
    table = format_table(columns, [*kinds, _share_row("all", total, total), *types])
    head, by_kind, rest = table[0], table[1 : len(kinds) + 1], table[len(kinds) + 1 :]
    return [
        ("",),
        (Styled("Tensors", Style.BOLD),),
        (Styled("  " + head, Style.DIM),),
        *(("  " + line,) for line in by_kind),
        (Styled("  " + rest[0], Style.BOLD),),
        ("",),
        *(("  " + line,) for line in rest[1:]),
    ]


def _share_row(label: str, share: Share, total: Share) -> tuple[str, ...]:
    bits = f"{8 * share.size_bytes / share.n_elements:.2f}" if share.n_elements else ""
    part = format_share(share.size_bytes / total.size_bytes) if total.size_bytes else ""
    size, elements = format_bytes(share.size_bytes), format_short_count(share.n_elements)
    return (label, format_count(share.n_tensors), elements, size, part, bits)


def _tokenizer(report: ModelReport, figures: Architecture) -> Iterable[tuple[str, str]]:
    tokenizer = figures.tokenizer
    yield (
        "model",
        ", ".join(
            part for part in (tokenizer.model, tokenizer.pre and f"pre-tokenizer {tokenizer.pre}") if part
        ),
    )
    if tokenizer.n_tokens is not None:
        merges = f", {format_count(tokenizer.n_merges)} merges" if tokenizer.n_merges is not None else ""
        yield ("tokens", f"{format_count(tokenizer.n_tokens)}{merges}")
    for token in report.special:
        text = "outside of the vocabulary" if token.text is None else truncate(_one_line(token.text), 60)
        yield (token.role.replace("_", " "), f"{format_count(token.id)}  {text}")
    added = [word for word, flag in (("bos", tokenizer.adds_bos), ("eos", tokenizer.adds_eos)) if flag]
    yield ("added", " and ".join(added) + " to each text" if added else "")


def _template(report: ModelReport, width_columns: int | None) -> list[Line]:
    text = report.templates.get("default")
    if text is None:
        return (
            []
            if report.architecture is None
            else [("",), (Styled("Template", Style.BOLD), "  none in the file")]
        )
    rows = [_one_line(row) for row in text.splitlines()]
    named = sorted(set(report.templates) - {"default"})
    others = f"; also named: {', '.join(_one_line(name) for name in named)}" if named else ""
    size = f"  {format_count(len(text))} characters, whole with --template{others}"
    width = (width_columns or _PIPE_COLUMNS) - 2
    shown: list[Line] = [("  " + truncate(row, width),) for row in rows[:_TEMPLATE_LINES]]
    if len(rows) > _TEMPLATE_LINES:
        shown.append((Styled(f"  … {len(rows) - _TEMPLATE_LINES:,} more lines", Style.DIM),))
    return [("",), (Styled("Template", Style.BOLD), Styled(size, Style.DIM)), *shown]


def _problems(problems: tuple[Problem, ...]) -> list[Line]:
    lines: list[Line] = [("",)] if problems else []
    for problem in problems:
        is_refused = problem.gravity is Gravity.REFUSED
        label = Styled("Refused", Style.RED) if is_refused else Styled("Warning", Style.YELLOW)
        at = "" if problem.offset_bytes is None else f", at byte {format_count(problem.offset_bytes)}"
        lines += [
            (label, f": {_one_line(problem.message)}", Styled(f"  [{problem.reference}]", Style.DIM)),
            (f"  expected {_one_line(problem.expected)}",),
            (f"  found    {_one_line(problem.found)}{at}",),
        ]
    return lines


def _shape(tensor: Tensor) -> str:
    return " x ".join(f"{length:,}" for length in tensor.shape) or "1"


def _file_name(path: str) -> str:
    return path.rsplit("/", 1)[-1]


def _whole(text: str) -> str:
    """A path: never cut, so that it can be copied."""
    return clean(text, keep_newlines=False)


def _one_line(text: str) -> str:
    """A foreign text of any length as part of one line."""
    return truncate(clean(text[:4096], keep_newlines=False), _TEXT_COLUMNS)
