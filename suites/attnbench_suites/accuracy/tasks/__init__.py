"""The tasks, one file each, found through `TASKS` under the kind of a case."""

from collections.abc import Mapping

from attnbench_suites.accuracy.tasks.digits import Digits
from attnbench_suites.accuracy.tasks.mqar import Mqar
from attnbench_suites.accuracy.tasks.task import Task

TASKS: Mapping[str, Task] = {"mqar": Mqar(), "digits": Digits()}

__all__ = ["TASKS", "Task"]
