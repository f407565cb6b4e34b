"""Shifted window attention with a relative position bias."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attnbench.contract import (
    Attention,
    Claim,
    Fidelity,
    Grid,
    Layout,
    Operands,
    Outputs,
    Pattern,
    Place,
    Property,
    Trial,
    implementation,
    reduction,
    variant,
)
from attnbench.errors import UserError, unknown
from attnbench_impls.kernels.softmax import masked_softmax, widened
from attnbench_impls.kernels.windows import areas, cut, join, offset_bias


@dataclass(frozen=True, kw_only=True)
class WindowOperands(Operands):
    """Heads of window attention on a map whose every token is real.

    Attributes:
        q: (B, H, height, width, D).
        k: (B, H, height, width, D).
        v: (B, H, height, width, D_v).
        table: (H, 2c + 1, 2c + 1) bias by the rows and columns from key to query; [:, c, c] is the token itself.
        window: side of a window, at most c + 1.
        shift: the grid lines lie at shift, shift + window, ...; windows cut by the border are smaller, never wrapped.
        scale: factor on q . k.
    """

    q: Tensor
    k: Tensor
    v: Tensor
    table: Tensor
    window: int
    shift: int
    scale: float


@variant(
    slug="swin_window_attention",
    paper="swin_window_attention",
    family="window_or_neighborhood",
    layout=Layout.GRID2D,
    patterns={Pattern.NONCAUSAL_SELF},
    fidelity=Fidelity.CODE_VERIFIED,
    properties={Property.BATCH_INDEPENDENT, Property.ROWS_SUM_TO_ONE},
    settings={
        "correctness": [
            {"window_size": 3, "shift_size": 1},
            {"window_size": 4},
            {"window_size": 3, "shift_size": 2, "pad_mode": "official"},
        ],
        "latency": [{}, {"shift_size": 3}],
        "accuracy": [{"window_size": 4}],
    },
    claims=[
        Claim(
            text="A four-stage backbone of shifted windows (Swin-T) classifies 81.3 % of ImageNet-1K rightly",
            metric="top-1 accuracy",
            value=0.813,
            conditions="ImageNet-1K, 224 x 224, Swin-T",
        )
    ],
)
class SwinWindowAttention(Attention[Grid, WindowOperands, Tensor]):
    """Softmax attention inside square windows, with a learned bias by offset; odd layers move the grid lines.

    x (B, height, width, D) -> q, k, v (B, H, height, width, d) -> attention inside each window -> W_o -> like x.
    A map with a side of at most one window is cut into windows of that side, without a shift. Where the windows do
    not divide the map, `pad_mode="masked"` attends to real tokens only. `pad_mode="official"` does as the released
    detection code does: it fills the map with zeros before the projection, attends to them, and never shrinks windows.
    Source: Swin Transformer, 2021.

    Raises:
        UserError: heads that do not divide the width, a window below 1, a shift outside it, or an unknown pad mode.
    """

    def __init__(
        self,
        dim: int,
        heads: int,
        *,
        place: Place = Place(),
        window_size: int = 7,
        shift_size: int | None = None,
        scale: float | None = None,
        pad_mode: str = "masked",
    ) -> None:
        super().__init__()
        if dim % heads:
            raise UserError(f"{heads} heads do not divide the width {dim}")
        if shift_size is None:
            shift_size = window_size // 2 if place.index % 2 else 0
        if not 0 <= shift_size < window_size:
            raise UserError(f"shift_size must lie in 0 to window_size - 1, got {shift_size} with window {window_size}")
        if pad_mode not in {"masked", "official"}:
            raise unknown("pad_mode", pad_mode, {"masked", "official"})
        self.heads = heads
        self.window_size = window_size
        self.shift_size = shift_size
        self.scale = (dim // heads) ** -0.5 if scale is None else scale
        self.fill = pad_mode == "official"
        self.w_qkv = nn.Linear(dim, 3 * dim)
        self.w_o = nn.Linear(dim, dim)
        self.table = nn.Parameter(torch.empty((2 * window_size - 1) ** 2, heads))
        for weight in (self.w_qkv.weight, self.w_o.weight, self.table):
            nn.init.trunc_normal_(weight, std=0.02)
        nn.init.zeros_(self.w_qkv.bias)
        nn.init.zeros_(self.w_o.bias)

    def project(self, inputs: Grid) -> WindowOperands:
        """Project to heads; the official padding happens here, so that its tokens hold the bias of W_qkv."""
        x, window, shift = inputs.x, self.window_size, self.shift_size
        if self.fill:
            x = F.pad(x, (0, 0, 0, -x.shape[2] % window, 0, -x.shape[1] % window))
        elif min(x.shape[1:3]) <= window:
            window, shift = min(x.shape[1:3]), 0
        q, k, v = self.w_qkv(x).unflatten(-1, (3, self.heads, -1)).permute(3, 0, 4, 1, 2, 5)
        offsets = 2 * self.window_size - 1
        table = self.table.mT.unflatten(1, (offsets, offsets))
        return WindowOperands(q=q, k=k, v=v, table=table, window=window, shift=shift, scale=self.scale)

    @staticmethod
    def mix(operands: WindowOperands) -> Tensor:
        """Take the queries one by one: each sees the tokens of the whole map whose cell is its own."""
        o = widened(operands)
        q, k, v, table, window = o.q, o.k, o.v, o.table, o.window
        height, width = q.shape[2:4]
        centre = table.shape[-1] // 2

        def cell(y: int, x: int) -> tuple[int, int]:
            return (y + window - operands.shift) // window, (x + window - operands.shift) // window

        places = [(y, x) for y in range(height) for x in range(width)]
        tokens = []
        for y, x in places:
            seen = [place for place in places if cell(*place) == cell(y, x)]
            rows, columns = torch.tensor(seen, device=q.device).unbind(1)
            bias = table[:, y - rows + centre, x - columns + centre]
            logits = operands.scale * (k[:, :, rows, columns] @ q[:, :, y, x, :, None])[..., 0] + bias
            weights = (logits - logits.amax(-1, keepdim=True)).exp()
            weights = weights / weights.sum(-1, keepdim=True)
            tokens.append((weights[..., None] * v[:, :, rows, columns]).sum(-2))
        return torch.stack(tokens, 2).reshape_as(v).to(operands.v.dtype)

    def merge(self, mixed: Tensor, inputs: Grid) -> Outputs:
        """Cut off what padding added, concatenate the heads and return to model width."""
        height, width = inputs.x.shape[1:3]
        return Outputs.of(self.w_o(mixed[:, :, :height, :width].permute(0, 2, 3, 1, 4).flatten(3)))


@implementation(of=SwinWindowAttention, name="torch")
def windows(operands: WindowOperands) -> Tensor:
    """Roll, cut into windows, two batched matmuls around a masked softmax, and back."""
    height, width, window, shift = *operands.q.shape[2:4], operands.window, operands.shift
    q, k, v = (cut(tensor, window, shift) for tensor in (operands.q, operands.k, operands.v))
    logits = operands.scale * (q @ k.mT) + offset_bias(operands.table, window)
    weights = masked_softmax(logits, areas(height, width, window, shift, q.device))
    return join(weights @ v, height, width, window, shift)


@implementation(of=SwinWindowAttention, name="sdpa")
def fused_windows(operands: WindowOperands) -> Tensor:
    """Roll, cut into windows, PyTorch's scaled_dot_product_attention with bias and areas as one mask, and back."""
    height, width, window, shift = *operands.q.shape[2:4], operands.window, operands.shift
    q, k, v = (cut(tensor, window, shift) for tensor in (operands.q, operands.k, operands.v))
    allowed = areas(height, width, window, shift, q.device)
    mask = offset_bias(operands.table, window).masked_fill(~allowed, -torch.inf).expand(*q.shape[:4], -1)
    q, k, mask = (tensor.flatten(0, 1) for tensor in (q, k, mask))
    out = F.scaled_dot_product_attention(q, k, v.flatten(0, 1), attn_mask=mask, scale=operands.scale)
    return join(out.reshape_as(v), height, width, window, shift)


