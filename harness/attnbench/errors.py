"""The one kind of error that a user caused and can mend."""

from collections.abc import Iterable
from difflib import get_close_matches


class UserError(Exception):
    """Bad input: one line that names the thing and the remedy. The command line prints it and exits with 2."""


def unknown(kind: str, name: str, known: Iterable[str]) -> UserError:
    """Build the error for a name that nothing carries, with the closest known names.

    Args:
        kind: what was looked up, in singular ("variant", "suite").
        name: what the user wrote.
        known: every name that would have been right.
    """
    names = sorted(set(known))
    close = get_close_matches(name, names, n=3, cutoff=0.5)
    if close:
        hint = f"did you mean {' or '.join(close)}?"
    elif len(names) <= 12:
        hint = f"known: {', '.join(names)}"
    else:
        hint = f"{len(names)} are known: see `attnbench list`"
    return UserError(f"unknown {kind} {name!r}: {hint}")
