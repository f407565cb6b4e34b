"""The first schema: facts under their digests, results with metrics, proofs and rankings."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

DIGEST = sa.String(64)
NOUN = sa.String(32)
SLUG = sa.String(64)
KEY = ["implementation_id", "dtype", "device_id"]
STANDING = [*KEY, "status", "current"]


def upgrade() -> None:
    """Make all tables."""
    _facts()
    _results()
    _ranks()


def downgrade() -> None:
    """Drop all tables, those that refer to others first."""
    for table in ("ranking", "proof", "metric", "result", "case", "environment", "implementation", "device"):
        op.drop_table(table)


def _facts() -> None:
    op.create_table(
        "device",
        sa.Column("digest", DIGEST, nullable=False),
        sa.Column("id", SLUG, nullable=False),
        sa.Column("kind", sa.String(8), nullable=False),
        sa.Column("name", sa.String(400), nullable=False),
        sa.Column("driver", sa.Text),
        sa.Column("memory_bytes", sa.Integer, nullable=False),
        sa.Column("threads", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_device"),
        sa.UniqueConstraint("digest", "id", name="uq_device_digest_id"),
    )
    op.create_table(
        "implementation",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("variant", SLUG, nullable=False),
        sa.Column("name", SLUG, nullable=False),
        sa.Column("source_hash", DIGEST, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_implementation"),
        sa.UniqueConstraint("variant", "name", "source_hash", name="uq_implementation_variant_name_source_hash"),
    )
    op.create_table(
        "environment",
        sa.Column("digest", DIGEST, nullable=False),
        sa.Column("python", sa.Text, nullable=False),
        sa.Column("platform", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_environment"),
    )
    op.create_table(
        "case",
        sa.Column("digest", DIGEST, nullable=False),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("suite", SLUG, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("kind", SLUG, nullable=False),
        sa.Column("layout", NOUN, nullable=False),
        sa.Column("pattern", NOUN, nullable=False),
        sa.Column("dtype", NOUN, nullable=False),
        sa.Column("profile", NOUN, nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_case"),
        sa.UniqueConstraint("digest", "dtype", name="uq_case_digest_dtype"),
    )
    op.create_index("ix_case_suite", "case", ["suite"])


def _results() -> None:
    op.create_table(
        "result",
        sa.Column("id", DIGEST, nullable=False),
        sa.Column("identity", DIGEST, nullable=False),
        sa.Column("implementation_id", sa.Integer, nullable=False),
        sa.Column("distribution", sa.Text, nullable=False),
        sa.Column("case_digest", DIGEST, nullable=False),
        sa.Column("dtype", NOUN, nullable=False),
        sa.Column("device_digest", DIGEST, nullable=False),
        sa.Column("device_id", SLUG, nullable=False),
        sa.Column("environment_digest", DIGEST, nullable=False),
        sa.Column("status", NOUN, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("started", sa.DateTime, nullable=False),
        sa.Column("current", sa.Boolean, nullable=False),
        sa.Column("json", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_result"),
        sa.ForeignKeyConstraint(["implementation_id"], ["implementation.id"], name="fk_result_implementation"),
        sa.ForeignKeyConstraint(["case_digest", "dtype"], ["case.digest", "case.dtype"], name="fk_result_case"),
        sa.ForeignKeyConstraint(
            ["device_digest", "device_id"], ["device.digest", "device.id"], name="fk_result_device"
        ),
        sa.ForeignKeyConstraint(["environment_digest"], ["environment.digest"], name="fk_result_environment"),
        sa.UniqueConstraint("id", *STANDING, name="uq_result_standing"),
    )
    op.create_index("uq_result_current", "result", ["identity"], unique=True, sqlite_where=sa.text("current = 1"))
    op.create_index("ix_result_key", "result", KEY)
    op.create_index("ix_result_case", "result", ["case_digest", "device_id"])
    op.create_table(
        "metric",
        sa.Column("result_id", DIGEST, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("value", sa.Double, nullable=False),
        sa.Column("unit", sa.String(24), nullable=False),
        sa.Column("low", sa.Double),
        sa.Column("high", sa.Double),
        sa.PrimaryKeyConstraint("result_id", "name", name="pk_metric"),
        sa.ForeignKeyConstraint(["result_id"], ["result.id"], name="fk_metric_result"),
    )


def _ranks() -> None:
    op.create_table(
        "proof",
        sa.Column("implementation_id", sa.Integer, nullable=False),
        sa.Column("dtype", NOUN, nullable=False),
        sa.Column("device_id", SLUG, nullable=False),
        sa.Column("witness_id", DIGEST, nullable=False),
        sa.Column("status", NOUN, nullable=False),
        sa.Column("current", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint(*KEY, name="pk_proof"),
        sa.ForeignKeyConstraint(["witness_id", *STANDING], _columns("result", "id", *STANDING), name="fk_proof_result"),
        sa.CheckConstraint("status = 'passed' AND current = 1", name=op.f("ck_proof_standing")),
    )
    op.create_table(
        "ranking",
        sa.Column("result_id", DIGEST, nullable=False),
        sa.Column("implementation_id", sa.Integer, nullable=False),
        sa.Column("dtype", NOUN, nullable=False),
        sa.Column("device_id", SLUG, nullable=False),
        sa.Column("status", NOUN, nullable=False),
        sa.Column("current", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("result_id", name="pk_ranking"),
        sa.ForeignKeyConstraint(
            ["result_id", *STANDING], _columns("result", "id", *STANDING), name="fk_ranking_result"
        ),
        sa.ForeignKeyConstraint(KEY, _columns("proof", *KEY), name="fk_ranking_proof", ondelete="CASCADE"),
        sa.CheckConstraint("status = 'passed' AND current = 1", name=op.f("ck_ranking_standing")),
    )
    op.create_index("ix_ranking_key", "ranking", KEY)


def _columns(table: str, *names: str) -> list[str]:
    return [f"{table}.{name}" for name in names]
