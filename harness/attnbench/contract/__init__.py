"""What a plugin author imports: the contract between mechanisms, implementations and suites.

This is the only part of the harness that imports torch.
"""

from attnbench.contract.attention import (
    Attention,
    DecodableAttention,
    Operands,
    Place,
    Stack,
    Unsupported,
)
from attnbench.contract.declare import (
    ALL_DTYPES,
    Implementation,
    Reduction,
    implementation,
    reduction,
    variant,
)
from attnbench.contract.draw import Draw, Trial
from attnbench.contract.inputs import (
    Extras,
    FeatureMap,
    Graph,
    Grid,
    GroupedSet,
    Inputs,
    Ragged,
    Sequence,
    Streams,
    Volume,
)
from attnbench.contract.outputs import Auxiliaries, Outputs
from attnbench.contract.state import State
from attnbench.contract.tensors import TensorRecord
from attnbench.facts import Claim, Paper
from attnbench.nouns import Dtype, Extra, Fidelity, Layout, Pattern, Property

__all__ = [
    "ALL_DTYPES",
    "Attention",
    "Auxiliaries",
    "Claim",
    "DecodableAttention",
    "Draw",
    "Dtype",
    "Extra",
    "Extras",
    "FeatureMap",
    "Fidelity",
    "Graph",
    "Grid",
    "GroupedSet",
    "Implementation",
    "Inputs",
    "Layout",
    "Operands",
    "Outputs",
    "Paper",
    "Pattern",
    "Place",
    "Property",
    "Ragged",
    "Reduction",
    "Sequence",
    "Stack",
    "State",
    "Streams",
    "TensorRecord",
    "Trial",
    "Unsupported",
    "Volume",
    "implementation",
    "reduction",
    "variant",
]
