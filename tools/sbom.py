"""Prints what `make run` installs as a CycloneDX 1.6 bill of materials, from the locks alone."""

from __future__ import annotations

import json
import re
import sys
import uuid
from pathlib import Path

from tools.lockfile import Lock, Pin, normalise, read_lock

ROOT = Path(__file__).parents[1]
LOCKS = ("run", "build")


def bill_of_materials(version: str, locks: dict[str, Lock]) -> dict[str, object]:
    """The document: our version, every pinned package with all hashes of its files, and who wants whom.

    The serial number is derived from the content, so that the same locks give the same document.
    """
    pins: dict[str, Pin] = {}
    optional: set[str] = set()
    for name, lock in locks.items():
        for pin in lock.pins:
            reference = _reference(pin)
            if name == "build" and reference not in pins:
                optional.add(reference)  # needed to build the wheel, not to run it
            pins.setdefault(reference, pin)
    product = f"pkg:generic/bringup@{version}"
    components = [_component(pin, build_only=ref in optional) for ref, pin in sorted(pins.items())]
    edges: dict[str, set[str]] = {product: set(), **{reference: set() for reference in pins}}
    by_name = {pin.name: reference for reference, pin in pins.items()}
    for reference, pin in pins.items():
        for parent in pin.wanted_by:
            known = by_name.get(normalise(parent))
            edges[known or product].add(reference)
    content = json.dumps([components, version], sort_keys=True)
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, content)}",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": product,
                "name": "bringup",
                "version": version,
                "licenses": [{"license": {"id": "Apache-2.0"}}],
            }
        },
        "components": components,
        "dependencies": [{"ref": ref, "dependsOn": sorted(wanted)} for ref, wanted in sorted(edges.items())],
    }


def _reference(pin: Pin) -> str:
    return f"pkg:pypi/{pin.name}@{pin.version}"


def _component(pin: Pin, *, build_only: bool) -> dict[str, object]:
    """One package, with the hashes of all its files; Python and processor decide which is installed."""
    component: dict[str, object] = {
        "type": "library",
        "bom-ref": _reference(pin),
        "name": pin.name,
        "version": pin.version,
        "purl": _reference(pin),
        "scope": "excluded" if build_only else "required",
        "properties": [{"name": "bringup:file-sha256", "value": value} for value in pin.hashes],
    }
    if pin.marker:
        component["description"] = f"only where {pin.marker}"
    return component


def main() -> int:
    """Print the document."""
    found = re.search(
        r'^__version__ = "([^"]+)"', (ROOT / "src/bringup/__init__.py").read_text("utf-8"), re.M
    )
    assert found is not None, "the version stands in src/bringup/__init__.py"
    locks = {name: read_lock(ROOT / f"requirements/{name}.txt") for name in LOCKS}
    print(json.dumps(bill_of_materials(found[1], locks), indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
