import pytest
import torch
from torch import Tensor

from attnbench.contract import Unsupported
from attnbench.nouns import Status
from attnbench_impls.dense_softmax.multi_head import MultiHead, sdpa
from attnbench_suites.latency.judge import blocks, judge
from attnbench_suites.latency.measure import measure

SEED = 20_240


@pytest.mark.parametrize("kind", ["forward", "backward", "decode"])
def test_an_honest_implementation_is_timed_and_judged(kind, case, subject):
    one = case(kind)
    measured = measure(subject(), one, SEED, "cpu")
    mine, baseline = (blocks(measured.samples, name) for name in ("implementation_s", "baseline_s"))
    assert [len(block) for block in mine] == [len(block) for block in baseline]
    assert len(mine) >= 6
    assert len({name.split(".")[0] for name in measured.tensors} - {"moved", "origin"}) == 3
    verdict = judge(MultiHead, one, SEED, measured)
    assert verdict.status in {Status.PASSED, Status.UNCONVERGED}, verdict.reason  # as quiet as the machine is
    for name in ("latency", "baseline", "ratio"):
        metric = verdict.metrics[name]
        assert 0 < metric.low <= metric.value <= metric.high
    assert ("state_bytes" in verdict.metrics) == (kind == "decode")


def test_a_cache_costs_its_keys_and_values_in_the_dtype_of_the_case(case, subject):
    numbers = measure(subject(), case("decode"), SEED, "cpu").numbers
    assert numbers["state_bytes"] == 2 * 32 * 4  # k and v of width 32 in float32


def test_a_slower_core_has_a_smaller_ratio(case, subject):
    def ten_times(operands):  # far more than a busy machine adds
        for _ in range(9):
            sdpa.mix(operands)
        return sdpa.mix(operands)

    ratios = [
        judge(MultiHead, case("forward"), SEED, measure(subject(core), case("forward"), SEED, "cpu")).metrics["ratio"]
        for core in (sdpa.mix, ten_times)
    ]
    assert ratios[1].value < 0.7 * ratios[0].value


def test_a_result_remembered_by_address_is_found_out(case, subject):
    memory: dict[int, Tensor] = {}

    def remembering(operands):
        key = operands.q.data_ptr()
        if key not in memory:
            memory[key] = sdpa.mix(operands)
        return memory[key]

    measured = measure(subject(remembering), case("forward"), SEED, "cpu")
    verdict = judge(MultiHead, case("forward"), SEED, measured)
    assert verdict.status is Status.WRONG
    assert "another address" in verdict.reason
    assert not verdict.metrics


@pytest.mark.parametrize("kind", ["forward", "backward", "decode"])
def test_what_an_implementation_refuses_stays_its_own_word(kind, case, subject):
    def refuses(operands):
        raise Unsupported("not on this device")

    with pytest.raises(Unsupported, match="not on this device"):
        measure(subject(refuses), case(kind), SEED, "cpu")


def test_a_core_without_gradients_has_no_backward(case, subject):
    with pytest.raises(Unsupported, match="no gradient"):
        measure(subject(lambda operands: sdpa.mix(operands.map(torch.Tensor.detach))), case("backward"), SEED, "cpu")
