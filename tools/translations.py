"""Writes `src/bringup/stack/translations.tsv`: what programs say in other languages, by their catalogues.

`python -m tools.translations FOLDER` reads the message catalogues (`LANGUAGE/LC_MESSAGES/PROGRAM.mo`) below
FOLDER, for example the unpacked Debian packages libc-l10n, bash, sudo, dpkg, apt, libapt-pkg6.0, make,
gcc-12-locales and binutils-common. A line of the table is the English words, a tab and the other language's;
`{0}` stands for what the program puts in. What the catalogues at hand lack and programs of other versions
print stays in `SEEN`.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from gettext import GNUTranslations
from pathlib import Path

TABLE = Path("src/bringup/stack/translations.tsv")
MESSAGES = {
    "libc": (
        "Address already in use",
        "Cannot allocate memory",
        "Connection refused",
        "Disk quota exceeded",
        "Exec format error",
        "Illegal instruction",
        "Key was rejected by service",
        "No space left on device",
        "No such device",
        "No such file or directory",
        "Operation not permitted",
        "Permission denied",
        "Required key not available",
        "Temporary failure in name resolution",
        "cannot open shared object file",
        "invalid ELF header",
        "symbol lookup error",
    ),
    "bash": ("%s: command not found", "Illegal instruction"),
    "sudo": ("%s: command not found",),
    "sudoers": ("%s: command not found",),
    "dpkg": (
        "error processing package %s (--%s):\n %s",
        "subprocess %s returned error exit status %d",
        "trying to overwrite '%.250s', which is also in package %.250s %.250s",
    ),
    "apt": ("The following packages have unmet dependencies:", "Unable to locate package %s"),
    "libapt-pkg6.0": (
        "Unable to correct problems, you have held broken packages.",
        "Unable to locate package %s",
    ),
    "gcc-12": ("fatal error: ", "unrecognized command-line option %qs"),
    "ld": (
        "%X%P: %C: undefined reference to `%pT'\n",
        "%X%C: undefined reference to `%T'\n",
        "%P: cannot find %s: %E\n",
    ),
    "make": ("No targets specified and no makefile found", "%sNo rule to make target '%s'%s"),
}
SEEN = (
    ("cannot open shared object file", "no se puede abrir el archivo del objeto compartido"),
    ("cannot open shared object file", "Impossible d'ouvrir le fichier d'objet partagé"),
    ("command not found", "no se encontró la orden"),
    ("No such file or directory", "No existe el archivo o el directorio"),
    ("No such file or directory", "Arquivo ou diretório não encontrado"),
    ("No such file or directory", "Ficheiro ou directoria inexistente"),
    ("No such file or directory", "Aucun fichier ou répertoire de ce type"),
    ("Operation not permitted", "Vorgang nicht zulässig"),
    ("The following packages have unmet dependencies", "Пакеты, имеющие неудовлетворённые зависимости"),
)
"""Words of other versions of these programs, as people pasted them."""

_PUT_IN = re.compile(r"%(?:(\d)\$)?(?:[-.\d]*)(?:q?[dsE]|p[A-Z]|[A-Z])")
_EDGES = " :.\N{IDEOGRAPHIC FULL STOP}\N{FULLWIDTH COLON}"
_SHORTEST_BYTES = 8
"""A shorter word stands in other sentences too."""


def main(folder: str) -> None:
    """Writes the table."""
    rows = sorted({*_rows(Path(folder)), *SEEN})
    head = f"# {len(rows)} rows by tools/translations.py, from the programs' catalogues in Debian 12\n"
    TABLE.write_text(head + "".join(f"{english}\t{other}\n" for english, other in rows), encoding="utf-8")


def _rows(folder: Path) -> Iterator[tuple[str, str]]:
    for path in sorted(folder.rglob("*.mo")):
        wanted = MESSAGES.get(path.stem, ())
        if not wanted or path.parent.parent.name.startswith("en"):
            continue
        with path.open("rb") as file:
            catalogue = GNUTranslations(file)
        for message in wanted:
            english, other = _alike(_counted(message), _counted(catalogue.gettext(message)))
            if english == "cannot find":  # of a library only: the words alone are anybody's
                english, other = f"{english} -l", f"{other} -l"
            elif english == "cannot find {1}":
                english, other = (text.replace("{1}", "-l{1}") for text in (english, other))
            if other != english and len(other.encode()) >= _SHORTEST_BYTES:
                yield english, other


def _counted(message: str) -> str:
    """Its first line; what the program puts in is counted by its place in the message."""
    line = message.strip("\n").split("\n")[0]
    for number, one in reversed(list(enumerate(_PUT_IN.finditer(line)))):
        place = int(one[1]) - 1 if one[1] else number
        line = f"{line[: one.start()]}{{{place}}}{line[one.end() :]}"
    return line.replace("\N{NO-BREAK SPACE}", " ").strip(_EDGES)


def _alike(english: str, other: str) -> tuple[str, str]:
    """Both without what they begin and end with alike: the line that is read has it too."""
    for at_end in (r"^\{\d\}", r"\{\d\}$"):
        ours, theirs = re.search(at_end, english), re.search(at_end, other)
        if ours and theirs and ours[0] == theirs[0]:
            english, other = (re.sub(at_end, "", text).strip(_EDGES) for text in (english, other))
            return _alike(english, other)
    return english, other


if __name__ == "__main__":
    main(sys.argv[1])
