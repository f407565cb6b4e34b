"""Maps cut into square windows and joined again, with what lies inside one window: offsets and areas."""

import torch
import torch.nn.functional as F
from torch import Tensor


def cut(tensor: Tensor, window: int, shift: int = 0) -> Tensor:
    """(B, H, height, width, D) -> (B, windows, H, window * window, D): padded with zeros, rolled, partitioned."""
    height, width = tensor.shape[2:4]
    padded = F.pad(tensor, (0, 0, 0, -width % window, 0, -height % window))
    rolled = padded.roll((-shift, -shift), (2, 3)) if shift else padded
    parts: Tensor = rolled.unflatten(3, (-1, window)).unflatten(2, (-1, window))
    return parts.permute(0, 2, 4, 1, 3, 5, 6).flatten(4, 5).flatten(1, 2)


def join(parts: Tensor, height: int, width: int, window: int, shift: int = 0) -> Tensor:
    """Undo `cut`: merge the windows, roll back, crop to (B, H, height, width, D)."""
    grid: Tensor = parts.unflatten(3, (window, window)).unflatten(1, (-1, -(-width // window)))
    whole = grid.permute(0, 3, 1, 4, 2, 5, 6).flatten(4, 5).flatten(2, 3)
    back = whole.roll((shift, shift), (2, 3)) if shift else whole
    return back[:, :, :height, :width]


def areas(height: int, width: int, window: int, shift: int, device: torch.device) -> Tensor:
    """Return who may see whom, (windows, 1, window * window, window * window).

    Two places of a window must lie on the same side of the wrap. Padding is an area of its own, so that real places
    never see it, while no row is empty.
    """
    area = torch.ones(1, 1, height, width, 1, dtype=torch.long, device=device)
    area[:, :, :shift] += 1
    area[:, :, :, :shift] += 2
    area = cut(area, window, shift)[0, ..., 0]
    return area[..., :, None] == area[..., None, :]


def offset_bias(table: Tensor, window: int) -> Tensor:
    """Read a table (H, 2c + 1, 2c + 1) of offsets from key to query as (H, window * window, window * window)."""
    side = torch.arange(window, device=table.device)
    rows, columns = (axis.flatten() for axis in torch.meshgrid(side, side, indexing="ij"))
    centre = (table.shape[-1] - 1) // 2
    dy, dx = (axis[:, None] - axis[None, :] + centre for axis in (rows, columns))
    return table[:, dy, dx]
