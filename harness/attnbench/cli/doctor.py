"""`attnbench doctor`: is this machine fit to measure on?"""

import os
import shutil
from collections.abc import Iterator
from typing import NamedTuple

import psutil
import typer

from attnbench import environment
from attnbench.cli.options import Json
from attnbench.cli.output import console, emit
from attnbench.devices import discover
from attnbench.registry.registry import load
from attnbench.store.location import default_path


class Finding(NamedTuple):
    """One thing that was looked at: fine, worth knowing, or in the way."""

    level: str
    text: str


STYLES = {"fine": "green", "note": "yellow", "trouble": "red"}


def doctor(json: Json = False) -> None:
    """Look at what decides whether runs work and times can be trusted. Exit code 1 when something is in the way.

    Example: [bold]attnbench doctor[/bold]
    """
    findings = [*_software(), *_plugins(), *_machine(), *_storage()]
    if json:
        emit([finding._asdict() for finding in findings])
    else:
        for level, text in findings:
            console.print(f"[{STYLES[level]}]{level:>7}[/]  ", end="")
            console.print(text, markup=False, highlight=False, soft_wrap=True)
    if any(finding.level == "trouble" for finding in findings):
        raise typer.Exit(1)


def _software() -> Iterator[Finding]:
    software = environment.current()
    packages = ", ".join(f"{name} {version}" for name, version in software.packages.items())
    yield Finding("fine", f"Python {software.python}, {packages}")
    for package in ("torch", "triton"):
        if package not in software.packages:
            yield Finding("trouble" if package == "torch" else "note", f"{package} is missing: pip install {package}")
    if not any(map(shutil.which, ("g++", "clang++"))):
        yield Finding("note", "no C++ compiler: implementations that torch.compile builds for the CPU are unsupported")


def _plugins() -> Iterator[Finding]:
    registry = load()
    count = sum(len(one.implementations) for one in registry.variants.values())
    yield Finding("fine", f"{len(registry.variants)} variants, {count} implementations, {len(registry.suites)} suites")
    for one in registry.broken:
        yield Finding("trouble", f"plugin {one.plugin} is left out: {one.file}:{one.line}: {one.message}")


def _machine() -> Iterator[Finding]:
    for device in discover():
        yield Finding("fine", f"{device.id}: {device.name}, {device.memory_bytes / 2**30:.0f} GiB")
    load_average, cores = os.getloadavg()[0], psutil.cpu_count() or 1
    if load_average > 0.5 * cores:
        busy = f"load {load_average:.1f} on {cores} cores: other programs disturb the times; close them for ranked runs"
        yield Finding("note", busy)
    steal = psutil.cpu_times_percent(interval=0.3)
    if getattr(steal, "steal", 0.0) > 1.0:
        yield Finding(
            "note", f"{steal.steal:.0f} % of CPU time is taken by other virtual machines: compare ratios only"
        )


def _storage() -> Iterator[Finding]:
    path = default_path()
    folder = next(one for one in (path.parent, *path.parents) if one.exists())
    free = shutil.disk_usage(folder).free / 2**30
    if not os.access(folder, os.W_OK):
        yield Finding("trouble", f"{folder} is read-only: name another database with --db or ATTNBENCH_DB")
    elif free < 1:
        yield Finding("trouble", f"{free:.1f} GiB free at {folder}: free some space")
    else:
        yield Finding("fine", f"results go to {path}, {free:.0f} GiB free")
