"""One name for everything that a result hangs on: our code, the libraries, files and values.

What was remembered (the scores of a fold, half a batch, a study) is taken up again only under the same name. Code
is what a module imports from this package, and what that imports in its turn: so an edit of one family of
classifiers leaves standing what another one has scored.
"""

from __future__ import annotations

import ast
import hashlib
import json
import sys
from collections.abc import Iterable, Iterator
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from pathlib import Path
from typing import Any

PACKAGE = Path(__file__).parents[1]
_distributions = lru_cache(packages_distributions)
# Libraries whose packages have other names: to look through all that is installed takes longer than a short batch.
DISTRIBUTIONS = {"markdown_it": "markdown-it-py", "sklearn": "scikit-learn", "yaml": "PyYAML"}
# No score hangs on how errors and progress are worded, a config is read (what it says is among the values) or a file
# is written.
GROUND = {f"pipeline{name}" for name in ("", ".config", ".errors", ".progress", ".data.digest", ".data.files")}


def fingerprint(modules: Iterable[str], *values: Any, files: Iterable[Path] = ()) -> str:
    """Name a result by 24 hex digits of a sha256 over code, values (as JSON holds them) and files.

    The code is that of the modules and all that they import from this package; of other packages it is the version.
    """
    code, packages = collect_code(modules)
    total = hashlib.sha256(json.dumps(values, sort_keys=True, default=str).encode())
    total.update(repr([(name, _version(name)) for name in sorted(packages)]).encode())
    for name in sorted(code):
        total.update(f"{name} {_parse(code[name].read_text(encoding='utf-8'))[0]}".encode())
    for file in files:
        total.update(f"{file.name} {hash_file(file)}".encode())
    return total.hexdigest()[:24]


def collect_code(modules: Iterable[str]) -> tuple[dict[str, Path], set[str]]:
    """Return the files of modules and of what they import from this package, by name; and the other packages."""
    code: dict[str, Path] = {}
    packages: set[str] = set()
    waiting = list(modules)
    while waiting:
        name = waiting.pop()
        if name in code or name in GROUND:
            continue
        if (file := _find(name)) is None:
            raise ModuleNotFoundError(f"no module {name} below {PACKAGE}", name=name)
        code[name] = file
        for imported in _parse(file.read_text(encoding="utf-8"))[1]:
            package, _, rest = imported.partition(".")
            if package != "pipeline":
                packages.add(package)
            elif rest:
                # What is imported may be no module, but stand in one.
                waiting.append(imported if _find(imported) else imported.rpartition(".")[0])
    return code, packages - sys.stdlib_module_names


def hash_file(file: Path) -> str:
    """Return the sha256 of a file, which is read once while it does not change."""
    status = file.stat()
    return _hash(file, status.st_size, status.st_mtime_ns)


@lru_cache
def _hash(file: Path, size: int, changed: int) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _version(package: str) -> str:
    try:
        return version(DISTRIBUTIONS.get(package, package))
    except PackageNotFoundError:  # an extra that is not installed, or another build of the library
        return " ".join(map(version, _distributions().get(package, ())))


def _find(module: str) -> Path | None:
    place = PACKAGE.parent.joinpath(*module.split("."))
    return next((file for file in (place.with_suffix(".py"), place / "__init__.py") if file.is_file()), None)


@lru_cache(maxsize=256)
def _parse(source: str) -> tuple[str, set[str]]:
    """Return a digest of code, comments and layout apart, and the names that it imports."""
    tree = ast.parse(source)
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest(), set(_imports(tree))


def _imports(node: ast.AST) -> Iterator[str]:
    """Yield the full names that run-time code imports, inside functions too."""
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.stmt | ast.ExceptHandler | ast.match_case):
            continue  # no expression imports
        if isinstance(child, ast.Import):
            yield from (alias.name for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            assert child.module, "this package has no relative imports"
            yield from (f"{child.module}.{alias.name}" for alias in child.names)
        elif not (isinstance(child, ast.If) and getattr(child.test, "id", "") == "TYPE_CHECKING"):
            yield from _imports(child)
