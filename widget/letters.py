"""Letters: the words of each follow-up. Text and HTML of one mail say the same, from what is true when it is made."""

import re
import textwrap
from dataclasses import dataclass
from datetime import datetime

from css_inline import CSSInliner
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from jinja2.utils import urlize
from markupsafe import Markup
from sqlalchemy.orm import Session

from widget import attempts, charges, followups, tickets
from widget.addresses import Addresses
from widget.agents import Agent
from widget.attempts import Attempt, Stage
from widget.charges import Charge
from widget.followups import FollowUp, Kind
from widget.look import ink_on, readable_on
from widget.mail import OutgoingMail
from widget.moments import moment
from widget.money import Money, locale_for
from widget.orders import Order
from widget.paths import STATIC, TEMPLATES
from widget.providers import ChargeState
from widget.shops import Profile, Shop
from widget.tickets import Message, Ticket
from widget.tokens import LIFETIMES, Purpose

TEXT_COLUMNS = 72
# Enough for every mail client to find the thread, also when some mails of it were lost.
MAX_REFERENCES = 10
# The surfaces that mail.css paints, for the shop's colour to contrast with.
_LIGHT_SURFACE, _DARK_SURFACE = "#ffffff", "#181c22"
# An unsigned order number is whatever somebody typed; only what looks like one is sent to a stranger's address.
_ORDER_NUMBER = re.compile(r"[\w#-][\w#/-]{0,39}\Z", re.ASCII)

# The first words of a mail are about the money: a title, and what follows from it. Only what the provider has said.
_CHARGE_WORDS = {
    ChargeState.NOT_CHARGED: ("You have not been charged", "No money was taken for {what}, as of {at}."),
    ChargeState.CHARGED: ("You have been charged{amount}", "The payment arrived. Please do not pay again."),
    ChargeState.HELD: (
        "The money is reserved, not taken",
        "Your bank holds the amount for {what}. Please do not pay again; the shop completes or releases it.",
    ),
    ChargeState.UNKNOWN: (
        "We do not know yet if you were charged",
        "The payment provider has not given a final answer. Please do not pay again until it has.",
    ),
}
_PAID_WORDS = ("Your order is paid", "There is nothing left to pay.")
_PART_PAID_WORDS = (
    "Part of your order is paid",
    "The other part is not paid, as far as we know. Please do not pay the whole amount.",
)


@dataclass(frozen=True, slots=True)
class Case:
    """What the templates may know of what the mail follows."""

    shop: Shop
    profile: Profile
    ticket: Ticket | None
    attempt: Attempt
    email: str
    locale: str
    order: Order | None
    due: Money | None
    charge: Charge | None
    message: Message | None
    agent: Agent | None
    charge_state: ChargeState
    is_part_paid: bool
    now: datetime

    @property
    def is_paid(self) -> bool:
        return self.order is not None and self.order.paid_at is not None

    @property
    def is_good_news(self) -> bool:
        if self.is_part_paid:
            return False
        return self.is_paid or self.charge_state in {ChargeState.CHARGED, ChargeState.NOT_CHARGED}

    @property
    def charge_title(self) -> str:
        return self._charge_words(0)

    @property
    def charge_text(self) -> str:
        return self._charge_words(1)

    @property
    def may_try_again(self) -> bool:
        """Nobody is led to pay twice: only an unpaid order of which nothing was charged may be tried again."""
        is_unpaid = self.order is not None and not self.is_paid and not self.is_part_paid
        return is_unpaid and self.charge_state is ChargeState.NOT_CHARGED

    @property
    def order_number(self) -> str | None:
        if self.order is None or not (self.order.is_verified or _ORDER_NUMBER.match(self.order.reference)):
            return None
        return self.order.reference

    @property
    def answer_by(self) -> datetime | None:
        due = self.ticket.answer_due_at if self.ticket else None
        return due if due is not None and due > self.now else None

    @property
    def has_left(self) -> bool:
        """Whether the page said goodbye: it was closed, or its customer went to the bank."""
        return self.attempt.stage == Stage.LEFT

    @property
    def help_until(self) -> datetime:
        return self.now + LIFETIMES[Purpose.HELP]

    @property
    def again_until(self) -> datetime:
        return self.now + LIFETIMES[Purpose.AGAIN]

    def shown(self, money: Money) -> str:
        return money.shown(self.locale)

    def at(self, instant: datetime) -> str:
        return moment(instant, self.profile.time_zone, self.locale)

    def _charge_words(self, part: int) -> str:
        words = _CHARGE_WORDS[self.charge_state]
        if self.is_paid or self.is_part_paid:
            words = _PAID_WORDS if self.is_paid else _PART_PAID_WORDS
        charged = _money_of(self.charge)
        return words[part].format(
            what=f"order {self.order_number}" if self.order_number else "this order",
            at=self.at(self.charge.answered_at) if self.charge else "",
            amount=f" {self.shown(charged)}" if charged else "",
        )


