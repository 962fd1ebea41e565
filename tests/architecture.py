"""The rules of the house, as functions from sources to violations; `test_architecture.py` runs them."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
AT_THE_BOTTOM = frozenset({"errors", "records", "patterns"})
SHARED_BY_ALL = AT_THE_BOTTOM | {"units", "reading"}
MUTATORS = frozenset({"append", "extend", "insert", "add", "update", "setdefault"}) | frozenset(
    {"pop", "popitem", "remove", "discard", "clear"}
)
FILE_LIMIT_LINES = 500
COMMAND_LIMIT_LINES = 80
FUNCTION_LIMIT_LINES = 60
TABLE_MARK = "# Pure table: exempt from the length limit."
BANNED_NAMES = frozenset({"utils", "util", "common", "helpers", "helper", "manager", "misc"})
HEAVY_STANDARD = frozenset({"asyncio", "email", "sqlite3", "tarfile", "tomllib", "zipfile"})
# A package that is made of one: it is imported inside functions itself (tests/project/test_startup.py looks).
MADE_OF = {"journal": "sqlite3"}
# What may be called while a module is being imported: makers of constants and types, and decorators.
CALLS_AT_IMPORT = frozenset(
    {
        "dataclass", "dataclasses.dataclass", "field", "dataclasses.field", "auto", "enum.auto",
        "frozenset", "tuple", "bytes", "range", "len", "sorted", "enumerate", "dict", "dict.fromkeys",
        "max", "min", "sum", "zip", "map", "int", "float", "str", "re.compile", "regex", "struct.Struct",
        "struct.calcsize", "struct.pack", "bytes.fromhex", "TypeVar", "NewType", "ParamSpec", "property",
        "staticmethod", "classmethod", "contextmanager", "contextlib.contextmanager",
        "lru_cache", "replace", "str.maketrans", "chr", "ord", "timedelta", "namedtuple", "cast",
    }
)  # fmt: skip


@dataclass(frozen=True)
class Rules:
    """What pyproject.toml says about the house.

    Attributes:
        imports: package -> packages of ours that it may import.
        libraries: foreign library -> packages (also within one) that may import it, and whether only inside
            functions.
        banned: standard modules that only machine/ may import.
        exceptions: module -> (banned modules that it may import, reason).
    """

    imports: dict[str, frozenset[str]]
    libraries: dict[str, tuple[frozenset[str], bool]]
    banned: frozenset[str]
    exceptions: dict[str, tuple[frozenset[str], str]]


def read_rules(pyproject: str) -> Rules:
    """The rules in a pyproject.toml's text."""
    tool: dict[str, Any] = tomllib.loads(pyproject)["tool"]
    house = tool["bringup"]["architecture"]
    return Rules(
        imports={name: frozenset(allowed) for name, allowed in house["imports"].items()},
        libraries={n: (frozenset(row["packages"]), row["lazy"]) for n, row in house["libraries"].items()},
        banned=frozenset(tool["ruff"]["lint"]["flake8-tidy-imports"]["banned-api"]),
        exceptions={n: (frozenset(row["imports"]), row["reason"]) for n, row in house["exceptions"].items()},
    )


@dataclass(frozen=True)
class Import:
    """One imported module (or module.name), and where."""

    module: str
    names: tuple[str, ...]
    line: int
    at_top: bool
    relative: bool


@dataclass(frozen=True)
class Source:
    """One module of the product, parsed."""

    module: str
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        """The parsed text."""
        return ast.parse(self.text)

    @property
    def package(self) -> str:
        """The package below `bringup`, or the module's own name for those at the top."""
        parts = self.module.split(".")
        return parts[1] if len(parts) > 1 else ""

    @cached_property
    def imports(self) -> tuple[Import, ...]:
        """All imports, wherever they stand."""
        top = {id(node) for node in import_time_nodes(self.tree)}
        found = []
        for node in ast.walk(self.tree):
            at_top = id(node) in top
            if isinstance(node, ast.Import):
                found += [Import(a.name, (), node.lineno, at_top, relative=False) for a in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = tuple(a.name for a in node.names)
                found.append(Import(node.module or "", names, node.lineno, at_top, relative=node.level > 0))
        return tuple(found)


def read_sources(folder: Path) -> tuple[Source, ...]:
    """All modules under src/."""
    sources = []
    for path in sorted(folder.rglob("*.py")):
        parts = path.relative_to(folder).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        sources.append(Source(name, path.read_text(encoding="utf-8")))
    return tuple(sources)


def import_time_nodes(tree: ast.Module) -> Iterator[ast.AST]:
    """Every node that runs while the module is imported: not bodies of functions, not types."""
    queue: list[ast.AST] = list(tree.body)
    while queue:
        node = queue.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "__name__ == '__main__'"):
            continue
        yield node
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            queue += [*node.decorator_list, *node.args.defaults, *(d for d in node.args.kw_defaults if d)]
        elif isinstance(node, ast.Lambda):
            continue
        elif isinstance(node, ast.AnnAssign):
            queue += [node.value] if node.value else []
        else:
            queue += ast.iter_child_nodes(node)


