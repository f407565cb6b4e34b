"""The store of results: one SQLite file with an index over canonical records."""

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Self

from sqlalchemy import ColumnElement, Engine, func, select
from sqlalchemy.orm import Session, contains_eager, selectinload

from attnbench.errors import UserError
from attnbench.nouns import Status
from attnbench.record import Record, write
from attnbench.store import ranking, schema
from attnbench.store.connection import REMEDIES, connect, explained, for_writing, is_writable, writer
from attnbench.store.files import RefusedError, find, open_record
from attnbench.store.models import Case, Implementation, Ranking, Result
from attnbench.store.rows import StoredResult, implementation_of, insert, stored

GATES = frozenset({"correctness"})
IN_TIME = (Result.started, Result.id)


class Store(AbstractContextManager["Store"]):
    """Results in one SQLite file. Many processes may read; writers take turns.

    Attributes:
        path: the file.
        gates: names of the suites whose passes let others' results be ranked; the same for all who write to a file.
    """

    def __init__(self, path: Path, engine: Engine, gates: frozenset[str]) -> None:
        self.path = path
        self.gates = gates
        self._engine = engine

    @classmethod
    def open(cls, path: Path, create: bool = True, gates: frozenset[str] = GATES) -> Self:
        """Open a database, and check that it is whole and of this schema.

        Args:
            path: the file. One that may not be written can still be read.
            create: make the file when it is missing.
            gates: names of the gating suites.

        Raises:
            UserError: the file is missing, damaged, no database of attnbench's, or of another schema.
        """
        path = path.absolute()
        _expect(path, create)
        with ExitStack() as stack, explained(path):
            engine = connect(path, writable=is_writable(path))
            stack.callback(engine.dispose)
            with engine.connect() as connection:
                if connection.exec_driver_sql("PRAGMA quick_check(1)").scalar() != "ok":
                    raise UserError(f"{path} {REMEDIES['SQLITE_CORRUPT']}")
            schema.ensure(engine, path)
            stack.pop_all()
        return cls(path, engine, gates)

    def close(self) -> None:
        """Let go of the file."""
        self._engine.dispose()

    def __exit__(self, *_: object) -> None:
        self.close()

    def ingest(self, record: Record) -> bool:
        """Store one record, in one transaction.

        Returns:
            Whether it is new. A record with the same content is not stored twice.

        Raises:
            UserError: the file is read-only, held by another process, or the disk is full. Nothing is lost then.
        """
        with writer(self.path), explained(self.path), Session(for_writing(self._engine)) as session, session.begin():
            if session.get(Result, record.id) is not None:
                return False
            implementation = implementation_of(session, record)
            key = ranking.Key(implementation.id, record.case.dtype, record.device.id)
            gating = record.case.suite in self.gates
            if gating:
                ranking.withdraw(session, key)
            insert(session, record)
            if gating:
                ranking.prove(session, key, self.gates)
            ranking.rank(session, key, self.gates)
        return True

    def identities(self) -> dict[str, Status]:
        """Return the status of every current result, by its identity."""
        with self._reading() as session:
            current = session.execute(select(Result.identity, Result.status).where(Result.current))
            return {row.identity: row.status for row in current}

    def results(
        self, *, suite: str | None = None, device: str | None = None, variant: str | None = None, current: bool = True
    ) -> list[StoredResult]:
        """Return results in the order in which they were started.

        Args:
            suite: only those of this suite.
            device: only those on the device with this id.
            variant: only those of this variant.
            current: leave out those that a later measurement superseded.
        """
        query = (
            select(Result, Ranking.result_id.is_not(None))
            .outerjoin(Ranking, Ranking.result_id == Result.id)
            .join(Result.implementation)
            .join(Result.case)
            .where(*_matching(suite, device, variant, current))
            .order_by(*IN_TIME)
            .options(contains_eager(Result.implementation), contains_eager(Result.case), selectinload(Result.metrics))
        )
        with self._reading() as session:
            return [stored(result, ranked) for result, ranked in session.execute(query)]

    def record(self, content: str) -> Record:
        """Return the record with this content id.

        Raises:
            UserError: there is none.
        """
        with self._reading() as session:
            found = session.scalar(select(Result.json).where(Result.id == content))
        if found is None:
            raise UserError(f"no result {content} in {self.path}: `attnbench db info` counts what is there")
        return Record.model_validate_json(found)

    def records(
        self,
        *,
        suite: str | None = None,
        device: str | None = None,
        variant: str | None = None,
        current: bool = False,
    ) -> Iterator[Record]:
        """Yield whole records, by default all of them; the filters are those of `results`."""
        query = (
            select(Result.json)
            .join(Result.implementation)
            .join(Result.case)
            .where(*_matching(suite, device, variant, current))
            .order_by(*IN_TIME)
        )
        with self._reading() as session:
            for content in session.scalars(query.execution_options(yield_per=200)):
                yield Record.model_validate_json(content)

    def counts(self) -> dict[str, dict[Status, int]]:
        """Return the number of current results by suite and status."""
        query = select(Case.suite, Result.status, func.count()).join(Result.case).where(Result.current)
        counts: dict[str, dict[Status, int]] = {}
        with self._reading() as session:
            for suite, status, count in session.execute(query.group_by(Case.suite, Result.status)):
                counts.setdefault(suite, {})[status] = count
        return counts

    def totals(self) -> dict[str, int]:
        """Return the number of all results, of the current ones and of the ranked ones."""
        with self._reading() as session:
            return {
                "results": session.scalars(select(func.count(Result.id))).one(),
                "current": session.scalars(select(func.count(Result.id)).where(Result.current)).one(),
                "ranked": session.scalars(select(func.count(Ranking.result_id))).one(),
            }

    def export(self, folder: Path) -> int:
        """Write every record to a folder, each as a file named by its content, and return their number.

        Raises:
            UserError: the folder cannot be written to.
        """
        return len([write(record, folder) for record in self.records()])

    def load(self, paths: Iterable[Path]) -> tuple[int, int]:
        """Store the records in files and folders. Each goes in whole or not at all.

        Returns:
            How many were new, and how many were known before.

        Raises:
            RefusedError: some files are no records; the good ones are in.
            UserError: there is nothing at a path, or the database cannot be written.
        """
        counts = {True: 0, False: 0}
        reasons = []
        for path in list(find(paths)):
            try:
                record = open_record(path)
            except UserError as error:
                reasons.append(str(error))
            else:
                counts[self.ingest(record)] += 1
        if reasons:
            raise RefusedError(reasons, counts[True], counts[False])
        return counts[True], counts[False]

    @contextmanager
    def _reading(self) -> Iterator[Session]:
        with explained(self.path), Session(self._engine) as session:
            yield session


def _expect(path: Path, create: bool) -> None:
    if path.is_dir():
        raise UserError(f"{path} is a folder: name a file in it with --db")
    if path.exists():
        return
    if not create:
        raise UserError(f"no results at {path}: make some with `attnbench run`, or name another database with --db")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot make the folder of {path}: {error.strerror}") from error


def _matching(
    suite: str | None, device: str | None, variant: str | None, current: bool
) -> Iterator[ColumnElement[bool]]:
    for column, wanted in ((Case.suite, suite), (Result.device_id, device), (Implementation.variant, variant)):
        if wanted is not None:
            yield column == wanted
    if current:
        yield Result.current.is_(True)
