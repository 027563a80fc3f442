"""Notice silence and learn deadlines."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "learned_deadlines",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("shop_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("method", sa.String(length=64), nullable=False),
        sa.Column("stage", sa.String(length=64), nullable=False),
        sa.Column("seconds", sa.Double(), nullable=False),
        sa.Column("samples", sa.Integer(), nullable=False),
        sa.Column("learned_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["shop_id"], ["shops.id"], name=op.f("fk_learned_deadlines_shop_id_shops"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_learned_deadlines")),
        sa.UniqueConstraint("shop_id", "method", "stage", name=op.f("uq_learned_deadlines_shop_id_method_stage")),
    )
    op.create_table(
        "pulses",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("shop_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("attempt_key", sa.String(length=64), nullable=False),
        sa.Column("presence", sa.String(length=64), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("judged_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["shop_id"], ["shops.id"], name=op.f("fk_pulses_shop_id_shops"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pulses")),
        sa.UniqueConstraint("shop_id", "attempt_key", name=op.f("uq_pulses_shop_id_attempt_key")),
    )
    with op.batch_alter_table("pulses", schema=None) as batch_op:
        batch_op.create_index(
            "ix_pulses_waiting",
            ["shop_id", "at"],
            unique=False,
            sqlite_where=sa.text("judged_at IS NULL"),
            postgresql_where=sa.text("judged_at IS NULL"),
        )
        batch_op.create_index(
            "ix_pulses_revived",
            ["id"],
            unique=False,
            sqlite_where=sa.text("judged_at < at"),
            postgresql_where=sa.text("judged_at < at"),
        )

    op.create_table(
        "stage_times",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("shop_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("method", sa.String(length=64), nullable=False),
        sa.Column("stage", sa.String(length=64), nullable=False),
        sa.Column("week", sa.Integer(), nullable=False),
        sa.Column("bucket", sa.Integer(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["shop_id"], ["shops.id"], name=op.f("fk_stage_times_shop_id_shops"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stage_times")),
        sa.UniqueConstraint(
            "shop_id", "method", "stage", "week", "bucket", name=op.f("uq_stage_times_shop_id_method_stage_week_bucket")
        ),
    )
    with op.batch_alter_table("attempts", schema=None) as batch_op:
        batch_op.add_column(sa.Column("leg", sa.Integer(), nullable=True))
        batch_op.add_column(sa.Column("legs", sa.Integer(), nullable=True))

    with op.batch_alter_table("follow_ups", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column("attempt_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True)
        )
        batch_op.alter_column("ticket_id", existing_type=sa.INTEGER(), nullable=True)
        batch_op.create_check_constraint(
            batch_op.f("ck_follow_ups_follows_one"), "(ticket_id IS NULL) <> (attempt_id IS NULL)"
        )
        batch_op.create_index(batch_op.f("ix_follow_ups_attempt_id"), ["attempt_id"], unique=False)
        batch_op.create_foreign_key(
            batch_op.f("fk_follow_ups_attempt_id_attempts"), "attempts", ["attempt_id"], ["id"], ondelete="CASCADE"
        )

    with op.batch_alter_table("stalls", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column("evidence", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=True)
        )
        batch_op.add_column(sa.Column("withdrawn_at", sa.DateTime(timezone=True), nullable=True))

    op.execute("UPDATE stalls SET evidence = '{}'")
    with op.batch_alter_table("stalls", schema=None) as batch_op:
        batch_op.alter_column(
            "evidence", existing_type=sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False
        )
