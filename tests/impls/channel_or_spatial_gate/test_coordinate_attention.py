"""Coordinate attention: what the reductions do not see."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attnbench.contract import Draw, FeatureMap
from attnbench_impls.channel_or_spatial_gate.coordinate_attention import CoordinateAttention, pooled

each_core = pytest.mark.parametrize("core", [CoordinateAttention.mix, pooled], ids=["definition", "torch"])


def _module(core, training: bool = False) -> CoordinateAttention:
    torch.manual_seed(0)  # biases start at random
    return Draw(1).module(CoordinateAttention(6, 1)).train(training).use(core)


def _ones(record):
    return record.map(torch.ones_like).with_tensors({"bias": torch.zeros_like(record.bias)})


@each_core
def test_a_map_by_hand(core) -> None:
    x = torch.tensor([[1.0, 2.0, 3.0], [3.0, 4.0, 5.0]], dtype=torch.float64)[None, None]
    drawn = Draw(0).module(CoordinateAttention(1, 1, min_mid_channels=1)).project(FeatureMap(x=x))
    unit = {name: _ones(getattr(drawn, name)) for name in ("squeeze", "norm", "rows", "columns")}
    running = replace(drawn.running, mean=torch.zeros(1).double(), var=torch.ones(1).double())
    out = core(replace(drawn, **unit, running=running, eps=0.0)).x
    # Row means are 2 and 4, column means 2, 3 and 4; h-swish takes 2, 3, 4 to 5/3, 3, 4.
    rows = torch.tensor([5 / 3, 4.0], dtype=torch.float64).sigmoid()
    columns = torch.tensor([5 / 3, 3.0, 4.0], dtype=torch.float64).sigmoid()
    torch.testing.assert_close(out[0, 0], x[0, 0] * rows[:, None] * columns)


@each_core
@pytest.mark.parametrize("training", [False, True])
def test_permuted_rows_and_columns_permute_the_output(core, training: bool) -> None:
    draw = Draw(3)
    x, rows, columns = draw.normal(2, 6, 5, 7), draw.permutation(5), draw.permutation(7)
    straight = _module(core, training)(FeatureMap(x=x)).x
    permuted = _module(core, training)(FeatureMap(x=x[:, :, rows][:, :, :, columns])).x
    torch.testing.assert_close(permuted, straight[:, :, rows][:, :, :, columns])


@each_core
def test_training_keeps_the_running_statistics_of_batch_normalisation(core) -> None:
    module, x = _module(core, training=True), Draw(4).normal(3, 6, 2, 5)
    norm = nn.BatchNorm2d(8).double()
    norm.running_mean, norm.running_var = module.running_mean.clone(), module.running_var.clone()
    means = torch.cat([x.mean(3), x.mean(2)], 2)
    norm(F.conv2d(means[..., None], module.squeeze.weight[..., None, None], module.squeeze.bias))
    module(FeatureMap(x=x))
    torch.testing.assert_close(module.running_mean, norm.running_mean)
    torch.testing.assert_close(module.running_var, norm.running_var)


@each_core
def test_evaluation_leaves_the_running_statistics_alone(core) -> None:
    module = _module(core)
    before = module.running_mean.clone(), module.running_var.clone()
    module(FeatureMap(x=Draw(4).normal(3, 6, 2, 5)))
    assert torch.equal(module.running_mean, before[0])
    assert torch.equal(module.running_var, before[1])


@each_core
def test_samples_mix_in_training_only(core) -> None:
    x = Draw(5).normal(2, 6, 4, 3)
    changed = torch.cat([x[:1], x[1:] + 1])

    def first(training: bool, maps: Tensor) -> Tensor:
        return _module(core, training)(FeatureMap(x=maps)).x[0]

    assert torch.allclose(first(False, x), first(False, changed), rtol=1e-12)
    assert not torch.allclose(first(True, x), first(True, changed), rtol=1e-3)


@pytest.mark.parametrize(("dim", "middle"), [(6, 8), (256, 8), (320, 10)])
def test_the_middle_has_a_floor(dim: int, middle: int) -> None:
    assert CoordinateAttention(dim, 1).squeeze.out_features == middle
