"""What a plugin is before it is imported, and what is known of it afterwards. Free of torch."""

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
    """List the plugins of this environment: ours first, so that no other can take a name from us."""
    found = [_plugin(point) for point in entry_points(group=GROUP)]
    return sorted(found, key=lambda plugin: (plugin.distribution != "attnbench", plugin.distribution, plugin.name))


def file_of(plugin: Plugin) -> str:
    """Return the file of a plugin's module, or the module's name where there is none."""
    path = locate(plugin.module)
    return str(path) if path else plugin.module


def _plugin(point: EntryPoint) -> Plugin:
    known = point.dist
    name, version = (known.name, known.version) if known else ("unknown", "0")
    return Plugin(name=point.name, module=point.value.strip(), distribution=name, version=version)
