"""Finds the source of a module, and of everything that it imports from its own package, without importing it."""

import ast
import hashlib
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.machinery import ModuleSpec
from pathlib import Path


@cache
def locate(module: str) -> Path | None:
    """Return the file of a module, or None where it has none that can be read."""
    spec: ModuleSpec | None = None
    search: list[str] | None = None
    parts = module.split(".")
    for depth in range(len(parts)):
        name = ".".join(parts[: depth + 1])
        finders = (finder for finder in sys.meta_path if hasattr(finder, "find_spec"))
        spec = next((found for finder in finders if (found := finder.find_spec(name, search, None))), None)
        if spec is None:
            return None
        search = list(spec.submodule_search_locations or [])
    origin = spec.origin if spec else None
    return Path(origin) if origin and origin.endswith(".py") else None


@cache
def closure(module: str) -> frozenset[str]:
    """Return the module and all modules of the same top-level package that importing it runs."""
    reached: set[str] = set()
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name in reached or locate(name) is None:
            continue
        reached.add(name)
        package = name.rpartition(".")[0]  # a module's packages run before it
        waiting.extend(one for one in (package, *_imports(name)) if one.split(".")[0] == module.split(".")[0])
    return frozenset(reached)


def source_hash(modules: Iterable[str]) -> str:
    """Return the SHA-256 over the sources of the modules and all that they reach, in order of name."""
    names = sorted(set().union(*(closure(module) for module in modules)))
    digest = hashlib.sha256()
    for name in names:
        digest.update(f"{name}\0".encode() + _file_digest(name))
    return digest.hexdigest()


@cache
def _file_digest(module: str) -> bytes:
    path = locate(module)
    return hashlib.sha256(path.read_bytes() if path else b"").digest()


def _imports(module: str) -> Iterator[str]:
    path = locate(module)
    if path is None:
        return
    try:
        tree = ast.parse(path.read_bytes())
    except SyntaxError:  # the probe reports it, with its line
        return
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(node, package)
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


def _absolute(node: ast.ImportFrom, package: str) -> str:
    if not node.level:
        return node.module or ""
    parent = package.split(".")[: len(package.split(".")) - node.level + 1]
    return ".".join([*parent, *([node.module] if node.module else [])])
