"""The tables. Facts are kept once, under the digest of their content; the ranking rule is a matter of foreign keys.

A `Ranking` row is what makes a result ranked. It can only point at a current, passed result, and only while a `Proof`
of the same implementation, dtype and device exists; a proof in turn rests on a current, passed result of that same
implementation, dtype and device, its witness. Withdrawing a proof withdraws the rankings that depend on it.
"""

from datetime import UTC, datetime
from enum import StrEnum

from sqlalchemy import (
    CheckConstraint,
    DateTime,
    Dialect,
    Double,
    Enum,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    MetaData,
    String,
    Text,
    TypeDecorator,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from attnbench.nouns import Dtype, Layout, Pattern, Profile, Status

DIGEST = String(64)
KEY = ("implementation_id", "dtype", "device_id")
STANDING = (*KEY, "status", "current")


class Utc(TypeDecorator[datetime]):
    """An aware moment, stored in UTC, so that the order of the text is the order in time."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Convert to UTC."""
        return value and value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Give the time zone back."""
        return value and value.replace(tzinfo=UTC)


class Base(DeclarativeBase):
    """Base of all tables. Constraints are named by rule, so that later migrations can change them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy reads it from the class
        datetime: Utc(),
        float: Double(),
        StrEnum: Enum(StrEnum, native_enum=False, length=32, values_callable=lambda nouns: [str(one) for one in nouns]),
    }


class Device(Base):
    """A device as one record described it. Drivers and memory change under one id."""

    __tablename__ = "device"

    digest: Mapped[str] = mapped_column(DIGEST, primary_key=True)
    id: Mapped[str] = mapped_column(String(64))
    kind: Mapped[str] = mapped_column(String(8))
    name: Mapped[str] = mapped_column(String(400))
    driver: Mapped[str | None] = mapped_column(Text)
    memory_bytes: Mapped[int]
    threads: Mapped[int]

    __table_args__ = (UniqueConstraint("digest", "id"),)


class Implementation(Base):
    """One piece of source that computes a variant."""

    __tablename__ = "implementation"

    id: Mapped[int] = mapped_column(primary_key=True)
    variant: Mapped[str] = mapped_column(String(64))
    name: Mapped[str] = mapped_column(String(64))
    source_hash: Mapped[str] = mapped_column(DIGEST)

    __table_args__ = (UniqueConstraint("variant", "name", "source_hash"),)


class Environment(Base):
    """The software that results were computed with; its packages are in the records."""

    __tablename__ = "environment"

    digest: Mapped[str] = mapped_column(DIGEST, primary_key=True)
    python: Mapped[str] = mapped_column(Text)
    platform: Mapped[str] = mapped_column(Text)


class Case(Base):
    """A workload. The same id may come in several profiles, as suites grow."""

    __tablename__ = "case"

    digest: Mapped[str] = mapped_column(DIGEST, primary_key=True)
    id: Mapped[str] = mapped_column(Text)
    suite: Mapped[str] = mapped_column(String(64), index=True)
    version: Mapped[int]
    kind: Mapped[str] = mapped_column(String(64))
    layout: Mapped[Layout]
    pattern: Mapped[Pattern]
    dtype: Mapped[Dtype]
    profile: Mapped[Profile]

    __table_args__ = (UniqueConstraint("digest", "dtype"),)


class Result(Base):
    """One record. Of those with one identity, the latest is current."""

    __tablename__ = "result"

    id: Mapped[str] = mapped_column(DIGEST, primary_key=True)
    identity: Mapped[str] = mapped_column(DIGEST)
    implementation_id: Mapped[int] = mapped_column(ForeignKey("implementation.id"))
    distribution: Mapped[str] = mapped_column(Text)
    case_digest: Mapped[str] = mapped_column(DIGEST)
    dtype: Mapped[Dtype]
    device_digest: Mapped[str] = mapped_column(DIGEST)
    device_id: Mapped[str] = mapped_column(String(64))
    environment_digest: Mapped[str] = mapped_column(ForeignKey("environment.digest"))
    status: Mapped[Status]
    reason: Mapped[str] = mapped_column(Text)
    started: Mapped[datetime]
    current: Mapped[bool]
    json: Mapped[str] = mapped_column(Text, deferred=True)

    implementation: Mapped[Implementation] = relationship()
    case: Mapped[Case] = relationship()
    device: Mapped[Device] = relationship()
    environment: Mapped[Environment] = relationship()
    metrics: Mapped[list["Metric"]] = relationship(order_by="Metric.name")

    __table_args__ = (
        ForeignKeyConstraint(["case_digest", "dtype"], ["case.digest", "case.dtype"]),
        ForeignKeyConstraint(["device_digest", "device_id"], ["device.digest", "device.id"]),
        UniqueConstraint("id", *STANDING, name="uq_result_standing"),
        Index("uq_result_current", "identity", unique=True, sqlite_where=text("current = 1")),
        Index("ix_result_key", *KEY),
        Index("ix_result_case", "case_digest", "device_id"),
    )


class Metric(Base):
    """One measured number of a result."""

    __tablename__ = "metric"

    result_id: Mapped[str] = mapped_column(ForeignKey("result.id"), primary_key=True)
    name: Mapped[str] = mapped_column(Text, primary_key=True)
    value: Mapped[float]
    unit: Mapped[str] = mapped_column(String(24))
    low: Mapped[float | None]
    high: Mapped[float | None]


class Proof(Base):
    """An implementation is right in one dtype on one device. The witness is a gating result that says so."""

    __tablename__ = "proof"

    implementation_id: Mapped[int] = mapped_column(primary_key=True)
    dtype: Mapped[Dtype] = mapped_column(primary_key=True)
    device_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    witness_id: Mapped[str] = mapped_column(DIGEST)
    status: Mapped[Status] = mapped_column(default=Status.PASSED)
    current: Mapped[bool] = mapped_column(default=True)

    __table_args__ = (
        ForeignKeyConstraint(["witness_id", *STANDING], [f"result.{name}" for name in ("id", *STANDING)]),
        CheckConstraint("status = 'passed' AND current = 1", name="standing"),
    )


class Ranking(Base):
    """A result that may be ranked."""

    __tablename__ = "ranking"

    result_id: Mapped[str] = mapped_column(DIGEST, primary_key=True)
    implementation_id: Mapped[int]
    dtype: Mapped[Dtype]
    device_id: Mapped[str] = mapped_column(String(64))
    status: Mapped[Status] = mapped_column(default=Status.PASSED)
    current: Mapped[bool] = mapped_column(default=True)

    __table_args__ = (
        ForeignKeyConstraint(["result_id", *STANDING], [f"result.{name}" for name in ("id", *STANDING)]),
        ForeignKeyConstraint(KEY, [f"proof.{name}" for name in KEY], ondelete="CASCADE"),
        CheckConstraint("status = 'passed' AND current = 1", name="standing"),
        Index("ix_ranking_key", *KEY),
    )
