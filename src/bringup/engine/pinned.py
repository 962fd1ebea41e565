"""The llama.cpp build that setup takes unless told otherwise; the data is in `pinned.toml`."""

from __future__ import annotations

from functools import cache

from bringup.records import dataclass


@dataclass(frozen=True, slots=True)
class PinnedSource:
    """One known good llama.cpp.

    Attributes:
        build: its build number.
        git: address of its repository; the tag is `b` and the number.
        package: name of the source package that holds the same files.
        package_version: that package's version.
        sha256: of that package's archive.
        folder: the one folder of the archive that is used.
        size_bytes: of the archive.
    """

    build: int
    git: str
    package: str
    package_version: str
    sha256: str
    folder: str
    size_bytes: int

    @property
    def tag(self) -> str:
        """Its tag, such as `b11434`."""
        return f"b{self.build}"

    @property
    def requirement(self) -> str:
        """The package as pip writes it."""
        return f"{self.package}=={self.package_version}"


@cache
def pinned_source() -> PinnedSource:
    """The pinned build."""
    import tomllib
    from importlib.resources import files

    text = (files("bringup.engine") / "pinned.toml").read_text(encoding="utf-8")
    table = tomllib.loads(text)["llama_cpp"]
    package = table["package"]
    return PinnedSource(
        build=table["build"],
        git=table["git"],
        package=package["name"],
        package_version=package["version"],
        sha256=package["sha256"],
        folder=package["folder"],
        size_bytes=package["size_bytes"],
    )
