"""The demo shop's own books: orders, and the payments of its provider, in one small SQLite file."""

import json
import secrets
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

FIRST_NUMBER = 1001

_SCHEMA = """
CREATE TABLE IF NOT EXISTS orders (
  number INTEGER PRIMARY KEY,
  amount INTEGER NOT NULL CHECK (amount > 0),
  currency TEXT NOT NULL,
  email TEXT NOT NULL,
  paid_by TEXT REFERENCES payments (id)
);
CREATE TABLE IF NOT EXISTS payments (
  id TEXT PRIMARY KEY,
  order_reference TEXT NOT NULL,
  amount INTEGER NOT NULL CHECK (amount > 0),
  currency TEXT NOT NULL,
  status TEXT NOT NULL,
  method TEXT,
  idempotency_key TEXT UNIQUE,
  -- What Unjam answered when the shop told it of this payment; null until it has answered.
  told_status INTEGER,
  -- Which part of the order it pays; 0 is the whole.
  leg INTEGER NOT NULL DEFAULT 0,
  -- What else the provider answers about it, as JSON.
  told TEXT NOT NULL DEFAULT '{}'
);
CREATE INDEX IF NOT EXISTS payments_of_order ON payments (order_reference);
"""
_LATER_COLUMNS = {"leg": "INTEGER NOT NULL DEFAULT 0", "told": "TEXT NOT NULL DEFAULT '{}'"}
_ONE_SUCCESS_PER_LEG = """
DROP INDEX IF EXISTS one_success_per_order;
CREATE UNIQUE INDEX IF NOT EXISTS one_success_per_leg ON payments (order_reference, leg) WHERE status = 'succeeded';
"""


class PaymentStatus(StrEnum):
    """Those of a Stripe PaymentIntent, the furthest last."""

    CANCELED = "canceled"
    REQUIRES_PAYMENT_METHOD = "requires_payment_method"
    REQUIRES_ACTION = "requires_action"
    PROCESSING = "processing"
    REQUIRES_CAPTURE = "requires_capture"
    SUCCEEDED = "succeeded"

    @property
    def may_have_taken_money(self) -> bool:
        return self in {PaymentStatus.PROCESSING, PaymentStatus.REQUIRES_CAPTURE, PaymentStatus.SUCCEEDED}


@dataclass(frozen=True, slots=True)
class Order:
    """`amount` is in minor units; `paid_by` is the id of the payment that paid it."""

    number: int
    amount: int
    currency: str
    email: str
    paid_by: str | None

    @property
    def reference(self) -> str:
        return f"D-{self.number}"


@dataclass(frozen=True, slots=True)
class Payment:
    id: str
    order: str
    amount: int
    currency: str
    status: PaymentStatus
    method: str | None
    leg: int = 0
    # What a real provider says beside the status.
    code: str | None = None
    network_code: str | None = None
    advice: str | None = None
    is_reversed: bool | None = None


