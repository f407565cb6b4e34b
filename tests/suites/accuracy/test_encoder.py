from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from attnbench.contract import Auxiliaries, Layout, Outputs, Pattern, Stack
from attnbench.facts import Case
from attnbench.nouns import Profile
from attnbench_impls.dense_softmax.multi_head import MultiHead, sdpa
from attnbench_suites import workloads
from attnbench_suites.accuracy import cases
from attnbench_suites.accuracy.backbones.encoder import Encoder
from attnbench_suites.accuracy.controls import NoMixer
from attnbench_suites.accuracy.streams import Split
from attnbench_suites.accuracy.tasks import TASKS

Planned = Callable[..., Case]


class Chatty(NoMixer):
    """Hands the number of layers so far to the next one, and adds a loss of one."""

    def forward(self, inputs) -> Outputs:  # type: ignore[no-untyped-def]  # any layout's inputs
        seen = inputs.carry.get("layers", torch.zeros(())) + 1
        losses = {"seen": seen}
        return replace(super().forward(inputs), carry={"layers": seen}, aux=Auxiliaries(losses=losses))


def encoder(planned: Planned, task: str) -> Encoder:
    case = planned(task)
    torch.manual_seed(0)
    mixers = workloads.build_stack(MultiHead, case, 2)
    for layer in mixers.layers:
        layer.use(sdpa.mix)
    model = TASKS[task].backbone(case, MultiHead.facts, mixers)
    assert isinstance(model, Encoder)
    return model


@pytest.mark.parametrize(
    ("family", "pattern", "has_positions"),
    [
        ("dense_softmax", Pattern.CAUSAL_SELF, True),
        ("linear", Pattern.CAUSAL_SELF, False),
        ("recurrent_or_ssm", Pattern.CAUSAL_SELF, False),
        ("linear", Pattern.NONCAUSAL_SELF, True),
    ],
)
def test_positions_go_to_mixers_that_do_not_know_order(
    planned: Planned, family: str, pattern: Pattern, has_positions: bool
) -> None:
    case = planned("mqar").model_copy(update={"pattern": pattern})
    facts = MultiHead.facts.model_copy(update={"family": family})
    model = Encoder(nn.Embedding(64, 32), Stack([NoMixer()], nn.ModuleDict()), case, facts, classes=64)
    assert (model.positions is not None) is has_positions


def test_an_answer_to_recall_depends_on_no_later_token(planned: Planned) -> None:
    model = encoder(planned, "mqar").eval()
    batch = TASKS["mqar"].batch(planned("mqar"), Split.TRAIN, 0)
    batch = replace(batch, asked=torch.arange(32).expand(64, 32))
    later = batch.x.clone()
    later[:, 20:] = 5
    before, after = (model(replace(batch, x=x))[0] for x in (batch.x, later))
    torch.testing.assert_close(before[:, :20], after[:, :20])
    assert not torch.allclose(before[:, 20:], after[:, 20:])


def test_an_answer_to_digits_depends_on_every_pixel(planned: Planned) -> None:
    model = encoder(planned, "digits")
    batch = TASKS["digits"].batch(planned("digits"), Split.TRAIN, 0)
    x = batch.x[:1].clone().requires_grad_()
    logits, _ = model(replace(batch, x=x, asked=torch.tensor([[0]])))
    (gradient,) = torch.autograd.grad(logits[0, 0, 0], x)
    assert bool((gradient != 0).all())


def test_layers_pass_on_what_they_carry_and_their_losses_are_summed(planned: Planned) -> None:
    stack = Stack([Chatty(), Chatty(), Chatty()], nn.ModuleDict())
    model = TASKS["mqar"].backbone(planned("mqar"), MultiHead.facts, stack)
    _, auxiliary = model(TASKS["mqar"].batch(planned("mqar"), Split.TRAIN, 0))
    assert auxiliary.item() == 1 + 2 + 3


def test_what_layers_share_is_trained(planned: Planned) -> None:
    shared = nn.ModuleDict({"atoms": nn.Linear(3, 3)})
    model = TASKS["mqar"].backbone(planned("mqar"), MultiHead.facts, Stack([NoMixer()], shared))
    assert {id(one) for one in shared.parameters()} <= {id(one) for one in model.parameters()}


def test_a_grid_mixer_gets_rows_and_columns() -> None:
    facts = MultiHead.facts.model_copy(update={"layout": Layout.GRID2D})
    (case,) = cases(facts, sdpa.facts, "cpu", Profile.SMOKE)
    seen: list[Tensor] = []
    mixer = NoMixer()
    mixer.register_forward_hook(lambda _, inputs, __: seen.append(inputs[0].x))
    model = TASKS["digits"].backbone(case, facts, Stack([mixer], nn.ModuleDict()))
    model(TASKS["digits"].batch(case, Split.TRAIN, 0))
    assert seen[0].shape == (64, 8, 8, 32)
