"""All faults: a sorted listing of the folders beside this file, made by one function."""

from __future__ import annotations

import importlib
import pkgutil
import re
from functools import lru_cache
from types import ModuleType

import bringup.faults
from bringup.faults._fault import Fault, Layer

_HEADINGS = ("Symptom", "Reason", "Sources", "Limits")


@lru_cache(maxsize=1)
def load_catalogue() -> tuple[Fault, ...]:
    """Every fault, bottom layer first, by id within a layer."""
    faults = []
    for layer in Layer:
        package = f"bringup.faults.{layer.name.lower()}"
        folder = next(iter(bringup.faults.__path__)) + "/" + layer.name.lower()
        for name in sorted(entry.name for entry in pkgutil.iter_modules([folder])):
            if not name.startswith("_"):
                faults.append(read_fault(importlib.import_module(f"{package}.{name}"), layer))
    return tuple(faults)


def find_fault(fault_id: str) -> Fault | None:
    """The fault of an id, also of one that was renamed; `None` when there is none."""
    from bringup.faults._redirects import REDIRECTS

    wanted = REDIRECTS.get(fault_id, fault_id)
    return next((fault for fault in load_catalogue() if fault.id == wanted), None)


def read_fault(module: ModuleType, layer: Layer) -> Fault:
    """The fault that a module says.

    Raises:
        ValueError: the docstring lacks a part that STYLE asks for.
    """
    sections = read_docstring(module.__doc__ or "")
    sources = tuple(re.findall(r"https?://\S+", sections["Sources"]))
    return Fault(
        id=module.__name__.rsplit(".", 1)[1].replace("_", "-"),
        layer=layer,
        title=sections["title"],
        symptom=sections["Symptom"],
        reason=sections["Reason"],
        sources=sources,
        limits=sections.get("Limits", ""),
        signs=getattr(module, "SIGNS", ()),
        explains=getattr(module, "EXPLAINS", ()),
        steps=module.STEPS,
        check=getattr(module, "check", None),
        over=getattr(module, "OVER", ()),
        stories=getattr(module, "STORIES", ()),
        is_ahead=getattr(module, "IS_AHEAD", False),
    )


_NAMES = frozenset({"cmake", "glibc", "libcuda", "libcudart", "lspci", "modprobe", "nouveau", "nvcc"})


def _begun_large(text: str) -> str:
    """A sentence with a capital in front, unless it begins with the name of a program."""
    first = text.split(" ", 1)[0].removesuffix("'s").rstrip(",")
    is_word = re.fullmatch(r"[a-z]+", first) is not None and first not in _NAMES
    return text[:1].upper() + text[1:] if is_word else text


def read_docstring(text: str) -> dict[str, str]:
    """Title and headed sections of a fault's docstring, each folded to one line.

    Raises:
        ValueError: no title, or `Symptom:`, `Reason:` or `Sources:` is missing.
    """
    pattern = r"^(" + "|".join(_HEADINGS) + r"):"
    title, *rest = re.split(pattern, text.strip(), flags=re.MULTILINE)
    sections = {"title": " ".join(title.split()).rstrip(".")}
    for heading, body in zip(rest[::2], rest[1::2], strict=True):
        sections[heading] = _begun_large(" ".join(body.split()))
    missing = [name for name in ("title", "Symptom", "Reason", "Sources") if not sections.get(name)]
    if missing:
        raise ValueError(f"docstring lacks {', '.join(missing)}")
    return sections