class Store:
    """Safe to use from any thread; `exclusive` makes several calls one step."""

    def __init__(self, path: Path | str) -> None:
        self._lock = threading.RLock()
        # Autocommit: a statement stands alone unless `exclusive` has begun a transaction.
        self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._connection.row_factory = sqlite3.Row
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.executescript(_SCHEMA)
        # Books of an earlier version do not have them.
        known = {column["name"] for column in self._rows("PRAGMA table_info(payments)")}
        for name, kind in _LATER_COLUMNS.items():
            if name not in known:
                self._connection.execute(f"ALTER TABLE payments ADD COLUMN {name} {kind}")
        self._connection.executescript(_ONE_SUCCESS_PER_LEG)

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """A transaction that no other thread's step can come between. Not to be nested."""
        with self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    def add_order(self, *, amount: int, currency: str, email: str) -> Order:
        with self._lock:
            [(number,)] = self._rows("SELECT coalesce(max(number) + 1, ?) FROM orders", FIRST_NUMBER)
            self._run("INSERT INTO orders VALUES (?, ?, ?, ?, NULL)", number, amount, currency, email)
        return Order(number=number, amount=amount, currency=currency, email=email, paid_by=None)

    def order(self, reference: str) -> Order | None:
        number = reference.removeprefix("D-")
        # Longer numbers do not fit SQLite's integers.
        if not reference.startswith("D-") or not (number.isascii() and number.isdigit() and len(number) < 16):
            return None
        row = self._first("SELECT * FROM orders WHERE number = ?", int(number))
        return Order(**row) if row else None

    def change_email(self, order: Order, email: str) -> None:
        self._run("UPDATE orders SET email = ? WHERE number = ?", email, order.number)

    def mark_paid(self, order: Order, payment: Payment) -> bool:
        """Returns False when it was paid before."""
        statement = "UPDATE orders SET paid_by = ? WHERE number = ? AND paid_by IS NULL"
        return self._run(statement, payment.id, order.number) == 1

    def add_payment(
        self, *, order: str, amount: int, currency: str, status: PaymentStatus, key: str | None = None, leg: int = 0
    ) -> Payment:
        payment = Payment("pay_" + secrets.token_hex(12), order, amount, currency, status, None, leg)
        self._run(
            "INSERT INTO payments (id, order_reference, amount, currency, status, idempotency_key, leg)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            *(payment.id, order, amount, currency, status.value, key, leg),
        )
        return payment

    def payments_of(self, order: str) -> list[Payment]:
        """The oldest first."""
        rows = self._rows("SELECT * FROM payments WHERE order_reference = ? ORDER BY rowid", order)
        return [_payment(row) for row in rows]

    def taken(self, order: str) -> int:
        """What was taken of this order, all legs together, in minor units."""
        payments = self.payments_of(order)
        return sum(each.amount for each in payments if each.status is PaymentStatus.SUCCEEDED)

    def taken_with(self, payment: Payment) -> int:
        """What was taken by this payment, with the other parts where it is one of a split payment."""
        order = self.order(payment.order)
        return payment.amount if order is not None and payment.amount >= order.amount else self.taken(payment.order)

    def payment(self, payment_id: str) -> Payment | None:
        row = self._first("SELECT * FROM payments WHERE id = ?", payment_id)
        return _payment(row) if row else None

    def payment_of_key(self, key: str) -> Payment | None:
        row = self._first("SELECT * FROM payments WHERE idempotency_key = ?", key)
        return _payment(row) if row else None

    def move(self, payment: Payment, status: PaymentStatus, method: str | None = None) -> Payment:
        statement = "UPDATE payments SET status = ?, method = coalesce(?, method) WHERE id = ?"
        self._run(statement, status.value, method, payment.id)
        return replace(payment, status=status, method=method or payment.method)

    def change_amount(self, payment: Payment, amount: int) -> None:
        self._run("UPDATE payments SET amount = ? WHERE id = ?", amount, payment.id)

    def tell(self, payment: Payment, told: dict[str, Any]) -> None:
        """What the provider answers about this payment beside its status: code, network_code, advice, is_reversed."""
        self._run("UPDATE payments SET told = ? WHERE id = ?", json.dumps(told), payment.id)

    def untold(self) -> list[Payment]:
        """Payments that paid an order and that Unjam has not acknowledged."""
        rows = self._rows(
            "SELECT payments.* FROM payments JOIN orders ON orders.paid_by = payments.id"
            " WHERE told_status IS NULL ORDER BY payments.rowid"
        )
        return [_payment(row) for row in rows]

    def mark_told(self, payment: Payment, status: int) -> None:
        self._run("UPDATE payments SET told_status = ? WHERE id = ?", status, payment.id)

    def _run(self, statement: str, *values: object) -> int:
        with self._lock:
            return self._connection.execute(statement, values).rowcount

    def _rows(self, query: str, *values: object) -> list[sqlite3.Row]:
        with self._lock:
            return self._connection.execute(query, values).fetchall()

    def _first(self, query: str, *values: object) -> sqlite3.Row | None:
        return next(iter(self._rows(query, *values)), None)


def _payment(row: sqlite3.Row) -> Payment:
    return Payment(
        id=row["id"],
        order=row["order_reference"],
        amount=row["amount"],
        currency=row["currency"],
        status=PaymentStatus(row["status"]),
        method=row["method"],
        leg=row["leg"],
        **json.loads(row["told"]),
    )
