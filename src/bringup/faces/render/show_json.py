"""A model's report as data; docs/show-json.md explains each field.

Removing or renaming one raises the schema number.
"""

from __future__ import annotations

from bringup.actions.models.show import ModelReport, metadata_summary
from bringup.model.architecture import Architecture
from bringup.model.gguf import Tensor
from bringup.model.problem import Problem
from bringup.model.sizes import Share

JSON_SCHEMA = 1


def report_json(report: ModelReport, *, with_tensors: bool) -> dict[str, object]:
    """The report as one JSON object."""
    header = report.model.header
    document: dict[str, object] = {
        "schema": JSON_SCHEMA,
        "name": report.name or None,
        "paths": list(report.paths),
        "origin": report.origin,
        "file_size_bytes": report.model.file_size_bytes,
        "gguf_version": header.version,
        "byte_order": header.byte_order.name.lower(),
        "architecture": None if report.architecture is None else _architecture(report.architecture),
        "parameters": report.total.n_elements,
        "weights_bytes": report.total.size_bytes,
        "bits_per_weight": report.bits_per_weight,
        "by_kind": {kind.value: _share(share) for kind, share in report.kinds.items()},
        "by_type": {kind.name: _share(share) for kind, share in report.types.items()},
        "tokenizer": _tokenizer(report),
        "templates": dict(report.templates),
        "metadata": metadata_summary(report.model.metadata),
        "problems": [_problem(problem) for problem in report.problems],
    }
    if with_tensors:
        document["tensors"] = [_tensor(tensor) for tensor in report.tensors]
    return document


def _architecture(figures: Architecture) -> dict[str, object]:
    state = figures.recurrent
    return {
        "name": figures.name,
        "is_known": figures.is_known,
        "file_type": figures.file_type,
        "n_layer": figures.n_layer,
        "n_layer_nextn": figures.n_layer_nextn,
        "n_embd": figures.n_embd,
        "n_head": list(figures.n_head),
        "n_head_kv": list(figures.n_head_kv),
        "n_ff": None if figures.n_ff is None else list(figures.n_ff),
        "n_embd_head_k": figures.n_embd_head_k,
        "n_embd_head_v": figures.n_embd_head_v,
        "is_mla": figures.is_mla,
        "n_ctx_train": figures.n_ctx_train,
        "n_vocab": figures.n_vocab,
        "n_expert": figures.n_expert,
        "n_expert_used": figures.n_expert_used,
        "n_swa": figures.n_swa,
        "swa_layers": [index for index, flag in enumerate(figures.swa_layers) if flag],
        "recurrent_layers": [index for index, flag in enumerate(figures.recurrent_layers) if flag],
        "recurrent_state_bytes": None
        if state is None
        else state.n_layer * (state.n_embd_r + state.n_embd_s) * 4,
    }


def _tokenizer(report: ModelReport) -> dict[str, object] | None:
    if report.architecture is None:
        return None
    tokenizer = report.architecture.tokenizer
    return {
        "model": tokenizer.model,
        "pre": tokenizer.pre,
        "n_tokens": tokenizer.n_tokens,
        "n_merges": tokenizer.n_merges,
        "adds_bos": tokenizer.adds_bos,
        "adds_eos": tokenizer.adds_eos,
        "special": {token.role: {"id": token.id, "text": token.text} for token in report.special},
    }


def _share(share: Share) -> dict[str, int]:
    return {"tensors": share.n_tensors, "parameters": share.n_elements, "size_bytes": share.size_bytes}


def _tensor(tensor: Tensor) -> dict[str, object]:
    return {
        "name": tensor.name,
        "shape": list(tensor.shape),
        "type": tensor.type.name,
        "size_bytes": tensor.size_bytes,
        "offset_bytes": tensor.offset_bytes,
    }


def _problem(problem: Problem) -> dict[str, object]:
    return {
        "reference": problem.reference,
        "gravity": problem.gravity.value,
        "message": problem.message,
        "expected": problem.expected,
        "found": problem.found,
        "offset_bytes": problem.offset_bytes,
    }