def check_import_table(sources: tuple[Source, ...], rules: Rules) -> list[str]:
    """Packages import only what the table allows; `faces` takes only classes from beyond it."""
    wrong = []
    for source in sources:
        allowed = _allowed(source, rules)
        if allowed is None:
            wrong.append(f"{source.module}: package `{source.package}` is not in the import table")
            continue
        for found in source.imports:
            if found.module.split(".")[0] != "bringup" or found.relative:
                continue
            types_only = bool(found.names) and all(_is_class_name(name) for name in found.names)
            if source.package == "faces" and types_only:
                continue
            wrong += [
                f"{source.module}:{found.line}: may not import {target}"
                for target in _targets(found)
                if not any(target == entry or target.startswith(entry + ".") for entry in allowed)
            ]
    return wrong


def _allowed(source: Source, rules: Rules) -> frozenset[str] | None:
    """What a module may import of ours, as dotted prefixes below `bringup`; `None`: not in the table."""
    if source.package in ("", "__main__"):  # the version, and the way in
        return frozenset({"__version__", "faces", *SHARED_BY_ALL})
    if source.package in SHARED_BY_ALL:
        return AT_THE_BOTTOM if source.package not in AT_THE_BOTTOM else frozenset()
    if source.package not in rules.imports:
        return None
    return rules.imports[source.package] | SHARED_BY_ALL | {source.package, "__version__"}


def _targets(found: Import) -> tuple[str, ...]:
    """What an import reaches, below `bringup`: `from bringup.machine import files` reaches machine.files."""
    below = found.module.removeprefix("bringup").removeprefix(".")
    return tuple(f"{below}.{name}".removeprefix(".") for name in found.names) or (below,)


def _is_class_name(name: str) -> bool:
    bare = name.lstrip("_")
    return bare[:1].isupper() and not bare.isupper()


def check_absolute_imports(sources: tuple[Source, ...], rules: Rules) -> list[str]:
    """No relative import, no star import."""
    return [
        f"{source.module}:{found.line}: relative or star import"
        for source in sources
        for found in source.imports
        if found.relative or "*" in found.names
    ]


def _is_banned(found: Import, banned: frozenset[str]) -> str | None:
    """The banned module that an import reaches, by itself, by a child or as `from parent import it`."""
    reached = {found.module, *(f"{found.module}.{name}" for name in found.names)}
    for name in reached:
        for module in banned:
            if name == module or name.startswith(module + "."):
                return module
    return None


def check_one_door(sources: tuple[Source, ...], rules: Rules) -> list[str]:
    """Banned modules only in machine/, or where an exception with a reason is listed; no unused exception."""
    wrong = []
    used: set[tuple[str, str]] = set()
    for source in sources:
        if source.package == "machine":
            continue
        excepted, reason = rules.exceptions.get(source.module, (frozenset(), ""))
        for found in source.imports:
            module = _is_banned(found, rules.banned)
            if module and module in excepted and reason.strip():
                used.add((source.module, module))
            elif module:
                wrong.append(f"{source.module}:{found.line}: {module} belongs to machine/")
    for name, (modules, reason) in rules.exceptions.items():
        wrong += [f"exception for {name} has no reason"] if not reason.strip() else []
        wrong += [f"exception not needed: {name} imports no {m}" for m in modules if (name, m) not in used]
    return wrong


