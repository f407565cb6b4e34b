"""Graph attention whose ranking of the sources may depend on the destination."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attnbench.contract import (
    Extra,
    Fidelity,
    Graph,
    Layout,
    Operands,
    Pattern,
    Place,
    Trial,
    implementation,
    reduction,
    variant,
)
from attnbench_impls.kernels.edges import (
    EdgeAttention,
    bag_messages,
    dense_attention,
    glorot_,
    incoming_weights,
    random_graph,
    scatter_messages,
)
from attnbench_impls.kernels.softmax import widened


@dataclass(frozen=True, kw_only=True)
class DynamicScoreOperands(Operands):
    """Nodes and edges of additive attention with the rectifier inside the score.

    Attributes:
        q: (N, H, D), read at an edge's destination.
        k: (N, H, D), read at an edge's source; also the values.
        a: (H, D), from the rectified sum to the score.
        edges: (2, E) integers, row 0 the sources, row 1 the destinations.
        negative_slope: of the leaky rectifier.
        kept: (E, H) edge weights that dropout keeps, scaled by 1 / (1 - p); None without dropout.
    """

    CONSTANT = frozenset({"kept"})

    q: Tensor
    k: Tensor
    a: Tensor
    edges: Tensor
    negative_slope: float = 0.2
    kept: Tensor | None = None


@variant(
    slug="gatv2",
    paper="gat",
    family="graph",
    layout=Layout.GRAPH,
    patterns={Pattern.NONCAUSAL_SELF},
    fidelity=Fidelity.CODE_VERIFIED,
    accepts={Extra.GENERATOR},
    settings={
        "correctness": [{}, {"add_self_loops": False, "concat": False, "share_weights": True}],
        "accuracy": [{"dropout_input": 0.0, "dropout_attn": 0.0}],
    },
)
class GATv2(EdgeAttention[DynamicScoreOperands]):
    """Graph attention that applies the last layer of its score after the rectifier, and so ranks dynamically.

    The score of the edge j -> i is a . LeakyReLU(W_l x_i + W_r x_j); its softmax runs over the incoming edges of i, and
    the output is the weighted sum of W_r x_j, heads concatenated or averaged, plus a bias. Some libraries name the two
    weights the other way round, and give each a bias, which this definition does not have.
    x (N, D_in), edges (2, E) -> (N, H * D), or (N, D) with `concat=False`.
    Source: the second mechanism of the catalogue's entry on Graph Attention Networks.
    """

    def __init__(
        self,
        dim: int,
        heads: int,
        *,
        place: Place = Place(),
        head_dim: int | None = None,
        negative_slope: float = 0.2,
        share_weights: bool = False,
        dropout_input: float = 0.6,
        dropout_attn: float = 0.6,
        add_self_loops: bool = True,
        concat: bool = True,
    ) -> None:
        super().__init__(
            dim,
            heads,
            head_dim=head_dim,
            concat=concat,
            add_self_loops=add_self_loops,
            dropout_input=dropout_input,
            dropout_attn=dropout_attn,
        )
        self.negative_slope = negative_slope
        self.w_r = nn.Linear(dim, heads * self.head_dim, bias=False)
        self.w_l = self.w_r if share_weights else nn.Linear(dim, heads * self.head_dim, bias=False)
        self.a = nn.Parameter(torch.empty(heads, self.head_dim))
        for weight in (self.w_l.weight, self.w_r.weight, self.a):
            glorot_(weight, heads)

    def project(self, inputs: Graph) -> DynamicScoreOperands:
        """Project the nodes twice, as destinations and as sources."""
        x, edges, kept = self.read(inputs)
        q, k = (w(x).reshape(len(x), self.heads, self.head_dim) for w in (self.w_l, self.w_r))
        return DynamicScoreOperands(q=q, k=k, a=self.a, edges=edges, negative_slope=self.negative_slope, kept=kept)

    @staticmethod
    def mix(operands: DynamicScoreOperands) -> Tensor:
        """Score every pair of nodes, and take the softmax of each row where there are edges."""
        o = widened(operands)
        sums = o.q[:, None] + o.k[None, :]
        bent = torch.where(sums > 0, sums, o.negative_slope * sums)
        scores = (bent * o.a).sum(-1).permute(2, 0, 1)
        return dense_attention(scores, o.edges, o.kept, o.k).to(operands.k.dtype)


@implementation(of=GATv2, name="torch")
def along_edges(operands: DynamicScoreOperands) -> Tensor:
    """Score only the edges, normalise them by destination with scatter operations, and add up one message an edge."""
    return scatter_messages(_weights(operands), operands.edges, operands.k)


@implementation(of=GATv2, name="csr")
def sorted_edges(operands: DynamicScoreOperands) -> Tensor:
    """Score only the edges, and sum over the rows of a sparse matrix of weights, without storing messages."""
    return bag_messages(_weights(operands), operands.edges, operands.k)


def _weights(operands: DynamicScoreOperands) -> Tensor:
    o = widened(operands)
    source, destination = o.edges
    bent = F.leaky_relu(o.k[source] + o.q[destination], o.negative_slope)
    return incoming_weights(torch.einsum("ehd,hd->eh", bent, o.a), o.edges, len(o.k), o.kept)


Run = Trial[DynamicScoreOperands, Tensor]


@reduction(of=GATv2, says="a = 0: each node is the mean of W_r x over its incoming edges and itself")
def zero_scores(trial: Run) -> tuple[Tensor, Tensor]:
    """Equal scores weigh every edge alike."""
    module = trial.attention(GATv2(6, 2))
    module.a.data.zero_()
    return _both(module, random_graph(trial, trial.size, 6))


@reduction(
    of=GATv2, says="negative_slope = 1: the query cancels, and it is a GAT of slope 1 with W = W_r and a_src = a"
)
def linear_scores(trial: Run) -> tuple[Tensor, Tensor]:
    """Without a rectifier the score of an edge is a . W_r x_j plus what all edges of its destination share."""
    return _both(trial.attention(GATv2(6, 2, negative_slope=1.0)), random_graph(trial, trial.size, 6))


def _both(module: GATv2, graph: Graph) -> tuple[Tensor, Tensor]:
    """Return the layer's output, and averages of W_r x by the softmax of a . W_r x over the in-neighbours."""
    z = module.w_r(graph.x).reshape(len(graph.x), 2, 3)
    scores = (z * module.a).sum(-1)
    rows = []
    for node in range(len(z)):
        sources = torch.tensor([j for j, i in graph.edges.T.tolist() if i == node != j] + [node])
        rows.append((scores[sources].softmax(0)[..., None] * z[sources]).sum(0))
    return module(graph).x, torch.stack(rows).flatten(1) + module.bias
