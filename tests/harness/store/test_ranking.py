"""The ranking rule: what the store decides, against a plain reading of the rule, and what the tables forbid."""

import tempfile
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine, event, text
from sqlalchemy.exc import IntegrityError

from attnbench.nouns import Dtype, Status
from attnbench.record import Record
from attnbench.store import Store
from attnbench.testing.records import DEVICES, EPOCH, make_case, make_environment, make_record

CPU, GPU = DEVICES
RANKING = "insert into ranking values (:id, :implementation_id, :dtype, :device_id, :status, :current)"


def record(
    suite: str = "latency", status: Status = Status.PASSED, *, minute: int = 0, version: int = 1, **fields
) -> Record:
    python = fields.pop("python", "3.11.7")
    made = {"variant": "multi_head", "implementation": "torch", "device": CPU} | fields
    dtype, n = made.pop("dtype", Dtype.FLOAT32), made.pop("n", 64)
    return make_record(
        case=make_case(0, suite=suite, dtype=dtype, version=version, shape={"n": n}),
        started=EPOCH + timedelta(minutes=minute),
        environment=make_environment(python=python),
        status=status,
        **made,
    )


def ranked(store: Store) -> set[str]:
    return {one.id for one in store.results(current=False) if one.ranked}


def latest(records: Sequence[Record], key) -> list[Record]:
    newest: dict[object, Record] = {}
    for one in sorted(records, key=lambda one: (one.provenance.started, one.id)):
        newest[key(one)] = one
    return list(newest.values())


def expected_ranked(records: Sequence[Record]) -> set[str]:
    current = latest(records, lambda one: one.identity)
    found = set()
    for one in current:
        same = [
            other
            for other in current
            if (other.variant, other.implementation, other.source_hash, other.case.dtype, other.device.id)
            == (one.variant, one.implementation, one.source_hash, one.case.dtype, one.device.id)
            and other.case.suite == "correctness"
        ]
        newest = max((other.case.version for other in same), default=0)
        words = latest([other for other in same if other.case.version == newest], lambda other: other.case.id)
        statuses = {word.status for word in words} - {Status.UNSUPPORTED}
        if one.case.suite != "correctness" and one.status == Status.PASSED and statuses == {Status.PASSED}:
            found.add(one.id)
    return found


histories = st.lists(
    st.builds(
        record,
        suite=st.sampled_from(["correctness", "correctness", "latency"]),
        status=st.sampled_from([Status.PASSED, Status.PASSED, Status.PASSED, Status.WRONG, Status.UNSUPPORTED]),
        minute=st.integers(0, 3),
        version=st.sampled_from([1, 2]),
        implementation=st.sampled_from(["torch", "torch", "triton"]),
        n=st.sampled_from([64, 128]),
        python=st.sampled_from(["3.11.7", "3.12.1"]),
    ),
    max_size=10,
)


@settings(deadline=None, max_examples=20)
@given(histories)
def test_what_is_current_and_ranked_follows_from_the_records_in_any_order(history):
    with tempfile.TemporaryDirectory() as folder:
        for name, order in (("there.db", history), ("back.db", history[::-1])):
            with Store.open(Path(folder) / name) as store:
                new = [store.ingest(one) for one in order]
                assert sum(new) == len({one.id for one in history})
                assert ranked(store) == expected_ranked(history)
                assert store.totals()["ranked"] == len(expected_ranked(history))
                current = latest(history, lambda one: one.identity)
                assert {one.id for one in store.results()} == {one.id for one in current}
                assert store.totals()["current"] == len(current)
                assert store.identities() == {one.identity: one.status for one in current}


def test_a_proof_ranks_what_was_there_and_what_comes_later(store):
    early, late = record(n=64), record(n=128)
    store.ingest(early)
    assert ranked(store) == set()
    store.ingest(record("correctness"))
    assert ranked(store) == {early.id}
    store.ingest(late)
    assert ranked(store) == {early.id, late.id}


def test_a_later_wrong_result_withdraws_the_proof_and_a_later_pass_gives_it_back(store):
    timed = record()
    for one in (timed, record("correctness"), record("correctness", n=128)):
        store.ingest(one)
    store.ingest(record("correctness", Status.WRONG, minute=1))
    assert ranked(store) == set()
    store.ingest(record("correctness", minute=2))
    assert ranked(store) == {timed.id}


def test_an_old_wrong_result_that_is_imported_late_changes_nothing(store):
    timed = record()
    store.ingest(timed)
    store.ingest(record("correctness", minute=5))
    assert store.ingest(record("correctness", Status.WRONG, minute=1))
    assert ranked(store) == {timed.id}


