"""What a plugin is before it is imported, and what is known of it afterwards. Free of torch."""

import traceback
from importlib.metadata import EntryPoint, entry_points

from pydantic import Field

from attnbench.facts import Facts, ImplementationFacts, VariantFacts
from attnbench.registry.locate import locate

GROUP = "attnbench.impls"


class Plugin(Facts):
    """One line of an entry-point group: a name, the module that it points to, and the distribution it came in."""

    name: str
    module: str
    distribution: str
    version: str

    @property
    def label(self) -> str:
        """How users see it: `name (distribution version)`."""
        return f"{self.name} ({self.distribution} {self.version})"


class Broken(Facts):
    """A plugin that was left out, where the trouble is, and what it is. The others are not affected."""

    plugin: str
    file: str
    line: int
    message: str


class Declared(Facts):
    """What importing one plugin brought to light: its declarations, or the trouble."""

    plugin: Plugin
    variants: tuple[VariantFacts, ...] = ()
    implementations: tuple[ImplementationFacts, ...] = ()
    broken: Broken | None = None


class Request(Facts):
    """What the probe is asked to import."""

    plugins: tuple[Plugin, ...] = Field(min_length=1)


def installed() -> list[Plugin]:
    """List the plugins of this environment."""
    return [plugin_of(point) for point in points(GROUP)]


def points(group: str) -> list[EntryPoint]:
    """List the entry points of a group: ours first, so that no other can take a name from us."""

    def rank(point: EntryPoint) -> tuple[bool, str, str]:
        distribution = plugin_of(point).distribution
        return distribution != "attnbench", distribution, point.name

    return sorted(entry_points(group=group), key=rank)


def file_of(plugin: Plugin) -> str:
    """Return the file of a plugin's module, or the module's name where there is none."""
    path = locate(plugin.module)
    return str(path) if path else plugin.module


def plugin_of(point: EntryPoint) -> Plugin:
    """Return the plugin that an entry point names."""
    known = point.dist
    name, version = (known.name, known.version) if known else ("unknown", "0")
    return Plugin(name=point.name, module=point.value.strip(), distribution=name, version=version)


def trouble(plugin: Plugin, error: BaseException) -> Broken:
    """Say what is wrong with a plugin, and point to the last line of its own file that the error passed through."""
    file, line = file_of(plugin), 0
    if isinstance(error, SyntaxError):
        file, line = error.filename or file, error.lineno or 0
    else:
        inside = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
        line = (inside[-1].lineno or 0) if inside else 0
    text = " ".join(f"{type(error).__name__}: {error}".split())
    return Broken(plugin=plugin.label, file=file, line=line, message=text[:400])
