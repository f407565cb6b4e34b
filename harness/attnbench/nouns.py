"""The closed vocabularies that code, tables, command line and site share. Free of torch."""

from enum import StrEnum


class Layout(StrEnum):
    """How a mechanism's tokens lie: decides the type of its inputs and the workloads that suites give it."""

    SEQUENCE = "sequence"
    GRID2D = "grid2d"
    GRID3D = "grid3d"
    FEATURE_MAP = "feature_map"
    RAGGED = "ragged"
    TWO_STREAM = "two_stream"
    SET = "set"
    GRAPH = "graph"


class Pattern(StrEnum):
    """Who attends to whom; `DECODE` says that a step with a state is defined."""

    NONCAUSAL_SELF = "noncausal_self"
    CAUSAL_SELF = "causal_self"
    NONCAUSAL_CROSS = "noncausal_cross"
    CAUSAL_CROSS = "causal_cross"
    DECODE = "decode"


class Fidelity(StrEnum):
    """How well a variant's definition is established."""

    CODE_VERIFIED = "code_verified"
    KNOWN_WELL = "known_well"
    RECONSTRUCTED = "abstract_plus_inference"


class Extra(StrEnum):
    """Optional typed inputs. A variant says which it requires and which it accepts."""

    POSITION_IDS = "position_ids"
    TIMES = "times"
    KEY_PADDING = "key_padding"
    SEGMENTS = "segments"
    TOKEN_TYPES = "token_types"  # noqa: S105 - a noun of the field, not a secret
    PREFIX_LENGTH = "prefix_length"
    DENOISING_STEP = "denoising_step"
    VALUE_SOURCE = "value_source"
    INITIAL_STATE = "initial_state"
    GENERATOR = "generator"


class Property(StrEnum):
    """What a variant promises beyond its definition. Each declared one is tested, none is assumed."""

    CAUSAL_WEIGHTS = "causal_weights"
    CAUSAL_SELECTION = "causal_selection"
    BATCH_INDEPENDENT = "batch_independent"
    ROWS_SUM_TO_ONE = "rows_sum_to_one"


class Dtype(StrEnum):
    """Number formats of operands, by torch's names."""

    FLOAT64 = "float64"
    FLOAT32 = "float32"
    FLOAT16 = "float16"
    BFLOAT16 = "bfloat16"


class Profile(StrEnum):
    """How much of a suite to run: `smoke` for seconds, `quick` for minutes on a laptop, `full` for a GPU."""

    SMOKE = "smoke"
    QUICK = "quick"
    FULL = "full"

    def covers(self, other: "Profile") -> bool:
        """Say whether a run at this profile includes what `other` asks for."""
        order = list(Profile)
        return order.index(other) <= order.index(self)


class Status(StrEnum):
    """How a result ended. Only `PASSED` can be ranked, only `HARNESS_ERROR` is tried again by itself."""

    PASSED = "passed"
    WRONG = "wrong"
    UNSUPPORTED = "unsupported"
    COMPILE_ERROR = "compile_error"
    CRASHED = "crashed"
    OUT_OF_HOST_MEMORY = "out_of_host_memory"
    OUT_OF_DEVICE_MEMORY = "out_of_device_memory"
    TIMED_OUT = "timed_out"
    NOISY = "noisy"
    THROTTLED = "throttled"
    UNCONVERGED = "unconverged"
    IMPOSSIBLE = "impossible"
    REJECTED = "rejected"
    BUDGET = "budget"
    HARNESS_ERROR = "harness_error"
