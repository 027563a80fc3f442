"""What each e-mail says: only what is true, the same in both forms, and never a way to pay twice."""

import re
from collections.abc import Iterator
from datetime import timedelta
from html.parser import HTMLParser

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.orm import Session

from tests.cast import PACE, Cast
from tests.conftest import Clock
from widget import casework, charges, clock, followups, handovers, holds, letters, payments, tickets, watches
from widget.addresses import Addresses
from widget.database import Database
from widget.followups import FollowUp, Kind
from widget.holds import Hold
from widget.letters.paper import paragraphs
from widget.look import contrast
from widget.mail import OutgoingMail
from widget.money import Money
from widget.payments import Source, Told
from widget.providers import Answer, ChargeState
from widget.tickets import Status, Ticket
from widget.tokens import Tokens

ADDRESSES = Addresses("https://help.example.com", Tokens("a key for tests of the letters only"))
STATES = [None, *ChargeState]
OF_TICKETS = [kind for kind in Kind if kind not in {Kind.INTERRUPTED, Kind.OUTCOME, Kind.LATER, Kind.DEVICE}]


@pytest.fixture
def session(sqlite_database: Database, clock: Clock) -> Iterator[Session]:
    with sqlite_database.write() as session:
        yield session


@pytest.fixture
def cast(session: Session) -> Cast:
    return Cast(session, profile={"time_zone": "Africa/Johannesburg", "colour": "#ff7a00"})


def letter(session: Session, ticket: Ticket, kind: Kind) -> OutgoingMail:
    """The mail of this kind, as a worker would compose it now; owed on the spot when nothing owes it yet."""
    query = sa.select(FollowUp).filter_by(ticket_id=ticket.id, kind=kind.value)
    if session.scalar(query) is None:
        followups.owe(session, ticket, kind, due_at=clock.now(), now=clock.now())
    return letters.compose(session, session.scalars(query).one(), ADDRESSES, clock.now())


def answered(cast: Cast, ticket: Ticket, words: str) -> None:
    casework.reply(cast.session, ticket, cast.agent(), words, clock.now())


def flat(text: str) -> str:
    return " ".join(text.split())