def compose(session: Session, follow_up: FollowUp, addresses: Addresses, now: datetime) -> OutgoingMail:
    """The mail of this follow-up, as of now. Nothing is stored, so a retry may say something newer."""
    kind, case = Kind(follow_up.kind), _case(session, follow_up, now)
    references = _references(session, follow_up)
    asks_for_payment = case.may_try_again and kind in {Kind.RESOLVED, Kind.REMINDER}
    context = {
        "case": case,
        "shop": case.shop,
        "ticket": case.ticket,
        **_links(case, addresses, asks_for_payment=asks_for_payment),
        "colours": _colours(case.profile.colour),
    }
    return OutgoingMail(
        mail_id=follow_up.mail_id,
        recipient=case.email,
        subject=_TEMPLATES.get_template(f"{kind.value}/subject.txt").render(context).strip(),
        text=_wrapped(_TEMPLATES.get_template(f"{kind.value}/body.txt").render(context)),
        html=_INLINER.inline(_TEMPLATES.get_template(f"{kind.value}/body.html").render(context)),
        sender_name=case.shop.name,
        in_reply_to=references[-1] if references else None,
        references=references,
        asks_for_payment=asks_for_payment,
    )


def _links(case: Case, addresses: Addresses, *, asks_for_payment: bool) -> dict[str, str | None]:
    if case.ticket is None:
        return {"help_link": addresses.help(case.attempt), "again_link": None}
    return {
        "status_link": addresses.status(case.ticket),
        "again_link": addresses.again(case.ticket) if asks_for_payment else None,
        "rate_link": addresses.rate(case.ticket),
    }


def _money_of(charge: Charge | None) -> Money | None:
    return Money(charge.amount, charge.currency) if charge and charge.amount and charge.currency else None


def _case(session: Session, follow_up: FollowUp, now: datetime) -> Case:
    ticket = followups.ticket_of(session, follow_up) if follow_up.ticket_id is not None else None
    attempt = attempts.by_id(session, followups.attempt_id_of(session, follow_up))
    shop, order = session.get_one(Shop, attempt.shop_id), followups.order_of(session, follow_up)
    charge = charges.latest(session, attempt.id)
    message = session.get_one(Message, follow_up.message_id) if follow_up.message_id else None
    if message is None and ticket is not None and follow_up.kind == Kind.RESOLVED:
        message = tickets.last_reply(session, ticket)
    language = locale_for(str(attempt.facts.get("language") or ""), shop.settled.locale)
    return Case(
        shop=shop,
        profile=shop.settled,
        ticket=ticket,
        attempt=attempt,
        email=ticket.email if ticket else (order.customer_email or "" if order else ""),
        locale=ticket.locale if ticket else language,
        order=order,
        due=order.due if order else attempt.due,
        charge=charge,
        charge_state=charges.certain_state(session, attempt, order, now),
        message=message,
        agent=session.get(Agent, message.agent_id) if message and message.agent_id else None,
        is_part_paid=bool(attempts.paid_legs(session, order)) or bool(charge and charge.is_part_of(order)),
        now=now,
    )


def _references(session: Session, follow_up: FollowUp) -> tuple[str, ...]:
    """The ids of the thread so far: the first mail of the ticket, and then those that were sent before this one."""
    if follow_up.kind == Kind.OPENED or follow_up.ticket_id is None:
        return ()
    owed = followups.of(session, followups.ticket_of(session, follow_up))
    opened = [each.mail_id for each in owed if each.kind == Kind.OPENED]
    sent = sorted((each.sent_at, each.mail_id) for each in owed if each.sent_at and each.kind != Kind.OPENED)
    earlier = [mail_id for _, mail_id in sent if mail_id != follow_up.mail_id]
    return (*opened, *earlier[-MAX_REFERENCES:])


def _colours(colour: str) -> dict[str, str]:
    light, dark = readable_on(colour, _LIGHT_SURFACE), readable_on(colour, _DARK_SURFACE)
    return {"light": light, "on_light": ink_on(light), "dark": dark, "on_dark": ink_on(dark)}


def _wrapped(text: str) -> str:
    """Plain text in 72 columns. Links stay whole, and at most one empty line separates paragraphs."""
    lines = [piece for line in text.strip().splitlines() for piece in _wrap_line(line.rstrip())]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)) + "\n"


def _wrap_line(line: str) -> list[str]:
    indent = line[: len(line) - len(line.lstrip())]
    return textwrap.wrap(
        line.strip(),
        TEXT_COLUMNS,
        initial_indent=indent,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    ) or [""]


def paragraphs(words: str) -> Markup:
    """What a person typed, as HTML: escaped, with its paragraphs, line breaks and links."""
    blocks = [block.strip("\n") for block in re.split(r"\n\s*\n", words.strip())]
    lines = [
        [Markup(urlize(line, rel="noopener")) for line in block.splitlines()]  # noqa: S704 -- urlize escapes
        for block in blocks
    ]
    return Markup("").join(Markup("<p>{}</p>").format(Markup("<br>").join(each)) for each in lines)


def _indented(words: str) -> str:
    return textwrap.indent(words.strip(), "  ")


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader([TEMPLATES / "mail", STATIC]),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"paragraphs": paragraphs, "indented": _indented}
    return environment


_TEMPLATES = _environment()
# Rules for dark mode and phones cannot be inlined, so they stay in the head.
_INLINER = CSSInliner(keep_at_rules=True, load_remote_stylesheets=False)
