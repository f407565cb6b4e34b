"""Graph attention with additive scores in split form."""

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
    Property,
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
class SplitScoreOperands(Operands):
    """Nodes and edges of additive attention whose score is a sum of a destination's part and a source's part.

    Attributes:
        destination_scores: (N, H).
        source_scores: (N, H).
        v: (N, H, D).
        edges: (2, E) integers, row 0 the sources, row 1 the destinations.
        negative_slope: of the leaky rectifier on the sum.
        kept: (E, H) edge weights that dropout keeps, scaled by 1 / (1 - p); None without dropout.
    """

    CONSTANT = frozenset({"kept"})

    destination_scores: Tensor
    source_scores: Tensor
    v: Tensor
    edges: Tensor
    negative_slope: float = 0.2
    kept: Tensor | None = None


@variant(
    slug="gat",
    paper="gat",
    family="graph",
    layout=Layout.GRAPH,
    patterns={Pattern.NONCAUSAL_SELF},
    fidelity=Fidelity.CODE_VERIFIED,
    properties={Property.ROWS_SUM_TO_ONE},
    accepts={Extra.GENERATOR},
    settings={
        "correctness": [{}, {"add_self_loops": False, "concat": False}],
        "accuracy": [{"dropout_input": 0.0, "dropout_attn": 0.0}],
    },
)
class GAT(EdgeAttention[SplitScoreOperands]):
    """Every node averages its in-neighbours by the softmax of a one-layer perceptron of both ends.

    z = W x; the score of the edge j -> i is LeakyReLU(a_dst . z_i + a_src . z_j), its softmax runs over the incoming
    edges of i, and the output is the weighted sum of z, heads concatenated or averaged, plus a bias. Because the
    rectifier is monotonic, all destinations rank the same sources alike (static attention).
    x (N, D_in), edges (2, E) -> (N, H * D), or (N, D) with `concat=False`.
    Source: Graph Attention Networks, 2018.
    """

    def __init__(
        self,
        dim: int,
        heads: int,
        *,
        place: Place = Place(),
        head_dim: int | None = None,
        negative_slope: float = 0.2,
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
        self.w = nn.Linear(dim, heads * self.head_dim, bias=False)
        self.a_dst = nn.Parameter(torch.empty(heads, self.head_dim))
        self.a_src = nn.Parameter(torch.empty(heads, self.head_dim))
        for weight in (self.w.weight, self.a_dst, self.a_src):
            glorot_(weight, heads)

    def project(self, inputs: Graph) -> SplitScoreOperands:
        """Project the nodes to heads, and each head to its two score parts."""
        x, edges, kept = self.read(inputs)
        z = self.w(x).reshape(len(x), self.heads, self.head_dim)
        return SplitScoreOperands(
            destination_scores=(z * self.a_dst).sum(-1),
            source_scores=(z * self.a_src).sum(-1),
            v=z,
            edges=edges,
            negative_slope=self.negative_slope,
            kept=kept,
        )

    @staticmethod
    def mix(operands: SplitScoreOperands) -> Tensor:
        """Score every pair of nodes, and take the softmax of each row where there are edges."""
        o = widened(operands)
        sums = o.destination_scores.T[:, :, None] + o.source_scores.T[:, None, :]
        scores = torch.where(sums > 0, sums, o.negative_slope * sums)
        return dense_attention(scores, o.edges, o.kept, o.v).to(operands.v.dtype)


@implementation(of=GAT, name="torch")
def along_edges(operands: SplitScoreOperands) -> Tensor:
    """Score only the edges, normalise them by destination with scatter operations, and add up one message an edge."""
    return scatter_messages(_weights(operands), operands.edges, operands.v)


@implementation(of=GAT, name="csr")
def sorted_edges(operands: SplitScoreOperands) -> Tensor:
    """Score only the edges, and sum over the rows of a sparse matrix of weights, without storing messages."""
    return bag_messages(_weights(operands), operands.edges, operands.v)


def _weights(operands: SplitScoreOperands) -> Tensor:
    o = widened(operands)
    source, destination = o.edges
    scores = F.leaky_relu(o.source_scores[source] + o.destination_scores[destination], o.negative_slope)
    return incoming_weights(scores, o.edges, len(o.v), o.kept)


Run = Trial[SplitScoreOperands, Tensor]


def _module(trial: Run, negative_slope: float = 0.2) -> GAT:
    return trial.attention(GAT(6, 2, negative_slope=negative_slope))


@reduction(of=GAT, says="a = 0: each node is the mean of W x over its incoming edges and itself")
def zero_scores(trial: Run) -> tuple[Tensor, Tensor]:
    """Equal scores weigh every edge alike, a parallel edge as often as it stands, a self loop once."""
    module, graph = _module(trial), random_graph(trial, trial.size, 6)
    module.a_src.data.zero_()
    module.a_dst.data.zero_()
    adjacency = torch.zeros(trial.size, trial.size, dtype=trial.dtype)
    adjacency.index_put_((graph.edges[1], graph.edges[0]), torch.ones((), dtype=trial.dtype), accumulate=True)
    adjacency.fill_diagonal_(1)
    mean = adjacency / adjacency.sum(1, keepdim=True)
    return module(graph).x, mean @ module.w(graph.x) + module.bias


@reduction(of=GAT, says="self loops only: the output is W x")
def alone(trial: Run) -> tuple[Tensor, Tensor]:
    """A node whose only neighbour is itself copies itself, however often the graph repeats the loop."""
    module, x = _module(trial), trial.normal(trial.size, 6)
    loops = trial.integers(0, trial.size - 1, 1, 2 * trial.size).expand(2, -1)
    return module(Graph(x=x, edges=loops)).x, module.w(x) + module.bias


@reduction(of=GAT, says="every pair of nodes joined: softmax attention with additive scores, and nothing to mask")
def complete(trial: Run) -> tuple[Tensor, Tensor]:
    """Where all nodes see all nodes there is nothing to mask."""
    module, x = _module(trial), trial.normal(trial.size, 6)
    every = torch.arange(trial.size)
    got = module(Graph(x=x, edges=torch.cartesian_prod(every, every).T)).x
    heads = []
    for z, a_dst, a_src in zip(module.w(x).chunk(2, 1), module.a_dst, module.a_src, strict=True):
        heads.append(F.leaky_relu((z @ a_dst)[:, None] + z @ a_src, 0.2).softmax(1) @ z)
    return got, torch.cat(heads, 1) + module.bias


@reduction(of=GAT, says="negative_slope = 1: the destination's part cancels, the weights depend on the source only")
def linear_scores(trial: Run) -> tuple[Tensor, Tensor]:
    """A term that all incoming edges of a node share leaves their softmax unchanged."""
    operands = _module(trial, negative_slope=1.0).project(random_graph(trial, trial.size, 6))
    without = operands.with_tensors({"destination_scores": torch.zeros_like(operands.destination_scores)})
    return trial.mix(operands), trial.mix(without)
