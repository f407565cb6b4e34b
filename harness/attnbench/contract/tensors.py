"""Frozen records of tensors: the base of inputs, operands, mixed values and outputs."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import ClassVar, Self, cast

import torch
from torch import Tensor


@dataclasses.dataclass(frozen=True, kw_only=True)
class TensorRecord:
    """A frozen dataclass whose fields are tensors, tuples or mappings of tensors, other records, or plain facts.

    `PRECISE` names the fields that never go below float32 (log decays, times, angles). `CONSTANT` names the
    floating-point fields that are not differentiated (running statistics, dropout masks).
    """

    PRECISE: ClassVar[frozenset[str]] = frozenset()
    CONSTANT: ClassVar[frozenset[str]] = frozenset()

    def map(self, change: Callable[[Tensor], Tensor]) -> Self:
        """Return a copy with `change` applied to every tensor, in nested records too."""
        return dataclasses.replace(self, **{name: _apply(value, change) for name, value in self._fields()})

    def tensors(self) -> dict[str, Tensor]:
        """Return every tensor under its dotted name, in the order of the fields."""
        return dict(_walk(self, ""))

    def differentiable(self) -> dict[str, Tensor]:
        """Return the tensors that gradients are defined for: floating point, and in no record's `CONSTANT`."""
        return {name: tensor for name, tensor in _walk(self, "", constant=False) if tensor.is_floating_point()}

    def with_tensors(self, changed: Mapping[str, Tensor]) -> Self:
        """Return a copy in which the tensors under the given dotted names are replaced.

        Raises:
            KeyError: a name that this record does not hold.
        """
        names = iter(self.tensors())
        missing = set(changed) - set(self.tensors())
        if missing:
            raise KeyError(f"no tensor named {', '.join(sorted(missing))}")

        def pick(tensor: Tensor) -> Tensor:
            return changed.get(next(names), tensor)

        return self.map(pick)

    def to(self, dtype: torch.dtype, device: torch.device | str = "cpu") -> Self:
        """Return a copy on `device`, floating-point tensors in `dtype`; `PRECISE` fields stay at float32 or above."""
        careful = dtype if dtype.itemsize >= torch.float32.itemsize else torch.float32

        def cast_field(name: str, value: object) -> object:
            wanted = careful if name in self.PRECISE else dtype
            if isinstance(value, TensorRecord):
                return value.to(dtype, device)
            return _apply(value, lambda t: t.to(device, wanted) if t.is_floating_point() else t.to(device))

        return dataclasses.replace(self, **{name: cast_field(name, value) for name, value in self._fields()})

    def _fields(self) -> Iterator[tuple[str, object]]:
        for field in dataclasses.fields(self):
            yield field.name, getattr(self, field.name)


def _apply(value: object, change: Callable[[Tensor], Tensor]) -> object:
    if isinstance(value, Tensor):
        return change(value)
    if isinstance(value, TensorRecord):
        return value.map(change)
    if isinstance(value, tuple):
        return tuple(_apply(item, change) for item in cast("tuple[object, ...]", value))
    if isinstance(value, Mapping):
        return {key: _apply(item, change) for key, item in value.items()}
    return value


def _walk(value: object, name: str, constant: bool = True) -> Iterator[tuple[str, Tensor]]:
    if isinstance(value, Tensor):
        yield name, value
        return
    items: Iterator[tuple[str, object]]
    if isinstance(value, TensorRecord):
        items = (field for field in value._fields() if constant or field[0] not in value.CONSTANT)
    elif isinstance(value, tuple):
        items = ((str(index), item) for index, item in enumerate(cast("tuple[object, ...]", value)))
    elif isinstance(value, Mapping):
        items = ((str(key), item) for key, item in value.items())
    else:
        return
    for key, item in items:
        yield from _walk(item, f"{name}.{key}" if name else key, constant)
