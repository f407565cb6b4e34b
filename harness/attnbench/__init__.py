"""attnbench measures attention: every variant proved, timed and trained under one contract.

This package is the ground floor: the contract that variants keep, the registry that finds them, the plan, the
workers, the store and the command line. Importing it never imports torch; `attnbench.contract` does.
"""

from importlib.metadata import version

__version__ = version("attnbench")