Run = Trial[WindowOperands, Tensor]


def _unbiased(trial: Run, shift: int = 0) -> WindowOperands:
    """Draw a map that is no square, for windows of 3 without a bias."""
    q, k, v = (trial.normal(2, 2, trial.size, trial.size // 2 + 3, 4) for _ in range(3))
    table = torch.zeros(2, 5, 5, dtype=trial.dtype)
    return WindowOperands(q=q, k=k, v=v, table=table, window=3, shift=shift, scale=0.5)


def _dense(operands: WindowOperands) -> Tensor:
    """Softmax attention of all tokens to all tokens, without a bias."""
    q, k, v = (tensor.flatten(2, 3) for tensor in (operands.q, operands.k, operands.v))
    return ((operands.scale * q @ k.mT).softmax(-1) @ v).reshape_as(operands.v)


@reduction(of=SwinWindowAttention, says="window >= height = width, no shift, T = 0: dense multi-head attention")
def one_window(trial: Run) -> tuple[Tensor, Tensor]:
    """A window that holds the whole map restricts nothing; the module shrinks it to the map."""
    module = SwinWindowAttention(8, 2, window_size=trial.size + trial.integer(0, 2), shift_size=0)
    operands = trial.attention(module).project(Grid(x=trial.normal(2, trial.size, trial.size, 8)))
    operands = operands.with_tensors({"table": torch.zeros_like(operands.table)})
    return trial.mix(operands), _dense(operands)


@reduction(of=SwinWindowAttention, says="w = 1: W_o(v), whatever the table holds")
def window_of_one(trial: Run) -> tuple[Tensor, Tensor]:
    """A token alone in its window has weight one."""
    module = trial.attention(SwinWindowAttention(8, 2, window_size=1))
    x = trial.normal(2, trial.size, 4, 8)
    return module(Grid(x=x)).x, module.w_o(module.w_qkv(x)[..., 16:])


@reduction(of=SwinWindowAttention, says="no shift, T = 0: dense attention inside each window of a plain partition")
def plain_windows(trial: Run) -> tuple[Tensor, Tensor]:
    """Each block of rows and columns attends to itself, the last ones as far as the map goes."""
    operands = _unbiased(trial)
    return trial.mix(operands), _by_blocks(operands, 0)


@reduction(of=SwinWindowAttention, says="a shift moves the grid lines; border windows are smaller and do not wrap")
def moved_lines(trial: Run) -> tuple[Tensor, Tensor]:
    """The first grid line lies at the shift."""
    shift = trial.integer(1, 2)
    operands = _unbiased(trial, shift)
    return trial.mix(operands), _by_blocks(operands, shift)


def _by_blocks(operands: WindowOperands, first: int) -> Tensor:
    """Dense attention inside every block between the grid lines first, first + window, ..."""
    out = torch.empty_like(operands.v)
    spans = [
        [
            slice(max(start, 0), start + operands.window)
            for start in range(first - operands.window, side, operands.window)
        ]
        for side in operands.q.shape[2:4]
    ]
    for rows in spans[0]:
        for columns in spans[1]:
            block = {name: getattr(operands, name)[:, :, rows, columns] for name in "qkv"}
            out[:, :, rows, columns] = _dense(operands.with_tensors(block))
    return out
