"""Log lines of llama.cpp that name a cause, as data: one row a wording, the eras from 2023 to 2026 together.

Lines that merely follow from an earlier one ("failed to load model", "exiting due to model loading error",
"try reducing --n-gpu-layers") have no row on purpose: they are never the cause. Wordings: llama.cpp's sources
and the reports that are linked where a wording is not in the current source any more.
"""

from __future__ import annotations

from typing import Final

from bringup.engine.model_signs import CONTENT_SIGNS, FILE_SIGNS
from bringup.engine.run_signs import DEVICE_SIGNS, MEMORY_SIGNS, PROGRAM_SIGNS

SIGNS: Final = (*PROGRAM_SIGNS, *MEMORY_SIGNS, *DEVICE_SIGNS, *FILE_SIGNS, *CONTENT_SIGNS)
