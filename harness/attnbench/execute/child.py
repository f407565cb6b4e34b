"""How a worker or judge begins: its own process group, an end with its parent, limits, a log, a number of threads."""

import ctypes
import importlib
import os
import resource
import signal
import sys
from collections.abc import Callable
from typing import Any

import torch

from attnbench.contract import Attention
from attnbench.execute.messages import Order

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
MEMORY_SHARE = 0.8


def begin(order: Order) -> None:
    """Set this process up for an order. Nothing of a plugin has been imported yet."""
    os.setsid()
    if sys.platform == "linux":
        prctl = ctypes.CDLL(None, use_errno=True).prctl
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        prctl(PR_SET_CHILD_SUBREAPER, 1)  # descendants stay findable when what started them ends
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    log = os.open(order.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for stream in (1, 2):
        os.dup2(log, stream)
    os.close(log)
    device = order.job.device
    if device.kind == "cuda":
        os.environ["CUDA_VISIBLE_DEVICES"] = device.uuid or str(device.index)
    else:
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
        limit = int(device.memory_bytes * MEMORY_SHARE)
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    torch.set_num_threads(order.job.threads)


def function(path: str) -> Callable[..., Any]:
    """Import what `module:function` names."""
    module, _, name = path.partition(":")
    found: Callable[..., Any] = getattr(importlib.import_module(module), name)
    return found


def definition(order: Order) -> type[Attention[Any, Any, Any]]:
    """Import the module that defines an order's variant, and return its class.

    Raises:
        LookupError: the module no longer declares the variant.
    """
    for one in vars(importlib.import_module(order.variant.module)).values():
        declared = isinstance(one, type) and issubclass(one, Attention) and "facts" in vars(one)
        if declared and one.facts.slug == order.variant.slug:
            found: type[Attention[Any, Any, Any]] = one
            return found
    raise LookupError(f"{order.variant.module} no longer declares {order.variant.slug}")
