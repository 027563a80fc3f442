"""Agents: who may sign in to the desk, and for which shops."""

from datetime import datetime

import sqlalchemy as sa
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from email_validator import EmailNotValidError, validate_email
from sqlalchemy.orm import Mapped, Session, mapped_column

from widget.database import Base, Id, Instant, Line, Word, to
from widget.errors import Malformed, NotFound
from widget.redaction import has_card_number
from widget.shops import Shop

PASSWORD_MIN_CHARS = 10
_hasher = PasswordHasher()
# Verified when the address is unknown, so that the answer takes as long as for a known one.
_NOBODY = _hasher.hash("nobody's password")


class Agent(Base):
    __tablename__ = "agents"

    id: Mapped[Id]
    email: Mapped[Line] = mapped_column(unique=True)
    name: Mapped[Word]
    password_hash: Mapped[Line]
    created_at: Mapped[Instant]
    disabled_at: Mapped[Instant | None]


class Membership(Base):
    """An agent works for a shop; without the row the shop does not exist for them."""

    __tablename__ = "memberships"

    id: Mapped[Id]
    agent_id: Mapped[int] = to("agents")
    shop_id: Mapped[int] = to("shops")
    created_at: Mapped[Instant]

    __table_args__ = (sa.UniqueConstraint("agent_id", "shop_id"),)


def add(session: Session, *, email: str, name: str, password: str, shops: list[Shop], now: datetime) -> Agent:
    """A new agent. Raises Malformed for an unusable address, a short password or an address in use."""
    if len(password) < PASSWORD_MIN_CHARS:
        raise Malformed(f"A password needs at least {PASSWORD_MIN_CHARS} characters.")
    address = address_of(email)
    if session.scalar(sa.select(Agent.id).where(Agent.email == address)):
        raise Malformed(f"There is already an agent with the address {address}.")
    agent = Agent(email=address, name=name, password_hash=_hasher.hash(password), created_at=now)
    session.add(agent)
    session.flush()
    for shop in shops:
        session.add(Membership(agent_id=agent.id, shop_id=shop.id, created_at=now))
    session.flush()
    return agent


def sign_in(session: Session, email: str, password: str) -> Agent | None:
    """The agent, when address and password match and the account is not disabled."""
    agent = session.scalar(sa.select(Agent).where(Agent.email == email.strip().lower(), Agent.disabled_at.is_(None)))
    try:
        _hasher.verify(agent.password_hash if agent else _NOBODY, password)
    except (VerificationError, InvalidHashError):
        return None
    return agent


def by_id(session: Session, agent_id: int) -> Agent | None:
    return session.scalar(sa.select(Agent).where(Agent.id == agent_id, Agent.disabled_at.is_(None)))


def by_email(session: Session, email: str) -> Agent:
    """Raises NotFound."""
    agent = session.scalar(sa.select(Agent).where(Agent.email == email.strip().lower()))
    if agent is None:
        raise NotFound(f"There is no agent {email}; `unjam agents` lists them.")
    return agent


def all_of_them(session: Session) -> list[Agent]:
    return list(session.scalars(sa.select(Agent).order_by(Agent.email)))


def shops_of(session: Session, agent_id: int) -> list[Shop]:
    """The shops this agent may see, by name."""
    query = sa.select(Shop).join(Membership, Membership.shop_id == Shop.id).where(Membership.agent_id == agent_id)
    return list(session.scalars(query.order_by(Shop.name)))


def change_password(agent: Agent, password: str) -> None:
    if len(password) < PASSWORD_MIN_CHARS:
        raise Malformed(f"A password needs at least {PASSWORD_MIN_CHARS} characters.")
    agent.password_hash = _hasher.hash(password)


def address_of(email: str) -> str:
    """The address in its canonical form. Raises Malformed with the reason."""
    if has_card_number(email):
        raise Malformed("An e-mail address cannot hold a card number.")
    try:
        return validate_email(email, check_deliverability=False).normalized.lower()
    except EmailNotValidError as error:
        raise Malformed(f"{email} is not an e-mail address: {error}") from error