class Words(HTMLParser):
    """The words and links of a mail's body, as a reader meets them."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.words, self.links = "", list[str]()
        self.tags = set[str]()
        self.feed(html.split("<body", 1)[1])

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.links += [value or "" for name, value in attrs if name in {"href", "src", "action", "background"}]

    def handle_data(self, data: str) -> None:
        self.words += data + " "


def test_the_first_mail_says_what_happened_to_the_money_and_when_a_person_answers(session: Session, cast: Cast) -> None:
    mail = letter(session, cast.ticket(cast.attempt(charge=ChargeState.NOT_CHARGED)), Kind.OPENED)

    for said in (flat(mail.text), flat(Words(mail.html).words)):
        assert "You have not been charged" in said
        assert "A person answers by" in said
        assert "Nov 21, 2026, 2:00\u202fPM" in said or "Nov 21, 2026, 2:00 PM" in said


def test_dates_and_amounts_are_written_as_the_customer_writes_them(session: Session, cast: Cast) -> None:
    ticket = cast.ticket()
    ticket.locale = "de-DE"
    mail = letter(session, ticket, Kind.OPENED)

    assert "21.11.2026, 14:00" in flat(mail.text)
    assert Money(124900, "ZAR").shown("de_DE") in mail.text
    assert "1.249,00" in Words(mail.html).words


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (None, "We do not know yet if you were charged"),
        (ChargeState.UNKNOWN, "We do not know yet if you were charged"),
        (ChargeState.NOT_CHARGED, "You have not been charged"),
        (ChargeState.HELD, "The money is reserved, not taken"),
        (ChargeState.CHARGED, "You have been charged"),
    ],
)
@pytest.mark.parametrize("kind", [Kind.OPENED, Kind.RESOLVED, Kind.REMINDER])
def test_the_charge_is_told_as_the_provider_told_it(
    session: Session, cast: Cast, state: ChargeState | None, words: str, kind: Kind
) -> None:
    mail = letter(session, cast.ticket(cast.attempt(charge=state)), kind)

    every = {"We do not know yet", "You have not been", "The money is reserved", "You have been charged"}
    for said in (flat(mail.text), flat(Words(mail.html).words)):
        assert words in said
        assert [other for other in every if other in said] == [next(each for each in every if words.startswith(each))]


def test_a_charge_names_its_amount(session: Session, cast: Cast) -> None:
    attempt = cast.attempt()
    charges.record(session, attempt, Answer(ChargeState.CHARGED, money=Money(124900, "ZAR")), clock.now())
    mail = letter(session, cast.ticket(attempt), Kind.RESOLVED)

    assert f"You have been charged {Money(124900, 'ZAR').shown('en')}" in mail.text


def test_a_charge_of_less_than_the_order_is_told_as_a_part(session: Session, cast: Cast) -> None:
    attempt = cast.attempt()
    charges.record(session, attempt, Answer(ChargeState.CHARGED, money=Money(5000, "ZAR")), clock.now())
    mail = letter(session, cast.ticket(attempt), Kind.RESOLVED)

    assert "Part of your order is paid" in mail.text
    assert "You have been charged" not in mail.text


def test_a_later_part_alone_is_never_called_not_charged(session: Session, cast: Cast) -> None:
    attempt = cast.attempt(charge=ChargeState.NOT_CHARGED)
    attempt.leg, attempt.legs = 2, 2
    mail = letter(session, cast.ticket(attempt), Kind.RESOLVED)

    assert "We do not know yet if you were charged" in mail.text
    assert "/again/" not in mail.text


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("is_paid", [True, False])
def test_a_way_to_pay_is_offered_only_when_nothing_was_charged(
    session: Session, cast: Cast, state: ChargeState | None, is_paid: bool
) -> None:
    ticket = cast.ticket(cast.attempt(charge=state))
    answered(cast, ticket, "We are looking at it.")
    cast.order().paid_at = clock.now() if is_paid else None

    for kind in OF_TICKETS:
        mail = letter(session, ticket, kind)
        may_ask = state is ChargeState.NOT_CHARGED and not is_paid and kind in {Kind.RESOLVED, Kind.REMINDER}
        assert ("/again/" in mail.text, "/again/" in mail.html, mail.asks_for_payment) == (may_ask,) * 3, kind


def test_a_paid_order_is_never_called_anything_else(session: Session, cast: Cast) -> None:
    ticket = cast.ticket(cast.attempt(charge=ChargeState.UNKNOWN))
    answered(cast, ticket, "Thank you for your patience.")
    cast.order().paid_at = clock.now()

    for kind in OF_TICKETS:
        mail = letter(session, ticket, kind)
        for said in (flat(mail.text), flat(Words(mail.html).words)):
            assert "Your order is paid" in said
            assert "do not know" not in said


def test_an_answer_that_is_late_is_not_promised_for_the_past(session: Session, cast: Cast, clock: Clock) -> None:
    ticket = cast.ticket()
    clock.now = ticket.answer_due_at
    mail = letter(session, ticket, Kind.OPENED)

    assert "answers by" not in flat(mail.text) + mail.html
    assert "Your answer is late" in flat(mail.text)


def test_an_agents_words_arrive_safely_in_both_forms(session: Session, cast: Cast) -> None:
    ticket = cast.ticket()
    answered(cast, ticket, "Hello,\n\n<img src=x onerror=alert(1)> {{ 7*7 }}\nSee https://karoo.test/a?b=1&c=2.")
    mail = letter(session, ticket, Kind.REPLY)

    read = Words(mail.html)
    assert "<img src=x onerror=alert(1)> {{ 7*7 }}" in read.words
    assert "<img src=x onerror=alert(1)> {{ 7*7 }}" in mail.text
    assert "https://karoo.test/a?b=1&c=2" in read.links
    assert read.tags.isdisjoint({"img", "script", "form", "iframe"})


def test_an_answer_names_who_answered_and_where_to_write_back(session: Session, cast: Cast) -> None:
    ticket = cast.ticket()
    answered(cast, ticket, "It works again.")
    mail = letter(session, ticket, Kind.REPLY)

    assert "Ada at Karoo has answered you" in flat(mail.text)
    assert ADDRESSES.status(ticket) in mail.text


def test_notes_for_agents_never_leave(session: Session, cast: Cast) -> None:
    ticket = cast.ticket()
    tickets.add_note(session, ticket, cast.agent(), "Probably fraud.", clock.now())
    for kind in (Kind.OPENED, Kind.RESOLVED, Kind.REMINDER, Kind.RATING):
        mail = letter(session, ticket, kind)
        assert "fraud" not in mail.text + mail.html


def test_a_solved_report_repeats_the_last_answer(session: Session, cast: Cast) -> None:
    ticket = cast.ticket()
    answered(cast, ticket, "Your bank's page works again.")
    casework.change_status(
        session, cast.shop, ticket, Status.RESOLVED, agent=cast.agent("b@example.com"), pace=PACE, now=clock.now()
    )
    assert "Your bank's page works again." in letter(session, ticket, Kind.RESOLVED).text


def test_the_rating_asks_one_question_behind_one_link(session: Session, cast: Cast) -> None:
    ticket = cast.ticket()
    mail = letter(session, ticket, Kind.RATING)

    links = Words(mail.html).links
    assert links == [ADDRESSES.rate(ticket), ADDRESSES.status(ticket)]
    assert not any("?" in link for link in links)


def test_every_link_of_the_html_is_in_the_text_too_and_nothing_is_fetched(session: Session, cast: Cast) -> None:
    ticket = cast.ticket(cast.attempt(charge=ChargeState.NOT_CHARGED))
    answered(cast, ticket, "Look again, please.")
    for kind in OF_TICKETS:
        mail = letter(session, ticket, kind)
        read = Words(mail.html)
        assert [link for link in read.links if link not in mail.text] == []
        assert read.tags.isdisjoint({"img", "script", "form", "link"})
        assert "url(" not in mail.html


def test_mails_of_one_ticket_make_one_thread(session: Session, cast: Cast) -> None:
    ticket = cast.ticket()
    answered(cast, ticket, "First answer.")
    opened, reply = (each for each in followups.of(session, ticket) if each.kind in {Kind.OPENED, Kind.REPLY})
    for each in (opened, reply):
        followups.mark_sent(session, each, clock.now(), "250")
    first, later = (letters.compose(session, opened, ADDRESSES, clock.now()), letter(session, ticket, Kind.RATING))

    assert (first.in_reply_to, first.references) == (None, ())
    assert (later.in_reply_to, later.references) == (reply.mail_id, (opened.mail_id, reply.mail_id))
    assert later.subject == f"Re: {first.subject}"


def test_mails_that_never_left_are_not_referred_to(session: Session, cast: Cast) -> None:
    ticket = cast.ticket()
    answered(cast, ticket, "This one is still waiting.")
    opened = next(each for each in followups.of(session, ticket) if each.kind == Kind.OPENED)

    assert letter(session, ticket, Kind.RATING).references == (opened.mail_id,)


def test_the_subject_names_the_case_the_shop_and_the_order(session: Session, cast: Cast) -> None:
    ticket = cast.ticket()
    mail = letter(session, ticket, Kind.OPENED)
    assert mail.subject == f"[{ticket.reference}] Your payment at Karoo, order D-1001"


@pytest.mark.parametrize(
    "reference", ["You won! Visit evil.example", "evil.example/win", "http://evil.example", "Call +27 21 555 0100"]
)
def test_nobody_advertises_through_an_order_number_the_shop_did_not_sign(
    session: Session, cast: Cast, reference: str
) -> None:
    ticket = cast.ticket(cast.attempt(reference, is_signed=False), words="Buy at evil.example")
    mail = letter(session, ticket, Kind.OPENED)

    assert reference not in mail.subject + flat(mail.text) + flat(Words(mail.html).words)
    assert "evil" not in mail.subject + mail.text + mail.html


@pytest.mark.parametrize(("reference", "is_signed"), [("D-1001", False), ("#2026/17_a", False), ("A b: c.d", True)])
def test_honest_order_numbers_are_shown(session: Session, cast: Cast, reference: str, is_signed: bool) -> None:
    mail = letter(session, cast.ticket(cast.attempt(reference, is_signed=is_signed)), Kind.OPENED)
    assert mail.subject.endswith(f", order {reference}")


def test_a_report_without_an_order_still_makes_a_mail(session: Session, cast: Cast) -> None:
    attempt = cast.attempt()
    attempt.order_id = attempt.amount = None
    ticket = cast.ticket(attempt)
    ticket.order_id = None
    for kind in (Kind.OPENED, Kind.RESOLVED, Kind.REMINDER, Kind.RATING):
        mail = letter(session, ticket, kind)
        assert ticket.reference in mail.text
        assert "Amount" not in mail.text


def test_the_text_fits_72_columns_except_for_links(session: Session, cast: Cast) -> None:
    ticket = cast.ticket(cast.attempt(charge=ChargeState.NOT_CHARGED))
    answered(cast, ticket, "word " * 100)
    for kind in OF_TICKETS:
        text = letter(session, ticket, kind).text
        assert [line for line in text.splitlines() if len(line) > 72 and "https://" not in line] == []
        assert "\n\n\n" not in text


@pytest.mark.parametrize("colour", ["#ffff00", "#ffffff", "#000000", "#1f5eff"])
def test_the_button_is_readable_in_every_shops_colour(session: Session, cast: Cast, colour: str) -> None:
    cast.shop.profile = cast.shop.profile | {"colour": colour}
    html = letter(session, cast.ticket(), Kind.OPENED).html

    button = re.search(r'class="button-cell" style="[^"]*background-color: (#\w{6})[^>]*><a[^>]*;color: (#\w{6})', html)
    assert button is not None
    assert contrast(*button.groups()) >= 4.5
    assert contrast(button[1], "#ffffff") >= 4.5


@given(st.text(max_size=300))
def test_whatever_an_agent_types_stays_text(words: str) -> None:
    html = str(paragraphs(words))
    read = Words("<body>" + html)
    assert read.tags <= {"p", "br", "a"}
    assert all(link.startswith(("http://", "https://", "mailto:")) for link in read.links)


@pytest.mark.parametrize("state", STATES)
def test_the_mail_about_an_interruption_tells_of_the_charge_and_leads_to_the_help_but_never_to_a_payment(
    session: Session, cast: Cast, state: ChargeState | None
) -> None:
    attempt = cast.attempt(charge=state)
    casework.interrupted(session, cast.shop, attempt, clock.now())
    mail = letters.compose(session, session.scalars(sa.select(FollowUp)).one(), ADDRESSES, clock.now())

    assert (mail.subject, mail.recipient) == ("Your payment at Karoo was interrupted, order D-1001", "sam@example.com")
    assert Words(mail.html).links == [ADDRESSES.help(attempt)]
    assert ADDRESSES.help(attempt) in mail.text
    assert not mail.asks_for_payment
    case = "You have not been charged" if state is ChargeState.NOT_CHARGED else "Please do not pay again"
    assert case in flat(mail.text)
    assert case in flat(Words(mail.html).words)


ZAR = Money(124900, "ZAR")


def outcome(session: Session, cast: Cast, answer: Answer, facts: dict[str, str] | None = None) -> OutgoingMail:
    """The mail about an attempt that was in doubt until this answer came."""
    attempt = cast.attempt()
    attempt.facts = facts or {}
    watches.start(session, attempt, clock.now())
    charges.record(session, attempt, answer, clock.now())
    watch = watches.of(session, attempt.id)
    casework.charge_known(session, attempt, watch, answer.state, clock.now(), is_told=False)
    return letters.compose(session, session.scalars(sa.select(FollowUp)).one(), ADDRESSES, clock.now())


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (Answer(ChargeState.NOT_CHARGED), "No money was taken for order D-1001"),
        (Answer(ChargeState.NOT_CHARGED, is_reversed=True), "Your statement may still show it for 3 to 10 days"),
        (Answer(ChargeState.HELD, money=ZAR), "Please do not pay again; the shop completes or releases it"),
        (Answer(ChargeState.CHARGED, money=Money(100000, "ZAR")), "is still to be paid"),
    ],
)
def test_the_outcome_says_in_both_forms_what_became_of_the_money_and_holds_no_payment_link(
    session: Session, cast: Cast, answer: Answer, words: str
) -> None:
    mail = outcome(session, cast, answer)

    for said in (flat(mail.text), flat(Words(mail.html).words)):
        assert words in said
        assert "We kept asking, and now we know." in said
    assert not any(way in mail.text + mail.html for way in ("/pay/", "/again/"))
    assert not mail.asks_for_payment


def test_the_figures_of_a_wrong_amount_are_both_told(session: Session, cast: Cast) -> None:
    mail = outcome(session, cast, Answer(ChargeState.CHARGED, money=Money(100000, "ZAR")))
    paid, missing = (Money(minor, "ZAR").shown("en") for minor in (100000, 24900))

    assert f"{paid} of {ZAR.shown('en')} was taken. {missing} is still to be paid." in flat(mail.text)


def test_who_paid_after_all_is_told_so_with_the_reference(session: Session, cast: Cast) -> None:
    attempt = cast.attempt()
    watches.start(session, attempt, clock.now())
    told = Told("k", Source.PROVIDER, ZAR, payment="pi_1")
    payments.record(session, cast.shop, cast.order(), told, PACE, clock.now())
    mail = letters.compose(session, session.scalars(sa.select(FollowUp)).one(), ADDRESSES, clock.now())

    assert mail.subject == "You have paid: your payment at Karoo, order D-1001"
    assert "You need do nothing. Please do not pay again. The reference of your payment is pi_1." in flat(mail.text)
    assert Words(mail.html).links == []


def test_who_paid_twice_is_told_what_is_known_and_no_refund_is_promised(session: Session, cast: Cast) -> None:
    cast.attempt()
    for name in ("pi_1", "pi_2"):
        told = Told(name, Source.PROVIDER, ZAR, payment=name)
        payments.record(session, cast.shop, cast.order(), told, PACE, clock.now())
    mail = letters.compose(session, session.scalars(sa.select(FollowUp)).one(), ADDRESSES, clock.now())

    for said in (flat(mail.text), flat(Words(mail.html).words)):
        assert "It looks as if you paid twice" in said
        assert f"{ZAR.shown('en')}, payment pi_2" in said
        assert "A person looks into it by Nov 21, 2026" in said
        assert "refund" not in said.lower()


def test_who_paid_too_much_reads_both_figures_and_that_nothing_is_to_be_done(session: Session, cast: Cast) -> None:
    cast.attempt()
    taken = Money(129900, "ZAR")
    told = Told("k", Source.PROVIDER, taken, payment="pi_1")
    payments.record(session, cast.shop, cast.order(), told, PACE, clock.now())
    mail = letters.compose(session, session.scalars(sa.select(FollowUp)).one(), ADDRESSES, clock.now())

    assert mail.subject.endswith("Your payment at Karoo, order D-1001")
    for said in (flat(mail.text), flat(Words(mail.html).words)):
        assert f"You have paid {Money(5000, 'ZAR').shown('en')} too much" in said
        assert "Your order is paid" in said
        assert f"Paid: {taken.shown('en')}." in said
        assert ZAR.shown("en") in said
        assert "Please do not pay again. We have told the shop what to give back." in said
        assert "A person looks into it by Nov 21, 2026" in said
        assert "refund" not in said.lower()
    assert not mail.asks_for_payment


def later(session: Session, cast: Cast, charge: ChargeState) -> FollowUp:
    attempt, now = cast.attempt(charge=charge), clock.now()
    dates = {"until": now, "remind_at": now, "created_at": now}
    hold = Hold(order_id=attempt.order_id, attempt_id=attempt.id, email="kim@example.com", **dates)
    session.add(hold)
    session.flush()
    about = f"hold:{hold.id}:{int(now.timestamp())}"
    followups.owe_to_attempt(session, attempt, Kind.LATER, about=about, due_at=now, now=now)
    return session.scalars(sa.select(FollowUp)).one()


@pytest.mark.parametrize("charge", list(ChargeState))
def test_a_reminder_that_was_asked_for_leads_to_paying_only_when_nothing_was_charged(
    session: Session, cast: Cast, charge: ChargeState
) -> None:
    mail = letters.compose(session, later(session, cast, charge), ADDRESSES, clock.now())

    assert mail.recipient == "kim@example.com"
    assert mail.asks_for_payment is (charge is ChargeState.NOT_CHARGED)
    assert bool(Words(mail.html).links) is (charge is ChargeState.NOT_CHARGED)


@pytest.mark.parametrize("has_hook", [True, False])
def test_a_reminder_says_that_the_shop_keeps_the_order_only_where_it_was_asked(
    session: Session, cast: Cast, has_hook: bool
) -> None:
    cast.shop.profile = cast.shop.profile | {"hook_url": "https://shop.example/hooks" if has_hook else None}
    mail = letters.compose(session, later(session, cast, ChargeState.NOT_CHARGED), ADDRESSES, clock.now())

    kept, reminded = "Your order at Karoo is kept for you, order D-1001", "Reminder: your order at Karoo, order D-1001"
    assert mail.subject == (kept if has_hook else reminded)
    for said in (flat(mail.text), flat(Words(mail.html).words)):
        assert ("Karoo keeps your order until" in said) is has_hook


def test_a_reminder_for_which_another_time_was_asked_is_taken_back(session: Session, cast: Cast, clock: Clock) -> None:
    follow_up = later(session, cast, ChargeState.NOT_CHARGED)
    assert followups.reason_to_cancel(session, follow_up, clock.now) is None
    hold = holds.seen_by(session, cast.attempt(), cast.order())
    assert hold is not None
    clock.forward(timedelta(hours=1))
    hold.remind_at = clock.now
    assert followups.reason_to_cancel(session, follow_up, clock.now) == "another time was asked for"


def test_the_link_to_another_device_tells_a_stranger_nothing_of_the_order(session: Session, cast: Cast) -> None:
    attempt = cast.attempt()
    hand_over = handovers.send(session, attempt, "kim@example.com", clock.now())
    now = clock.now()
    followups.owe_to_attempt(session, attempt, Kind.DEVICE, about=hand_over.key, due_at=now, now=now)
    follow_up = session.scalars(sa.select(FollowUp)).one()
    mail = letters.compose(session, follow_up, ADDRESSES, clock.now())

    assert (mail.recipient, Words(mail.html).links) == ("kim@example.com", [ADDRESSES.continue_on(hand_over)])
    assert "D-1001" not in mail.subject + mail.text + mail.html
    assert followups.reason_to_cancel(session, follow_up, hand_over.expires_at) == "the link is over"


@pytest.mark.parametrize(("tongue", "direction"), [("de", "ltr"), ("ar", "rtl"), ("xx", "ltr")])
def test_a_mail_says_in_which_language_and_direction_it_is(
    session: Session, cast: Cast, tongue: str, direction: str
) -> None:
    mail = outcome(session, cast, Answer(ChargeState.NOT_CHARGED), {"language": tongue})

    assert f'dir="{direction}"' in mail.html.split("<head>")[0]
    assert mail.language == ("en" if tongue == "xx" else tongue)
    assert ("\u2068D-1001\u2069" in mail.text) is (direction == "rtl")