WRONG = record("correctness", Status.WRONG)


@pytest.mark.parametrize(
    ("words", "proved"),
    [
        ([], False),
        ([record("correctness", Status.UNSUPPORTED)], False),
        ([record("correctness"), record("correctness", Status.UNSUPPORTED, n=128)], True),
        ([record("correctness"), record("correctness", Status.HARNESS_ERROR, n=128)], False),
        ([WRONG, record("correctness", n=128, minute=1)], False),  # another case does not outweigh
        # the latest word on a case counts, and the newest version of a suite
        ([WRONG, record("correctness", python="3.12.1", minute=1)], True),
        ([WRONG, record("correctness", python="3.12.1", minute=-1)], False),
        ([WRONG, record("correctness", version=2, minute=-1)], True),
        ([WRONG, record("correctness", version=0, minute=1)], False),
    ],
)
def test_what_proves(store, words, proved):
    timed = record()
    for one in (timed, *words):
        store.ingest(one)
    assert ranked(store) == ({timed.id} if proved else set())


@pytest.mark.parametrize(
    "other",
    [{"implementation": "triton"}, {"dtype": Dtype.BFLOAT16}, {"device": GPU}, {"source_hash": "0" * 64}],
    ids=lambda other: next(iter(other)),
)
def test_the_proof_of_another_key_does_not_count(store, other):
    store.ingest(record("correctness", **other))
    store.ingest(record())
    assert ranked(store) == set()


def test_gating_suites_are_what_the_caller_says(tmp_path):
    with Store.open(tmp_path / "results.db", gates=frozenset({"oracle"})) as store:
        timed = record()
        for one in (record("correctness"), timed):
            store.ingest(one)
        assert ranked(store) == set()
        store.ingest(record("oracle"))
        assert timed.id in ranked(store)


@pytest.fixture
def connection(store):
    """A connection of another program that keeps foreign keys, to a store with one proof and several results."""
    for one in (
        record("correctness"),
        record(),
        record(n=128, status=Status.WRONG),
        record(n=256),
        record(n=256, minute=1),
        record(implementation="triton"),
        record("correctness", Status.WRONG, implementation="triton"),
    ):
        store.ingest(one)
    engine = create_engine(f"sqlite:///{store.path}")
    event.listen(engine, "connect", lambda raw, _: raw.execute("pragma foreign_keys = on"))
    with engine.connect() as opened:
        yield opened
    engine.dispose()


def row(connection, condition: str) -> dict[str, object]:
    query = f"select * from result join implementation i on i.id = implementation_id where {condition}"  # noqa: S608
    (found,) = connection.execute(text(query)).mappings()
    return {name: found[name] for name in ("id", "implementation_id", "dtype", "device_id", "status", "current")}


@pytest.mark.parametrize(
    ("condition", "pretence"),
    [
        ("i.name = 'triton' and status = 'passed'", {}),
        ("i.name = 'triton' and status = 'passed'", {"implementation_id": 1}),
        ("i.name = 'torch' and status = 'wrong'", {}),
        ("i.name = 'torch' and status = 'wrong'", {"status": "passed"}),
        ("current = 0", {}),
        ("current = 0", {"current": 1}),
    ],
    ids=["unproved", "the proof of another", "wrong", "wrong called passed", "superseded", "superseded called current"],
)
def test_the_tables_refuse_to_rank(connection, condition, pretence):
    attempt = row(connection, condition) | pretence
    with pytest.raises(IntegrityError):
        connection.execute(text(RANKING), attempt)


def test_the_tables_refuse_a_proof_without_a_witness(connection):
    wrong = row(connection, "i.name = 'triton' and status = 'wrong'")
    proof = "insert into proof values (:implementation_id, :dtype, :device_id, :id, :status, :current)"
    for pretence in (
        {},
        {"status": "passed"},
        {"status": "passed", "id": row(connection, "reason = '' limit 1")["id"]},
    ):
        with pytest.raises(IntegrityError):
            connection.execute(text(proof), wrong | pretence)


@pytest.mark.parametrize(
    "change",
    ["status = 'wrong'", "current = 0", "dtype = 'bfloat16'", "device_id = 'cuda_made_up'", "implementation_id = 2"],
)
def test_a_ranked_result_cannot_change_under_its_ranking(connection, change):
    with pytest.raises(IntegrityError):
        connection.execute(
            text(f"update result set {change} where id in (select result_id from ranking)")  # noqa: S608
        )


def test_an_identity_has_one_current_result(connection):
    with pytest.raises(IntegrityError):
        connection.execute(text("update result set current = 1"))
