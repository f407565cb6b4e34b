"""What the fork server imports once, so that every fresh worker starts with it: torch and ours, never a plugin."""

import scipy.stats  # noqa: F401
import torch  # noqa: F401

import attnbench.execute.judge
import attnbench.execute.worker  # noqa: F401