def check_libraries(sources: tuple[Source, ...], rules: Rules) -> list[str]:
    """Foreign libraries only where the table says, and heavy ones only inside functions."""
    wrong = []
    for source in sources:
        for found in source.imports:
            root = found.module.split(".")[0]
            if found.relative or root in {"bringup", "__future__"}:
                continue
            if root in sys.stdlib_module_names:
                is_free = source.package == "machine" or MADE_OF.get(source.package) == root
                if found.at_top and _is_banned(found, HEAVY_STANDARD) and not is_free:
                    wrong.append(f"{source.module}:{found.line}: import {found.module} inside a function")
                continue
            packages, lazy = rules.libraries.get(root, (frozenset(), True))
            if not any(_is_within(source.module, package) for package in packages):
                wrong.append(f"{source.module}:{found.line}: {root} is not for {source.package}/")
            elif lazy and found.at_top:
                wrong.append(f"{source.module}:{found.line}: import {root} inside a function")
    return wrong


def _is_within(module: str, package: str) -> bool:
    """Whether a module lies in a package that is named below `bringup`: `faces`, `faces.web`."""
    return f"{module}.".startswith(f"bringup.{package}.")


def check_dangerous_calls(sources: tuple[Source, ...], rules: Rules) -> list[str]:
    """No shell, no eval or exec, no pickle anywhere; no open() and no joining of paths outside machine/."""
    anywhere = {
        "eval",
        "exec",
        "compile",
        "__import__",
        "os.system",
        "os.popen",
        "pickle.loads",
        "marshal.loads",
    }
    outside = {"open", "io.open", "os.path.join", "posixpath.join", "input"}
    wrong = []
    for source in sources:
        forbidden = anywhere if source.package == "machine" else anywhere | outside
        for node in ast.walk(source.tree):
            if not isinstance(node, ast.Call):
                continue
            if (name := ast.unparse(node.func)) in forbidden:
                wrong.append(f"{source.module}:{node.lineno}: {name}()")
            for word in node.keywords:
                if word.arg == "shell" and not (
                    isinstance(word.value, ast.Constant) and word.value.value is False
                ):
                    wrong.append(f"{source.module}:{node.lineno}: shell=")
    return wrong


def check_cycles(sources: tuple[Source, ...], rules: Rules) -> list[str]:
    """No circle among modules, be an import late or for types alone; the table itself has none either."""
    modules = {source.module for source in sources}
    graph: dict[str, set[str]] = {name: set(allowed) for name, allowed in rules.imports.items()}
    for source in sources:
        edges = graph.setdefault(source.module, set())
        for found in source.imports:
            names = {found.module, *(f"{found.module}.{name}" for name in found.names)}
            edges |= (names & modules) - {source.module, "bringup"}
    return [f"import circle: {' -> '.join(cycle)}" for cycle in _cycles(graph)]


def check_folders_of_actions(sources: tuple[Source, ...], rules: Rules) -> list[str]:
    """The folders of `actions/` import each other in one direction, as the packages do."""
    graph: dict[str, set[str]] = {}
    for source in sources:
        if source.package == "actions":
            edges = graph.setdefault(_folder_of_actions(source.module), set())
            edges |= {_folder_of_actions(one.module) for one in source.imports}
    for folder, edges in graph.items():
        edges &= graph.keys() - {folder, "bringup.actions"}
    return [f"folders import each other: {' -> '.join(cycle)}" for cycle in _cycles(graph)]


def _folder_of_actions(module: str) -> str:
    return ".".join(module.split(".")[:3])


