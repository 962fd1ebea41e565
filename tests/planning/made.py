"""Full-size model files without weights (sparse on the disk), machines, and plans of them, made for tests."""

from __future__ import annotations

import os
from pathlib import Path

from tests.plan.full_size import header_bytes
from tests.plan.shapes import SHAPES

from bringup.actions.planning.place import Described
from bringup.actions.planning.plan import plan_model
from bringup.actions.planning.report import PlanReport
from bringup.actions.planning.start import PlanWishes
from bringup.plan.request import Request
from bringup.units import GIB


def file_of(folder: Path, name: str) -> Path:
    """The header of a public model with a hole for its weights."""
    path = folder / f"{name}.gguf"
    if not path.exists():
        data, size_bytes = header_bytes(SHAPES[name])
        path.write_bytes(data)
        os.truncate(path, size_bytes)
    return path


def described(*gpus: str, vram_gib: float = 0, ram_gib: float = 64, held_bytes: int = 0) -> Described:
    """A machine in words."""
    return Described(
        gpus=gpus,
        vram_bytes=(int(vram_gib * GIB),) if vram_gib else (),
        held_bytes=held_bytes,
        ram_bytes=int(ram_gib * GIB),
    )


def planned(path: Path, machine: Described, request: Request | None = None, **more: object) -> PlanReport:
    """The plan of a file on a machine in words."""
    wishes = PlanWishes(request=request or Request(), described=machine, **more)  # type: ignore[arg-type]
    return plan_model(str(path), wishes, may_send_token=lambda _: False)
