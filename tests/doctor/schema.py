"""The part of JSON Schema that docs/schema uses, and nothing silently ignored."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[2] / "docs/schema"
_TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "number": (int, float),
    "integer": (int,),
    "boolean": (bool,),
    "null": (type(None),),
}
_KNOWN = {
    *("$schema", "title", "description", "type", "properties", "required", "additionalProperties"),
    *("items", "enum", "const", "anyOf", "pattern"),
}


def load_schema(name: str) -> dict[str, Any]:
    schema: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return schema


def problems(value: Any, schema: dict[str, Any], path: str = "$") -> list[str]:
    """What of a value breaks the schema; empty for a valid one."""
    unknown = set(schema) - _KNOWN
    assert not unknown, f"{path}: the schema uses {unknown}, which this validator does not know"
    found: list[str] = []
    if "anyOf" in schema and not any(not problems(value, one, path) for one in schema["anyOf"]):
        found.append(f"{path}: fits none of anyOf")
    if "const" in schema and (value != schema["const"] or type(value) is not type(schema["const"])):
        found.append(f"{path}: {value!r} is not {schema['const']!r}")
    if "enum" in schema and value not in schema["enum"]:
        found.append(f"{path}: {value!r} is not one of {schema['enum']}")
    if "type" in schema:
        names = [schema["type"]] if isinstance(schema["type"], str) else schema["type"]
        allowed = tuple(kind for name in names for kind in _TYPES[name])
        if not isinstance(value, allowed) or (isinstance(value, bool) and bool not in allowed):
            return [*found, f"{path}: {value!r:.60} is not {names}"]
    if "pattern" in schema and isinstance(value, str) and not re.search(schema["pattern"], value):
        found.append(f"{path}: {value!r} does not match {schema['pattern']}")
    return found + _inside(value, schema, path)


def _inside(value: Any, schema: dict[str, Any], path: str) -> list[str]:
    found: list[str] = []
    if isinstance(value, dict) and "properties" in schema:
        found += [f"{path}: {name} is missing" for name in schema["required"] if name not in value]
        for name, inner in value.items():
            if name in schema["properties"]:
                found += problems(inner, schema["properties"][name], f"{path}.{name}")
            elif schema.get("additionalProperties") is False:
                found.append(f"{path}: {name} is not in the schema")
    if isinstance(value, list) and "items" in schema:
        for number, inner in enumerate(value):
            found += problems(inner, schema["items"], f"{path}[{number}]")
    return found
