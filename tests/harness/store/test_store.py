"""Ingest, query, export and load."""

import os
import signal
import subprocess
import sys
import tempfile
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attnbench.errors import UserError
from attnbench.nouns import Status
from attnbench.record import write
from attnbench.store import RefusedError, Store
from attnbench.store.location import default_path
from attnbench.testing.records import EPOCH, make_device, make_environment, make_record

WRITER = """
import sys
from pathlib import Path
from attnbench.store import Store
from attnbench.testing.records import make_record
with Store.open(Path(sys.argv[1])) as store:
    for seed in range(int(sys.argv[2]), int(sys.argv[3])):
        store.ingest(make_record(seed))
        print(make_record(seed).id, flush=True)
"""

texts = st.text(max_size=40)
records = st.builds(
    make_record,
    st.integers(0, 2**32),
    reason=texts,
    distribution=texts,
    device=st.builds(make_device, st.integers(0, 9), memory_bytes=st.integers(0, 2**53 - 1)),
    environment=st.builds(make_environment, platform=texts, packages=st.dictionaries(texts, texts, max_size=3)),
    samples=st.dictionaries(texts, st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=4), max_size=2),
)


def writer(path: Path, first: int, last: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WRITER, str(path), str(first), str(last)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


@settings(deadline=None, max_examples=20)
@given(st.lists(records, max_size=5))
def test_export_and_load_lose_nothing(made):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with Store.open(folder / "one.db") as one, Store.open(folder / "other.db") as other:
            added = [one.ingest(record) for record in [*made, *made]]
            assert sum(added) == len({record.id for record in made})
            assert one.export(folder / "records") == sum(added)
            if made:
                assert other.load([folder / "records"]) == (sum(added), 0)
                assert other.load([folder / "records"]) == (0, sum(added))
            assert {record.id for record in other.records()} == {record.id for record in made}
            assert other.identities() == one.identities()
            assert other.results(current=False) == one.results(current=False)


def test_results_carry_what_the_record_says(store):
    record = make_record(suite="latency", status=Status.PASSED)
    store.ingest(record)
    (found,) = store.results()
    assert (found.id, found.variant, found.implementation) == (record.id, record.variant, record.implementation)
    assert (found.suite, found.case, found.dtype) == ("latency", record.case.id, record.case.dtype)
    assert (found.device, found.environment) == (record.device.id, record.environment.digest())
    assert (found.status, found.reason, found.started) == (Status.PASSED, "", record.provenance.started)
    assert found.metrics == record.metrics
    assert found.metrics
    assert store.record(record.id) == record


def test_filters_choose(store):
    made = [make_record(seed) for seed in range(60)]
    for record in made:
        store.ingest(record)
    for filters, wanted in (
        ({"suite": "latency"}, lambda one: one.case.suite == "latency"),
        ({"device": "cuda_made_up"}, lambda one: one.device.id == "cuda_made_up"),
        ({"variant": "retention"}, lambda one: one.variant == "retention"),
        (
            {"suite": "accuracy", "variant": "multi_head"},
            lambda one: (one.case.suite, one.variant) == ("accuracy", "multi_head"),
        ),
    ):
        expected = {one.id for one in made if wanted(one)}
        assert expected
        assert {one.id for one in store.results(**filters, current=False)} == expected
        assert {one.id for one in store.records(**filters)} == expected
    assert store.results(suite="no_such") == []
    started = [one.started for one in store.results(current=False)]
    assert started == sorted(started)


def test_a_second_measurement_supersedes_and_both_are_kept(store):
    first, second = (make_record(started=EPOCH + timedelta(hours=hour)) for hour in (1, 2))
    assert first.identity == second.identity
    for record in (second, first):
        store.ingest(record)
    assert [one.id for one in store.results()] == [second.id]
    assert [one.id for one in store.results(current=False)] == [first.id, second.id]
    assert [one.id for one in store.records(current=True)] == [second.id]


def test_counts_are_of_current_results(store):
    for hour in (1, 2):
        store.ingest(make_record(suite="latency", status=Status.NOISY, started=EPOCH + timedelta(hours=hour)))
    assert store.counts() == {"latency": {Status.NOISY: 1}}


def test_an_unknown_content_id_is_refused(store):
    with pytest.raises(UserError, match="no result f00 in"):
        store.record("f00")


def test_bad_files_are_refused_by_field_and_the_good_ones_go_in(store, tmp_path):
    folder = tmp_path / "records" / "deeper"
    good = [make_record(seed) for seed in (1, 2, 3)]
    changed = write(good[0], folder)
    changed.write_text(changed.read_text().replace('"threads":4', '"threads":5'))
    for record in good[1:]:
        write(record, folder)
    (folder / "a.json").write_text(make_record(4).model_dump_json().replace('"seconds":60.0', '"seconds":"long"'))
    (folder / "b.json").write_bytes(b"\xff\xfe{")
    (folder / "c.json").write_text(make_record(4, device=make_device(memory_bytes=2**60)).model_dump_json())
    before_time = datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14)))
    (folder / "d.json").write_text(make_record(4, started=before_time).model_dump_json())
    (folder / "notes.txt").write_text("not a record, and not asked for")
    with pytest.raises(RefusedError, match=r"4 more files refused\); 2 results added, 0 known") as caught:
        store.load([tmp_path / "records"])
    reasons = "\n".join(caught.value.reasons)
    assert len(caught.value.reasons) == 5
    assert f"{changed.name}: its content is not what its name says" in reasons
    assert "a.json: not a record of schema 1: case.seconds: " in reasons
    assert "c.json: cannot be stored" in reasons
    assert "d.json: cannot be stored" in reasons
    assert {record.id for record in store.records()} == {record.id for record in good[1:]}


def test_a_missing_path_is_refused_before_anything_goes_in(store, tmp_path):
    write(make_record(), tmp_path / "records")
    with pytest.raises(UserError, match="no file or folder at"):
        store.load([tmp_path / "records", tmp_path / "missing"])
    assert list(store.records()) == []


def test_four_processes_at_once_lose_nothing(tmp_path):
    path = tmp_path / "results.db"
    writers = [writer(path, 20 * index, 20 * index + 30) for index in range(4)]
    for one in writers:
        one.communicate()
    assert [one.returncode for one in writers] == [0] * 4
    with Store.open(path, create=False) as store:
        assert {record.id for record in store.records()} == {make_record(seed).id for seed in range(90)}


def test_a_killed_writer_loses_nothing_that_it_had_stored(tmp_path):
    path = tmp_path / "results.db"
    process = writer(path, 0, 1000)
    stored = [process.stdout.readline().strip() for _ in range(15)]
    os.kill(process.pid, signal.SIGKILL)
    stored += process.communicate()[0].split()
    with Store.open(path, create=False) as store:
        found = {record.id for record in store.records()}
        assert set(stored) <= found
        assert len(found) <= len(stored) + 1
        assert store.ingest(make_record(1000))


def test_importing_the_store_does_not_import_torch():
    code = "import sys, attnbench.store, attnbench.cli.db, attnbench.testing.records; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_default_path_can_be_named(monkeypatch, tmp_path):
    monkeypatch.setenv("ATTNBENCH_DB", str(tmp_path / "mine.db"))
    assert default_path() == tmp_path / "mine.db"
    monkeypatch.delenv("ATTNBENCH_DB")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert default_path().name == "results.db"
