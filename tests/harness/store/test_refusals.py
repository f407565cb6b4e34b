"""What a database can be but should not: each is refused in one line, and nothing is lost."""

import sqlite3
from contextlib import closing

import pytest
from filelock import FileLock
from sqlalchemy import Engine, event

from attnbench.errors import UserError
from attnbench.store import Store, connection
from attnbench.store.rebuild import rebuild
from attnbench.testing.records import make_record


def fill(path, count=20):
    with Store.open(path) as store:
        for seed in range(count):
            store.ingest(make_record(seed))
    return {make_record(seed).id for seed in range(count)}


def contents(path):
    with Store.open(path, create=False) as store:
        return {record.id for record in store.records()}


def refusal(path, **options):
    with pytest.raises(UserError) as caught:
        Store.open(path, **options)
    message = str(caught.value)
    assert "\n" not in message
    assert path.name in message
    return message


def test_a_missing_file_that_is_not_to_be_made(tmp_path):
    assert "attnbench run" in refusal(tmp_path / "results.db", create=False)
    assert list(tmp_path.iterdir()) == []


def test_missing_folders_are_made(tmp_path):
    assert fill(tmp_path / "a" / "b" / "results #1?.db", 1)
    assert [one.name for one in (tmp_path / "a" / "b").glob("*.db")] == ["results #1?.db"]


def test_a_folder_and_a_path_below_a_file(tmp_path):
    assert "is a folder" in refusal(tmp_path)
    (tmp_path / "file").touch()
    assert "cannot make the folder" in refusal(tmp_path / "file" / "results.db")


def test_a_file_that_is_no_database(tmp_path):
    path = tmp_path / "notes.db"
    path.write_text("variant,seconds\n" * 200)
    assert "is not a database" in refusal(path)
    assert path.read_text() == "variant,seconds\n" * 200


def test_the_database_of_another_program(tmp_path):
    path = tmp_path / "music.db"
    with closing(sqlite3.connect(path)) as other:
        other.execute("create table song (name)")
    assert "another program" in refusal(path)


def test_a_newer_schema(tmp_path):
    path = tmp_path / "results.db"
    fill(path, 1)
    with closing(sqlite3.connect(path)) as newer:
        newer.execute("update alembic_version set version_num = '9999'")
        newer.commit()
    assert "schema 9999, newer than" in refusal(path)


def test_garbage_inside(tmp_path):
    path = tmp_path / "results.db"
    fill(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert "is damaged" in refusal(path)
    path.write_bytes(whole[:4096] + b"\xff" * 4096 + whole[8192:])
    assert "is damaged" in refusal(path)


def test_a_damaged_database_is_rebuilt_from_records_and_kept(tmp_path):
    path = tmp_path / "results.db"
    ids = fill(path)
    with Store.open(path) as store:
        store.export(tmp_path / "records")
    damaged = path.read_bytes()[:5000]
    path.write_bytes(damaged)
    assert rebuild(path, tmp_path / "records") == 20
    assert contents(path) == ids
    assert (tmp_path / "results.db.before-rebuild").read_bytes() == damaged
    assert not list(tmp_path.glob("*rebuilding*"))


def test_a_rebuild_that_would_lose_something_changes_nothing(tmp_path):
    path = tmp_path / "results.db"
    ids = fill(path, 3)
    (tmp_path / "records").mkdir()
    with pytest.raises(UserError, match=r"no \*.json records"):
        rebuild(path, tmp_path / "records")
    (tmp_path / "records" / "bad.json").write_text("{}")
    with pytest.raises(UserError, match=r"bad\.json"):
        rebuild(path, tmp_path / "records")
    assert contents(path) == ids
    assert not list(tmp_path.glob("*rebuil*"))


@pytest.mark.parametrize("closed", ["file", "folder"])
def test_a_read_only_database_can_be_read_and_not_written(open_folder, unprivileged, closed):
    path = open_folder / "results.db"
    ids = fill(path)
    if closed == "file":
        path.chmod(0o444)
    else:
        open_folder.chmod(0o555)
    with unprivileged():
        assert contents(path) == ids
        with Store.open(path) as store, pytest.raises(UserError, match="is read-only: make"):
            store.ingest(make_record(99))
        assert contents(path) == ids


def test_a_folder_that_may_not_be_written(open_folder, unprivileged):
    open_folder.chmod(0o555)
    with unprivileged():
        assert "cannot be opened" in refusal(open_folder / "results.db")
        assert "cannot make the folder" in refusal(open_folder / "deeper" / "results.db")


def test_a_full_disk_keeps_what_was_there(tmp_path):
    path = tmp_path / "results.db"
    ids = fill(path)
    with closing(sqlite3.connect(path)) as raw:
        (pages,) = raw.execute("pragma page_count").fetchone()

    def shrink(raw_connection, _):
        raw_connection.execute(f"pragma max_page_count = {pages + 8}")

    event.listen(Engine, "connect", shrink)
    try:
        with Store.open(path) as store, pytest.raises(UserError, match="the disk is full: free some space"):
            for seed in range(100, 300):
                store.ingest(make_record(seed))
                ids.add(make_record(seed).id)
        assert contents(path) == ids
    finally:
        event.remove(Engine, "connect", shrink)
    assert len(ids) > 20
    with Store.open(path) as store:
        assert store.ingest(make_record(999))


def test_a_writer_that_never_ends(store, monkeypatch):
    monkeypatch.setattr(connection, "PATIENCE", 0.05)
    with FileLock(f"{store.path}.lock"), pytest.raises(UserError, match="another process has been writing"):
        store.ingest(make_record())
    assert store.ingest(make_record())


def test_another_program_that_locks_the_file(tmp_path, monkeypatch):
    path = tmp_path / "results.db"
    fill(path, 1)
    monkeypatch.setattr(connection, "PATIENCE", 0.05)
    with Store.open(path) as store, closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("begin immediate")
        with pytest.raises(UserError, match="is held by another program"):
            store.ingest(make_record(99))
        other.execute("rollback")
        assert store.ingest(make_record(99))
