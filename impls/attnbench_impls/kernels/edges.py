"""What graph attention layers share: the frame around their cores, and softmax over incoming edges, dense and by edge.

The dense form serves definitions, what works edge by edge serves fast paths; neither calls the other.
"""

from typing import Generic

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attnbench.contract import Attention, Draw, Graph, Outputs
from attnbench.contract.attention import P
from attnbench.errors import UserError
from attnbench_impls.kernels.softmax import kept_weights


class EdgeAttention(Attention[Graph, P, Tensor], Generic[P]):
    """The frame of a graph attention layer: self loops, dropout, heads concatenated or averaged, and a bias.

    x (N, D_in) and edges (2, E) -> a core that returns (N, H, D) -> (N, H * D) concatenated or (N, D) averaged.
    A head is as wide as it takes for the output to have the width of x, unless `head_dim` says otherwise.

    Raises:
        UserError: heads to concatenate that do not divide the width, where no head width is given.
    """

    def __init__(
        self,
        dim: int,
        heads: int,
        *,
        head_dim: int | None,
        concat: bool,
        add_self_loops: bool,
        dropout_input: float,
        dropout_attn: float,
    ) -> None:
        super().__init__()
        if concat and head_dim is None and dim % heads:
            raise UserError(f"{heads} heads do not divide the width {dim}: give head_dim")
        self.heads = heads
        self.head_dim = head_dim or (dim // heads if concat else dim)
        self.concat = concat
        self.add_self_loops = add_self_loops
        self.dropout_input = dropout_input
        self.dropout_attn = dropout_attn
        self.bias = nn.Parameter(torch.zeros(heads * self.head_dim if concat else self.head_dim))

    def read(self, inputs: Graph) -> tuple[Tensor, Tensor, Tensor | None]:
        """Return the nodes after dropout, the edges with self loops, and what dropout keeps of the weights (E, H).

        Raises:
            UserError: the graph has an edge bias, which these mechanisms do not define.
        """
        if inputs.edge_bias is not None:
            raise UserError(f"{self.facts.slug} has no edge bias: leave edge_bias out")
        x, edges, kept, generator = inputs.x, inputs.edges, None, inputs.extras.generator
        if self.add_self_loops:
            edges = with_self_loops(edges, len(x))
        if self.training and self.dropout_input > 0:
            x = x * kept_weights(x.shape, self.dropout_input, x, generator)
        if self.training and self.dropout_attn > 0:
            kept = kept_weights((edges.shape[1], self.heads), self.dropout_attn, x, generator)
        return x, edges, kept

    def merge(self, mixed: Tensor, inputs: Graph) -> Outputs:
        """Concatenate or average the heads, then add the bias once."""
        return Outputs.of((mixed.flatten(1) if self.concat else mixed.mean(1)) + self.bias)


def glorot_(weight: Tensor, heads: int) -> None:
    """Fill each head's rows of a weight (H * out, in) with Glorot's uniform initialisation of that head alone."""
    for block in weight.chunk(heads):
        nn.init.xavier_uniform_(block)


def with_self_loops(edges: Tensor, nodes: int) -> Tensor:
    """Replace the self loops among the edges (2, E) by exactly one on every node, behind the other edges."""
    loops = torch.arange(nodes, device=edges.device).expand(2, -1)
    return torch.cat([edges[:, edges[0] != edges[1]], loops], 1)


def random_graph(draw: Draw, nodes: int, width: int) -> Graph:
    """Draw twice as many edges as nodes, so that parallel edges, self loops and lonely nodes are among them."""
    return Graph(x=draw.normal(nodes, width), edges=draw.integers(0, nodes - 1, 2, 2 * nodes))


def dense_attention(scores: Tensor, edges: Tensor, kept: Tensor | None, v: Tensor) -> Tensor:
    """Average v (N, H, D) over incoming edges by the softmax of a dense matrix of scores.

    Args:
        scores: (H, N, N), row i holds the scores of destination i for every source.
        edges: (2, E); an edge that stands k times counts k times.
        kept: (E, H) factors on the weight of each edge, or None.
        v: (N, H, D). A destination without incoming edges gets zero.
    """
    count, factor = torch.zeros_like(scores), torch.zeros_like(scores)
    for edge, (source, destination) in enumerate(edges.T.tolist()):
        count[:, destination, source] += 1
        factor[:, destination, source] += 1 if kept is None else kept[edge]
    masked = scores.masked_fill(count == 0, -torch.inf)
    peak = masked.amax(-1, keepdim=True)
    powers = (masked - peak.masked_fill(peak.isinf(), 0.0)).exp()
    total = (count * powers).sum(-1, keepdim=True)
    weights = factor * powers / total.masked_fill(total == 0, 1.0)
    return torch.einsum("hij,jhd->ihd", weights, v)


def incoming_weights(scores: Tensor, edges: Tensor, nodes: int, kept: Tensor | None) -> Tensor:
    """Softmax of the scores (E, H), in at least float32, over the edges that share a destination, times `kept`."""
    destination = edges[1]
    peak = scores.new_full((nodes, scores.shape[1]), -torch.inf)
    peak = peak.scatter_reduce(0, destination[:, None].expand_as(scores), scores.detach(), "amax")
    powers = (scores - peak[destination]).exp()
    weights = powers / torch.zeros_like(peak).index_add(0, destination, powers)[destination]
    return weights if kept is None else weights * kept


def scatter_messages(weights: Tensor, edges: Tensor, v: Tensor) -> Tensor:
    """Add up the weighted rows of v (N, H, D) at every edge's destination, one message (H, D) an edge."""
    source, destination = edges
    messages = weights[..., None] * v[source]
    return messages.new_zeros(v.shape).index_add(0, destination, messages).to(v.dtype)


def bag_messages(weights: Tensor, edges: Tensor, v: Tensor) -> Tensor:
    """Add up the same messages without storing them: edges sorted by destination are one bag a node and head."""
    nodes, heads, width = v.shape
    destination, order = edges[1].sort()
    first = torch.searchsorted(destination, torch.arange(nodes, device=edges.device))
    head = torch.arange(heads, device=edges.device)[:, None]
    summed = F.embedding_bag(
        (edges[0, order] * heads + head).flatten(),
        v.to(weights.dtype).reshape(nodes * heads, width),
        (first + head * len(order)).flatten(),
        mode="sum",
        per_sample_weights=weights[order].T.flatten(),
    )
    return summed.reshape(heads, nodes, width).transpose(0, 1).to(v.dtype)
