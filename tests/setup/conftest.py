"""What tests of setup stand on: the real source, a small made project, changed views of this machine."""

from __future__ import annotations

import functools
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from bringup.machine.live import LiveMachine
from bringup.machine.protocol import DiskSpace
from bringup.reading import Known, Reading

NO_SOURCE = "no llama.cpp source: python -m tools.materials .cache"

# A made project with the shape of llama.cpp: eight slow steps, then a program that is a shell script.
PROJECT = """
cmake_minimum_required(VERSION 3.14)
project("llama.cpp" NONE)
set(steps "")
foreach(number RANGE 1 8)
  add_custom_command(OUTPUT step${number} COMMAND sleep 0.2 COMMAND touch step${number}
    COMMAND sh -c "echo ${number} >>${CMAKE_BINARY_DIR}/done")
  list(APPEND steps step${number})
endforeach()
add_custom_command(OUTPUT made DEPENDS ${steps}
  COMMAND ${CMAKE_COMMAND} -E make_directory bin
  COMMAND ${CMAKE_COMMAND} -E copy ${CMAKE_SOURCE_DIR}/program bin/llama-server
  COMMAND ${CMAKE_COMMAND} -E touch bin/libggml.so.0 bin/notes.txt made)
add_custom_target(llama-server DEPENDS made)
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The made project, with a program that prints a version and is no engine."""
    if shutil.which("cmake") is None or shutil.which("ninja") is None:
        pytest.skip("no cmake and ninja")
    folder = tmp_path / "project"
    (folder / "ggml").mkdir(parents=True)
    (folder / "ggml" / "CMakeLists.txt").touch()
    (folder / "CMakeLists.txt").write_text(PROJECT)
    program = folder / "program"
    program.write_text("#!/bin/sh\necho 'version: 7777 (made)'\n")
    program.chmod(0o755)
    return folder


@pytest.fixture(scope="session")
def llama_cpp() -> Path:
    """The real source."""
    folder = Path(__file__).parents[2] / ".cache" / "llama.cpp"
    if not (folder / "CMakeLists.txt").exists():
        pytest.skip(NO_SOURCE)
    return folder


@dataclass
class Changed(LiveMachine):
    """This machine with some looks answered otherwise: variables, free disk, files with other text."""

    variables: dict[str, str] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    free_disk_bytes: int | None = None

    def environment(self, name: str) -> Reading[str]:
        if name in self.variables:
            return Known(self.variables[name], f"environment variable {name}")
        return super().environment(name)

    def read_text(self, path: str, *, limit_bytes: int = 16 * 1024**2) -> Reading[str]:
        if path in self.texts:
            return Known(self.texts[path], path)
        return super().read_text(path, limit_bytes=limit_bytes)

    def disk_space(self, path: str) -> Reading[DiskSpace]:
        if self.free_disk_bytes is not None:
            return Known(DiskSpace(10**12, self.free_disk_bytes), path)
        return super().disk_space(path)


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """A web server on loopback with the files of a folder."""
    handler = functools.partial(SimpleHTTPRequestHandler, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
