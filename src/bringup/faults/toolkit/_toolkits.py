"""Which toolkit a build takes first."""

from __future__ import annotations

from bringup.faults._scene import Scene
from bringup.reading import Known
from bringup.stack.toolkit_files import CudaToolkit


def first_toolkit(scene: Scene) -> CudaToolkit | None:
    """The toolkit of the first nvcc on PATH; `None` where none is known."""
    nvcc, toolkits = scene.stack.toolkit.nvcc, scene.stack.toolkit.toolkits
    if not isinstance(nvcc, Known) or not isinstance(toolkits, Known):
        return None
    return next((one for one in toolkits.value if one.folder == nvcc.value.folder), None)
