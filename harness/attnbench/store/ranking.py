"""Who may be ranked: an implementation is proved by the gating suites, for one dtype on one device.

Of the gating suites only the newest version counts, and of each of its cases only the latest result, whatever the
environment: an upgrade of a library can break an implementation as well as mend it. All must have passed, at least
one; `unsupported` neither proves nor disproves.
"""

from typing import NamedTuple

from sqlalchemy import ColumnElement, and_, delete, exists, func, insert, select
from sqlalchemy.orm import Session

from attnbench.nouns import Dtype, Status
from attnbench.store.models import STANDING, Case, Proof, Ranking, Result


class Key(NamedTuple):
    """What a proof is about."""

    implementation_id: int
    dtype: Dtype
    device_id: str

    def of(self, table: type[Result | Proof | Ranking]) -> ColumnElement[bool]:
        """The condition that a row of `table` has this key."""
        return and_(*(getattr(table, name) == value for name, value in self._asdict().items()))


def withdraw(session: Session, key: Key) -> None:
    """Withdraw a proof, and with it the rankings that depend on it."""
    session.execute(delete(Proof).where(key.of(Proof)))


def prove(session: Session, key: Key, gates: frozenset[str]) -> None:
    """Write the proof if the current gating results give one."""
    latest = (Result.started.desc(), Result.id.desc())
    placed = (
        select(
            Result.id,
            Result.status,
            func.row_number().over(partition_by=Case.id, order_by=latest).label("attempt"),
            func.rank().over(partition_by=Case.suite, order_by=Case.version.desc()).label("age"),
        )
        .join(Result.case)
        .where(key.of(Result), Result.current, Case.suite.in_(gates))
        .subquery()
    )
    counted = select(placed.c.id, placed.c.status).where(placed.c.attempt == 1, placed.c.age == 1)
    words = {id_: status for id_, status in session.execute(counted) if status is not Status.UNSUPPORTED}
    if set(words.values()) == {Status.PASSED}:
        session.add(Proof(**key._asdict(), witness_id=min(words)))
        session.flush()


def rank(session: Session, key: Key, gates: frozenset[str]) -> None:
    """Rank every current result that passed and is not ranked yet, where a proof exists."""
    columns = [getattr(Result, name) for name in STANDING]
    eligible = (
        select(Result.id, *columns)
        .join(Result.case)
        .where(key.of(Result), Result.current, Result.status == Status.PASSED, Case.suite.not_in(gates))
        .where(exists().where(key.of(Proof)), ~exists().where(Ranking.result_id == Result.id))
    )
    session.execute(insert(Ranking).from_select(["result_id", *STANDING], eligible))
