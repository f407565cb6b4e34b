"""Reads what a worker printed: bounded, and with nothing in it that a terminal would obey. Free of torch."""

from pathlib import Path


def tail(log: Path, limit: int = 4000) -> str:
    """Return the end of a log, with everything but plain text made visible; empty where there is no log."""
    if not log.exists():
        return ""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - limit))
        text = file.read(limit).decode("utf-8", "replace")
    return plain(text)[-limit:].strip()


def plain(text: str) -> str:
    """Return text with everything that a terminal would obey made visible."""
    return "".join(one if one.isprintable() or one == "\n" else f"\\x{ord(one):02x}" for one in text)