def _cycles(graph: dict[str, set[str]]) -> Iterator[tuple[str, ...]]:
    done: set[str] = set()

    def walk(node: str, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
        if node in path:
            yield (*path[path.index(node) :], node)
        elif node not in done:
            for target in sorted(graph.get(node, ())):
                yield from walk(target, (*path, node))
            done.add(node)

    for node in sorted(graph):
        yield from walk(node, ())


def check_imports_do_nothing(sources: tuple[Source, ...], rules: Rules) -> list[str]:
    """Importing a module defines things and does nothing else; no mutable module state."""
    wrong = []
    for source in sources:
        table = TABLE_MARK in source.text.splitlines()[:20]
        builders = {n.name for n in source.tree.body if isinstance(n, ast.FunctionDef)} if table else set()
        for node in import_time_nodes(source.tree):
            if isinstance(node, ast.Call) and not _may_be_called_at_import(node, builders):
                wrong.append(f"{source.module}:{node.lineno}: calls {ast.unparse(node.func)}() when imported")
            if isinstance(
                node, ast.For | ast.While | ast.With | ast.Try | ast.Raise | ast.Delete | ast.AugAssign
            ):
                wrong.append(f"{source.module}:{node.lineno}: a statement that acts when imported")
        wrong += [
            f"{source.module}:{n.lineno}: global" for n in ast.walk(source.tree) if isinstance(n, ast.Global)
        ]
        for statement in source.tree.body:
            if _is_mutable_state(statement):
                wrong.append(f"{source.module}:{statement.lineno}: mutable module state")
    return wrong


def _may_be_called_at_import(call: ast.Call, builders: set[str]) -> bool:
    """A listed maker, a class by its name, a method of a constant, a click decorator, a row builder."""
    name = ast.unparse(call.func)
    last = name.rsplit(".", 1)[-1]
    constant = isinstance(call.func, ast.Attribute) and isinstance(call.func.value, ast.Constant)
    table_view = last in {"items", "keys", "values", "split", "encode"}
    decorator = name.startswith("click.") or name == "command.command"
    listed = name in CALLS_AT_IMPORT or name in builders
    return listed or _is_class_name(last) or constant or table_view or decorator


def _is_mutable_state(statement: ast.stmt) -> bool:
    """A list, set or dict bound to a name that is not said to be a constant (UPPER, Final, Mapping)."""
    mutable = ast.List | ast.Set | ast.Dict | ast.ListComp | ast.SetComp | ast.DictComp
    if isinstance(statement, ast.Assign):
        names = [t.id for t in statement.targets if isinstance(t, ast.Name)]
        return isinstance(statement.value, mutable) and not all(
            name.isupper() or name == "__all__" for name in names
        )
    if isinstance(statement, ast.AnnAssign) and isinstance(statement.value, mutable):
        return not re.search(r"\b(Final|Mapping|Sequence|Collection)\b", ast.unparse(statement.annotation))
    return False


def check_constants_stay(sources: tuple[Source, ...], rules: Rules) -> list[str]:
    """No function writes into a table of its module."""
    wrong = []
    for source in sources:
        tables = {
            target.id
            for statement in source.tree.body
            for target in getattr(statement, "targets", [getattr(statement, "target", None)])
            if isinstance(target, ast.Name)
        }
        for node in ast.walk(source.tree):
            written = _written(node)
            if isinstance(written, ast.Name) and written.id in tables:
                wrong.append(f"{source.module}:{written.lineno}: writes into {written.id}")
    return wrong


def _written(node: ast.AST) -> ast.expr | None:
    """What a node changes in place: `x[k] = v`, `del x[k]`, `x.append(v)`."""
    if isinstance(node, ast.Subscript) and not isinstance(node.ctx, ast.Load):
        return node.value
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in MUTATORS:
        return node.func.value
    return None


def check_sizes(sources: tuple[Source, ...], rules: Rules) -> list[str]:
    """Files and functions stay within their limits."""
    wrong = []
    for source in sources:
        lines = source.text.splitlines()
        command = source.module.startswith("bringup.faces.cli.commands.")
        limit = COMMAND_LIMIT_LINES if command else FILE_LIMIT_LINES
        if len(lines) > limit and TABLE_MARK not in lines[:20]:
            wrong.append(f"{source.module}: {len(lines)} lines, limit {limit}")
        for node in ast.walk(source.tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                body = node.body[1:] if ast.get_docstring(node) is not None else node.body
                size = (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0
                if size > FUNCTION_LIMIT_LINES:
                    wrong.append(f"{source.module}:{node.lineno}: {node.name} has {size} lines")
    return wrong


def check_names(sources: tuple[Source, ...], rules: Rules) -> list[str]:
    """No module named for nothing in particular."""
    return [
        f"{source.module}: says nothing about what it holds"
        for source in sources
        if BANNED_NAMES & set(re.split(r"[._]", source.module))
        and source.package != "faults"  # a fault is named for what is wrong: fabric_manager_missing
    ]


CHECKS = (
    check_import_table,
    check_absolute_imports,
    check_one_door,
    check_libraries,
    check_dangerous_calls,
    check_cycles,
    check_folders_of_actions,
    check_imports_do_nothing,
    check_constants_stay,
    check_sizes,
    check_names,
)
