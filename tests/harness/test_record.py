"""Records: one canonical text, a name that is its hash, and an identity that says what was measured."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attnbench.errors import UserError
from attnbench.facts import Case
from attnbench.nouns import Profile
from attnbench.record import identity, read, write
from attnbench.testing.records import DEVICES, make_case, make_environment, make_record

SEEDS = st.integers(0, 10**6)


@given(SEEDS)
def test_a_record_survives_its_text(seed):
    record = make_record(seed)
    again = read(record.canonical(), "here")
    assert again == record
    assert (again.id, again.identity, again.case.id) == (record.id, record.identity, record.case.id)


@given(SEEDS)
def test_the_order_of_keys_is_no_content(seed):
    record = make_record(seed)
    shuffled = dict(reversed(json.loads(record.canonical()).items()))
    assert read(json.dumps(shuffled, indent=3), "here").id == record.id


@given(SEEDS)
def test_what_was_measured_again_has_the_same_identity_and_another_id(seed):
    first, second = make_record(seed), make_record(seed, reason="measured again")
    assert (first.identity, first.id) != (second.identity, second.id)
    assert first.identity == second.identity


@pytest.mark.parametrize(
    "changed",
    [
        {"key": "multi_head/torch"},
        {"source_hash": "1" * 64},
        {"case": make_case(0, version=2)},
        {"case": make_case(0, settings={"window": 3})},
        {"device": DEVICES[1]},
        {"environment": make_environment(python="3.12.0")},
    ],
    ids=str,
)
def test_each_part_of_an_identity_counts(changed):
    parts = {
        "key": "multi_head/sdpa",
        "source_hash": "0" * 64,
        "case": make_case(0),
        "device": DEVICES[0],
        "environment": make_environment(),
    }
    assert identity(**parts) == identity(**parts)
    assert identity(**parts) != identity(**parts | changed)


def test_a_case_is_named_by_its_data():
    case = make_case(
        suite="latency",
        kind="forward",
        pattern="causal_self",
        dtype="float32",
        shape={"n": 512, "counts": (1, 2)},
        settings={"window": 7},
        options={"padding": True},
    )
    assert case.id == "latency.v1/forward/sequence/causal_self/float32/counts=1x2,n=512/window=7/padding=True"
    assert Case.model_validate_json(case.canonical()).id == case.id


def test_when_a_case_is_run_and_for_how_long_is_not_its_name():
    assert make_case(0, profile=Profile.SMOKE, seconds=1.0).id == make_case(0, profile=Profile.FULL, seconds=9.0).id


@pytest.mark.parametrize(
    ("asked", "covered"),
    [(Profile.SMOKE, 1), (Profile.QUICK, 2), (Profile.FULL, 3)],
)
def test_a_profile_covers_those_below_it(asked, covered):
    assert [asked.covers(one) for one in Profile] == [True] * covered + [False] * (3 - covered)


def test_a_record_is_written_under_its_name(tmp_path):
    record = make_record(3)
    path = write(record, tmp_path / "new" / "folder")
    assert path.name == f"{record.id}.json"
    assert write(record, path.parent) == path
    assert [one.name for one in path.parent.iterdir()] == [path.name]
    assert read(path.read_bytes(), str(path)) == record


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"cannot write a record to .*file/records: Not a directory"):
        write(make_record(3), tmp_path / "file" / "records")


DAMAGE = {
    "no JSON": (lambda text: text[:-2], "the text"),
    "newer schema": (lambda text: text.replace('"schema_version":1', '"schema_version":2'), "schema_version"),
    "unknown field": (lambda text: text.replace('"status"', '"new": 1, "status"', 1), "new"),
    "status": (lambda text: text.replace('"status":"', '"status":"very_', 1), "status"),
    "hash": (lambda text: text.replace('"source_hash":"', '"source_hash":"../', 1), "source_hash"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_what_is_no_record_is_refused_in_one_line(name):
    damage, where = DAMAGE[name]
    with pytest.raises(UserError, match=rf"mine\.json: not a record of schema 1: {where}: ") as refused:
        read(damage(make_record(3).canonical().decode()), "mine.json")
    assert "\n" not in str(refused.value)
