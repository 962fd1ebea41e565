"""Requests that have ended servers of this kind: sent to a new engine build before it is trusted.

Each stands for a class: grammars and schemas without end, numbers beyond their type, bodies of the wrong
shape (llama.cpp's security advisories, and issues of the projects that wrap it).
"""

from __future__ import annotations

import json
from typing import Any, Final

from bringup.records import dataclass, replace

_MESSAGES: Final = [{"role": "user", "content": "x"}]
_CHAT: Final = "/v1/chat/completions"
_DEEP: Final = "[" * 4_000 + "]" * 4_000

_FIELDS: Final[tuple[tuple[str, dict[str, Any]], ...]] = (
    ("a grammar that calls itself", {"grammar": "root ::= root root"}),
    ("a grammar with a huge repetition", {"grammar": 'root ::= "a"{99999999}'}),
    ("a negative n_discard", {"n_discard": -1}),
    ("the smallest n_predict", {"n_predict": -(2**63)}),
    ("a negative n_keep", {"n_keep": -(2**31)}),
    ("sampler figures out of range", {"top_k": -(2**31), "repeat_last_n": 2**31 - 1}),
    ("10,000 samplers", {"samplers": ["x"] * 10_000}),
    ("biases of tokens that are not there", {"logit_bias": [[2**31, 1]] * 1000}),
    ("a slot that is not there", {"id_slot": 2**31}),
    ("a stop word of 100,000 letters", {"stop": ["a" * 100_000]}),
    ("all probabilities of each token", {"n_probs": 2**31 - 1}),
    ("a tool with a deep pattern", {"tools": [{"type": "function", "function": {"name": "f", "parameters": {
        "pattern": "(" * 9999}}}]}),
)  # fmt: skip
_SCHEMAS: Final[tuple[tuple[str, dict[str, Any]], ...]] = (
    ("a schema with a deep pattern", {"type": "string", "pattern": "^(" * 5000 + "a" + ")" * 5000 + "$"}),
    ("a schema with huge lengths", {"type": "string", "minLength": 2**31, "maxLength": 2**40}),
    ("a schema that refers to itself", {"$ref": "#"}),
)


@dataclass(frozen=True, slots=True)
class KillerRequest:
    """One request.

    Attributes:
        name: what is wrong with it, in words.
        path: route of the API.
        body: as sent.
        is_only_kept_out: it was seen to end the embedded engine, and was not tried on others: it is sent
            without the key, which has to keep it out.
    """

    name: str
    path: str
    body: str
    is_only_kept_out: bool = False


def killer_requests() -> tuple[KillerRequest, ...]:
    """Twenty of them. Answers are bounded to one token where an engine would answer."""
    made = [_chat(name, fields) for name, fields in _FIELDS]
    for name, schema in _SCHEMAS:
        wanted = {"type": "json_schema", "json_schema": {"schema": schema}}
        made.append(_chat(name, {"response_format": wanted}))
    deep = '{"messages": [], "response_format": {"type": "json_object", "schema": ' + _DEEP + "}}"
    brackets = _chat("a grammar of 50,000 brackets", {"grammar": f"root ::= {'(' * 50_000}{')' * 50_000}"})
    return (
        replace(brackets, is_only_kept_out=True),
        *made,
        KillerRequest("a schema of 4,000 lists", _CHAT, deep),
        KillerRequest("a body of 100,000 brackets", "/completion", "[" * 100_000),
        KillerRequest("a body that ends too early", "/tokenize", '{"content":'),
        KillerRequest("tokens that are not there", "/detokenize", '{"tokens": [-1, 99999999]}'),
    )


def _chat(name: str, fields: dict[str, Any]) -> KillerRequest:
    return KillerRequest(name, _CHAT, json.dumps({"messages": _MESSAGES, "max_tokens": 1, **fields}))
