"""Letters: the words of each follow-up. Text and HTML of one mail say the same, from what is true when it is made."""

from datetime import datetime

from sqlalchemy.orm import Session

from widget import followups, language
from widget.addresses import Addresses
from widget.followups import FollowUp, Kind
from widget.letters.case import Case, case_of
from widget.letters.paper import written
from widget.mail import OutgoingMail

# Enough for every mail client to find the thread, also when some mails of it were lost.
MAX_REFERENCES = 10


def compose(session: Session, follow_up: FollowUp, addresses: Addresses, now: datetime) -> OutgoingMail:
    """The mail of this follow-up, as of now. Nothing is stored, so a retry may say something newer."""
    kind, case = Kind(follow_up.kind), case_of(session, follow_up, now)
    references = _references(session, follow_up)
    asks_for_payment = case.may_try_again and kind in {Kind.RESOLVED, Kind.REMINDER, Kind.LATER}
    links = _links(case, addresses, asks_for_payment=asks_for_payment)
    context = {"case": case, "kind": kind, "shop": case.shop, "ticket": case.ticket, **links}
    sheet = written(kind.value, case.locale, case.profile.colour, context)
    return OutgoingMail(
        mail_id=follow_up.mail_id,
        recipient=case.email,
        subject=sheet.subject,
        text=sheet.text,
        html=sheet.html,
        sender_name=case.shop.name,
        in_reply_to=references[-1] if references else None,
        references=references,
        language=language.tag_of(case.locale),
        asks_for_payment=asks_for_payment,
    )


def _links(case: Case, addresses: Addresses, *, asks_for_payment: bool) -> dict[str, str | None]:
    if case.ticket is None:
        return {
            "help_link": addresses.help(case.attempt),
            "again_link": addresses.help(case.attempt) if asks_for_payment else None,
            "device_link": addresses.continue_on(case.hand_over) if case.hand_over else None,
        }
    return {
        "status_link": addresses.status(case.ticket),
        "again_link": addresses.again(case.ticket) if asks_for_payment else None,
        "rate_link": addresses.rate(case.ticket),
    }


def _references(session: Session, follow_up: FollowUp) -> tuple[str, ...]:
    """The ids of the thread so far: the first mail of the ticket, and then those that were sent before this one."""
    if follow_up.kind == Kind.OPENED or follow_up.ticket_id is None:
        return ()
    owed = followups.of(session, followups.ticket_of(session, follow_up))
    opened = [each.mail_id for each in owed if each.kind == Kind.OPENED]
    sent = sorted((each.sent_at, each.mail_id) for each in owed if each.sent_at and each.kind != Kind.OPENED)
    earlier = [mail_id for _, mail_id in sent if mail_id != follow_up.mail_id]
    return (*opened, *earlier[-MAX_REFERENCES:])
