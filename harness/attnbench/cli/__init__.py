"""The command line: one file a verb. Verbs of other packages join through the entry-point group `attnbench.verbs`."""


def main() -> None:
    """Run the command line."""
    from attnbench.cli.app import run  # workers re-import this module, and need none of the rest

    run()
