"""Provider events: what a provider's verified webhooks have told about payments. Each is kept once."""

import hashlib
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from widget.database import WORD_CHARS, Base, Currency, Id, Instant, Key, Minor, Text, Word, insert_once, to
from widget.money import Money
from widget.providers import ChargeState, Happened
from widget.redaction import mask_card_numbers
from widget.shops import Shop

# A provider that tells more of one order than this is in a loop; the latest count.
MAX_HEARD = 200
# How often one is asked about again that told of money which is not confirmed: from the first pause, which doubles, to
# the longest; and for how long.
ASKED_AGAIN_EVERY = (timedelta(seconds=30), timedelta(hours=1))
ASKED_AGAIN_FOR = timedelta(days=1)
# One that tripped us, by a fault of ours perhaps, is tried again as long as it is not mended.
TRIED_AGAIN_AFTER = timedelta(minutes=5)


class ProviderEvent(Base):
    """One event, reduced to what concerns the money. Never the raw body: it may hold personal data."""

    __tablename__ = "provider_events"

    id: Mapped[Id]
    shop_id: Mapped[int] = to("shops", index=False)
    provider: Mapped[Key]
    # The provider's own id of the event, or a hash over what makes it one where there is none.
    key: Mapped[Word]
    kind: Mapped[Key]  # payment, refund, dispute, link
    order_reference: Mapped[Word | None]
    payment: Mapped[Word | None]
    # A charge state, where the event tells one.
    state: Mapped[Key | None]
    status: Mapped[Word | None]
    code: Mapped[Word | None]
    amount: Mapped[Minor | None]
    currency: Mapped[Currency | None]
    detail: Mapped[Text] = mapped_column(default="")
    happened_at: Mapped[Instant]
    received_at: Mapped[Instant]
    # When the provider was asked afresh because of it; until then it is work.
    heeded_at: Mapped[Instant | None]
    # When it is asked about again, because it told of money that nobody else confirms yet.
    ask_at: Mapped[Instant | None]

    __table_args__ = (
        sa.UniqueConstraint("shop_id", "provider", "key"),
        sa.Index("ix_provider_events_order", "shop_id", "order_reference"),
        sa.Index("ix_provider_events_payment", "shop_id", "payment"),
        sa.Index(
            "ix_provider_events_unheeded",
            "received_at",
            sqlite_where=sa.text("heeded_at IS NULL"),
            postgresql_where=sa.text("heeded_at IS NULL"),
        ),
    )


def keep(session: Session, shop: Shop, provider: str, happened: Happened, now: datetime) -> bool:
    """Keep an event of a verified webhook. Returns False when it was kept before."""
    values = {
        "shop_id": shop.id,
        "provider": provider,
        "key": short(happened.key),
        "kind": happened.kind,
        "order_reference": short(happened.order) if happened.order else None,
        "payment": short(happened.payment) if happened.payment else None,
        "state": happened.state.value if happened.state else None,
        "status": happened.status[:WORD_CHARS] if happened.status else None,
        "code": happened.code[:WORD_CHARS] if happened.code else None,
        "amount": happened.money.minor if happened.money else None,
        "currency": happened.money.currency if happened.money else None,
        "detail": mask_card_numbers(happened.detail),
        "happened_at": happened.happened_at,
        "received_at": now,
    }
    return insert_once(session, ProviderEvent, values, unique=["shop_id", "provider", "key"]) is not None


def heard(session: Session, shop_id: int, order: str | None, *payments: str | None) -> tuple[Happened, ...]:
    """What webhooks have told about this order or these payments, oldest first."""
    named = [short(each) for each in payments if each]
    is_about = [
        ProviderEvent.order_reference == short(order) if order else None,
        ProviderEvent.payment.in_(named) if named else None,
    ]
    asked = [each for each in is_about if each is not None]
    if not asked:
        return ()
    query = sa.select(ProviderEvent).filter_by(shop_id=shop_id).where(sa.or_(*asked))
    latest = query.order_by(ProviderEvent.happened_at.desc(), ProviderEvent.id.desc()).limit(MAX_HEARD)
    return tuple(_happened(each) for each in reversed(session.scalars(latest).all()))


def unheeded(session: Session, before: datetime, limit: int) -> list[ProviderEvent]:
    """Events that came before this moment, that nobody has acted on and that are due, the oldest first."""
    query = sa.select(ProviderEvent).where(ProviderEvent.heeded_at.is_(None), ProviderEvent.received_at <= before)
    is_due = sa.or_(ProviderEvent.ask_at.is_(None), ProviderEvent.ask_at <= before)
    return list(session.scalars(query.where(is_due).order_by(ProviderEvent.id).limit(limit)))


def put_off(session: Session, event: ProviderEvent, now: datetime) -> bool:
    """Act on it again later, after pauses that double. False when it has been long enough."""
    age = now - event.received_at
    if age >= ASKED_AGAIN_FOR:
        return False
    first, longest = ASKED_AGAIN_EVERY
    mine = sa.update(ProviderEvent).where(ProviderEvent.id == event.id, ProviderEvent.heeded_at.is_(None))
    session.execute(mine.values(ask_at=now + min(max(age, first), longest)))
    return True


def try_again(session: Session, event_ids: Collection[int], now: datetime) -> None:
    """We tripped over these: they are acted on later, however long that takes, and hold up no others until then."""
    theirs = sa.update(ProviderEvent).where(ProviderEvent.id.in_(event_ids), ProviderEvent.heeded_at.is_(None))
    session.execute(theirs.values(ask_at=now + TRIED_AGAIN_AFTER))


def heed(session: Session, event_ids: Sequence[int], now: datetime) -> None:
    """These have been acted on."""
    mine = sa.update(ProviderEvent).where(ProviderEvent.id.in_(event_ids), ProviderEvent.heeded_at.is_(None))
    session.execute(mine.values(heeded_at=now))


def short(word: str) -> str:
    """A reference or key as it fits the column: itself, or a hash where it is too long."""
    return word if len(word) <= WORD_CHARS else "sha256:" + hashlib.sha256(word.encode()).hexdigest()


def _happened(event: ProviderEvent) -> Happened:
    has_money = event.amount is not None and event.currency is not None
    return Happened(
        key=event.key,
        kind=event.kind,
        happened_at=event.happened_at,
        order=event.order_reference,
        payment=event.payment,
        state=ChargeState(event.state) if event.state else None,
        status=event.status,
        code=event.code,
        money=Money(event.amount or 0, event.currency or "") if has_money else None,
        detail=event.detail,
    )
