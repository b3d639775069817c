"""The two tables of a token store in a database: the entries, and the leases.

The identifiers are digests: fit for a primary key, and told apart under any collation.
"""

from typing import Any

import sqlalchemy as sa

from ..masking import Secret

__all__ = ["tables"]

# MySQL's TEXT ends at 64 KiB, silently in its lax modes.
_TEXT = sa.Text().with_variant(sa.Text(2**24 - 1), "mysql", "mariadb")


class _SecretText(sa.TypeDecorator[Secret]):
    """Text that comes back as a `Secret`, so that SQLAlchemy, which logs fetched rows at DEBUG, logs ``***``."""

    impl = _TEXT
    cache_ok = True

    def process_result_value(self, value: Any, dialect: sa.Dialect) -> Secret:
        return Secret(value)


def tables(schema: str | None, prefix: str) -> tuple[sa.Table, sa.Table]:
    """The tables ``<prefix>_tokens`` and ``<prefix>_leases`` in `schema`."""
    metadata = sa.MetaData(schema=schema)
    tokens = sa.Table(
        f"{prefix}_tokens",
        metadata,
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("key", _TEXT, nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.Column("entry", _SecretText, nullable=False),
    )
    leases = sa.Table(
        f"{prefix}_leases",
        metadata,
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("owner", sa.String(64), nullable=False),
        sa.Column("until", sa.Double, nullable=False),
    )
    return tokens, leases
