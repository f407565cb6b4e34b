"""Parts of T5's transformer blocks: pre-norm, no biases, and an initialisation in place of the score scale."""

from torch import Tensor, nn

from attnbench_impls.kernels.softmax import split_heads


class T5Heads(nn.Module):
    """Norm and projections of an attention sub-layer.

    The initial queries are so small that the missing 1 / sqrt(d) on the scores is made up for.
    Source: Exploring the Limits of Transfer Learning with a Unified Text-to-Text Transformer, 2019.
    """

    def __init__(self, dim: int, heads: int, head_dim: int, *, init_factor: float, norm_eps: float) -> None:
        super().__init__()
        self.heads = heads
        inner = heads * head_dim
        self.norm = nn.RMSNorm(dim, eps=norm_eps)
        self.w_q, self.w_k, self.w_v = (nn.Linear(dim, inner, bias=False) for _ in range(3))
        self.w_o = nn.Linear(inner, dim, bias=False)
        nn.init.constant_(self.norm.weight, init_factor)
        nn.init.normal_(self.w_q.weight, std=init_factor * (dim * head_dim) ** -0.5)
        nn.init.normal_(self.w_k.weight, std=init_factor * dim**-0.5)
        nn.init.normal_(self.w_v.weight, std=init_factor * dim**-0.5)
        nn.init.normal_(self.w_o.weight, std=init_factor * inner**-0.5)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Normalise x (B, N, D) and project it to q, k and v (B, H, N, d)."""
        x = self.norm(x)
        q, k, v = (split_heads(linear(x), self.heads) for linear in (self.w_q, self.w_k, self.w_v))
        return q, k, v


class T5FeedForward(nn.Module):
    """Norm and feed-forward: W_out relu(W_in x)."""

    def __init__(self, dim: int, ff_dim: int, *, init_factor: float, norm_eps: float) -> None:
        super().__init__()
        self.norm = nn.RMSNorm(dim, eps=norm_eps)
        self.w_in = nn.Linear(dim, ff_dim, bias=False)
        self.w_out = nn.Linear(ff_dim, dim, bias=False)
        nn.init.constant_(self.norm.weight, init_factor)
        nn.init.normal_(self.w_in.weight, std=init_factor * dim**-0.5)
        nn.init.normal_(self.w_out.weight, std=init_factor * ff_dim**-0.5)

    def forward(self, x: Tensor) -> Tensor:
        """Return the update of x (..., D), without the residual."""
        update: Tensor = self.w_out(self.w_in(self.norm(x)).relu())
        return update
