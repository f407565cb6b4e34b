"""GAT and GATv2: what the reductions do not see."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from attnbench.contract import Draw, Extras, Graph
from attnbench.errors import UserError
from attnbench_impls.graph import gat, gatv2
from attnbench_impls.kernels.edges import with_self_loops

LAYERS = {
    f"{cls.__name__}-{name}": (cls, core)
    for cls, module in ((gat.GAT, gat), (gatv2.GATv2, gatv2))
    for name, core in (("definition", cls.mix), ("torch", module.along_edges), ("csr", module.sorted_edges))
}
each_layer = pytest.mark.parametrize(("cls", "core"), LAYERS.values(), ids=LAYERS)
EDGES = torch.tensor([[0, 0, 1, 3, 3, 2, 4], [1, 1, 2, 2, 0, 2, 4]])


def _layer(cls, core, **settings):
    return Draw(1).module(cls(6, 2, **settings)).use(core)


def _graph(nodes: int = 6) -> Graph:
    return Graph(x=Draw(2).normal(nodes, 6), edges=EDGES)


@pytest.mark.parametrize("core", [gat.GAT.mix, gat.along_edges, gat.sorted_edges], ids=["definition", "torch", "csr"])
def test_parallel_edges_count_as_often_as_they_stand(core) -> None:
    """Destination 2 reads source 0 twice and source 1 once; the scores are 1 + 0 and 1 - 2, bent to -0.2."""
    operands = gat.SplitScoreOperands(
        destination_scores=torch.tensor([[9.0], [9.0], [1.0]]),
        source_scores=torch.tensor([[0.0], [-2.0], [5.0]]),
        v=torch.tensor([[[1.0]], [[10.0]], [[100.0]]]),
        edges=torch.tensor([[0, 1, 0], [2, 2, 2]]),
    )
    near, far = torch.tensor(1.0).exp(), torch.tensor(-0.2).exp()
    expected = (2 * near * 1 + far * 10) / (2 * near + far)
    torch.testing.assert_close(core(operands).flatten(), torch.stack([torch.tensor(0.0), torch.tensor(0.0), expected]))


def test_self_loops_are_replaced_by_one_each() -> None:
    edges = with_self_loops(torch.tensor([[0, 1, 1, 2], [0, 1, 1, 0]]), 3)
    assert edges.tolist() == [[2, 0, 1, 2], [0, 0, 1, 2]]


@each_layer
def test_a_node_without_incoming_edges_holds_the_bias_and_gradients_stay_finite(cls, core) -> None:
    layer = _layer(cls, core, add_self_loops=False)
    graph = _graph()
    x = graph.x.requires_grad_()
    out = layer(graph).x
    assert torch.equal(out[[3, 5]], layer.bias.expand(2, -1))
    out.square().sum().backward()
    assert x.grad is not None
    assert torch.isfinite(x.grad).all()
    assert all(torch.isfinite(parameter.grad).all() for parameter in layer.parameters())
    assert (x.grad[5] == 0).all()


@each_layer
def test_relabelled_nodes_and_shuffled_edges_permute_the_output(cls, core) -> None:
    layer, graph, draw = _layer(cls, core), _graph(), Draw(4)
    order, shuffle = draw.permutation(6), draw.permutation(EDGES.shape[1])
    moved = Graph(x=graph.x[order], edges=order.argsort()[EDGES[:, shuffle]])
    torch.testing.assert_close(layer(moved).x, layer(graph).x[order])


@each_layer
def test_graphs_side_by_side_do_not_meet(cls, core) -> None:
    layer, graph, other = _layer(cls, core), _graph(), Draw(9).normal(6, 6)
    both = Graph(x=torch.cat([graph.x, other]), edges=torch.cat([EDGES, EDGES.flip(0) + 6], 1))
    alone = [layer(graph).x, layer(Graph(x=other, edges=EDGES.flip(0))).x]
    torch.testing.assert_close(layer(both).x, torch.cat(alone))


@each_layer
def test_dropout_on_weights_is_not_renormalised(cls, core) -> None:
    operands = _layer(cls, core).project(_graph())
    shape = (operands.edges.shape[1], 2)
    plain = core(operands)
    torch.testing.assert_close(core(replace(operands, kept=torch.full(shape, 2.5).double())), 2.5 * plain)
    assert (core(replace(operands, kept=torch.zeros(shape).double())) == 0).all()


@each_layer
def test_training_draws_from_the_given_generator(cls, core) -> None:
    layer, graph = _layer(cls, core).train(), _graph()

    def run(seed: int) -> Tensor:
        return layer(replace(graph, extras=Extras(generator=torch.Generator().manual_seed(seed)))).x

    assert torch.equal(run(1), run(1))
    assert not torch.equal(run(1), run(2))


@each_layer
def test_averaged_heads_have_the_width_of_the_nodes(cls, core) -> None:
    layer, graph = _layer(cls, core, concat=False), _graph()
    expected = core(layer.project(graph)).mean(1) + layer.bias
    assert expected.shape == (6, 6)
    torch.testing.assert_close(layer(graph).x, expected)


@each_layer
def test_an_edge_bias_is_refused(cls, core) -> None:
    with pytest.raises(UserError, match="has no edge bias"):
        _layer(cls, core)(replace(_graph(), edge_bias=torch.zeros(EDGES.shape[1])))


@pytest.mark.parametrize("core", [gat.GAT.mix, gat.along_edges, gat.sorted_edges], ids=["definition", "torch", "csr"])
def test_static_attention_ranks_the_sources_alike_for_every_destination(core) -> None:
    draw, every = Draw(6), torch.arange(5)
    operands = gat.SplitScoreOperands(
        destination_scores=draw.normal(5, 1),
        source_scores=draw.normal(5, 1),
        v=torch.eye(5).double()[:, None],
        edges=torch.cartesian_prod(every, every).T,
    )
    ranking = core(operands)[:, 0].argsort(1)
    assert (ranking == operands.source_scores[:, 0].argsort()).all()


@pytest.mark.parametrize(
    "core", [gatv2.GATv2.mix, gatv2.along_edges, gatv2.sorted_edges], ids=["definition", "torch", "csr"]
)
def test_dynamic_attention_ranks_the_sources_by_destination(core) -> None:
    """Sources (3, -3) and (1, 1) score 2.4 and 2 where the query is zero, and 5 and 7 where it is (0, 5)."""
    k = torch.tensor([[3.0, -3.0], [1.0, 1.0], [0.0, 0.0], [0.0, 0.0]])[:, None]
    q = torch.tensor([[0.0, 0.0], [0.0, 0.0], [0.0, 0.0], [0.0, 5.0]])[:, None]
    edges = torch.tensor([[0, 1, 0, 1], [2, 2, 3, 3]])
    out = core(gatv2.DynamicScoreOperands(q=q, k=k, a=torch.ones(1, 2), edges=edges))
    weights = torch.tensor([[2.4, 2.0], [5.0, 7.0]]).softmax(1)
    torch.testing.assert_close(out[2:, 0], weights @ k[:2, 0])


@pytest.mark.parametrize("cls", [gat.GAT, gatv2.GATv2])
def test_concatenated_heads_must_divide_the_width(cls) -> None:
    with pytest.raises(UserError, match="4 heads do not divide the width 6"):
        cls(6, 4)
    assert cls(6, 4, head_dim=2)(_graph().to(torch.float32)).x.shape == (6, 8)
    assert cls(6, 4, concat=False)(_graph().to(torch.float32)).x.shape == (6, 6)


def test_shared_weights_are_one_parameter() -> None:
    names = [name for name, _ in gatv2.GATv2(6, 2, share_weights=True).named_parameters()]
    assert sorted(names) == ["a", "bias", "w_r.weight"]
