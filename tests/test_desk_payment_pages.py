"""A payment page of which its provider does not say how it ended: an agent looks it up and lets the order go."""

from datetime import timedelta

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from tests.cast import PACE
from tests.test_desk import Desk
from widget import cashier, clock, links, orders, tickets
from widget.audit import AuditRow
from widget.database import Database
from widget.links import PaymentLink
from widget.orders import Order
from widget.providers import Answer, ChargeState, Hosted, ProviderDown
from widget.providers.demo import DemoProvider

TITLE = "Payment page without an answer"


class Silent:
    """The page of a provider of which nobody can say how it ended, until `said` tells."""

    said = Answer(ChargeState.UNKNOWN)


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch) -> Silent:
    silent = Silent()

    def revoke(_provider: DemoProvider, _hosted_id: str) -> None:
        if silent.said.state is ChargeState.UNKNOWN:
            raise ProviderDown("The provider did not answer.")

    monkeypatch.setattr(DemoProvider, "link_state", lambda _self, _id: silent.said)
    monkeypatch.setattr(DemoProvider, "revoke", revoke)
    return silent


@pytest.fixture
def desk(client: FlaskClient, database: Database, page: Silent) -> Desk:
    """A signed-in agent before the ticket of an order kept by a payment page, long after the page's time was over."""
    made = Desk(client, database)
    with database.write() as session:
        attempt = tickets.attempt_of(session, made.ticket)
        order = session.scalars(sa.select(Order)).one()
        link = links.link_for(session, made.cast.shop, attempt, order, clock.now())
        hosted = Hosted("page_1", "https://pay.example/1", clock.now() - timedelta(hours=26))
        links.keep_page(link, order, "demo", hosted, clock.now())
        key = link.key
    cashier.look(database, PACE, key)
    assert made.sign_in().status_code == 303
    return made


def let_go(desk: Desk, page: str = "page_1") -> str:
    return desk.post(f"{desk.path}/payment-page/let-go", hosted_id=page).text


def is_kept(database: Database) -> bool:
    with database.read() as session:
        return orders.is_being_paid(session.scalars(sa.select(Order)).one(), clock.now())


def look_at_once(database: Database) -> None:
    """The worker's next round over the page, whenever it is due."""
    with database.write() as session:
        session.execute(sa.update(PaymentLink).values(look_at=clock.now()))
    assert cashier.look_at_pages(database, PACE)


def test_an_agent_who_has_looked_it_up_lets_the_order_go(desk: Desk, database: Database) -> None:
    assert TITLE in desk.client.get(desk.path).text
    assert is_kept(database)

    desk.post(f"{desk.path}/payment-page/let-go", hosted_id="page_1")

    shown = desk.client.get(desk.path).text
    assert TITLE not in shown
    assert "nothing was taken there. It does not keep the order any more." in shown
    assert not is_kept(database)
    with database.read() as session:
        assert session.scalars(sa.select(AuditRow.what)).all() == ["payment_page_released"]
        assert not links.open_pages(session, tickets.attempt_of(session, desk.ticket))


def test_what_unjam_has_written_to_the_customer_is_not_called_a_note(desk: Desk) -> None:
    shown = desk.client.get(desk.path).text
    told, noted = shown.index("A person at the shop now looks it up"), shown.index("Look it up there, then tell")
    assert "Note, not shown to the customer" in shown[:noted]
    assert "Note, not shown to the customer" not in shown[shown.index('<li class="said', noted) : told]


def test_what_was_let_go_stays_so_while_its_provider_is_silent(desk: Desk, database: Database) -> None:
    let_go(desk)
    look_at_once(database)
    assert not is_kept(database)


def test_a_payment_that_its_provider_tells_of_after_all_pays_the_order(
    desk: Desk, database: Database, page: Silent
) -> None:
    let_go(desk)
    page.said = Answer(ChargeState.CHARGED, payment="pay_1")
    look_at_once(database)
    with database.read() as session:
        assert session.scalars(sa.select(Order)).one().paid_at is not None


@pytest.mark.parametrize(
    ("state", "says"),
    [
        (ChargeState.HELD, "the amount is reserved on this page"),
        (ChargeState.UNKNOWN, "“processing” on this page"),
        (ChargeState.CHARGED, "does not keep the order any more"),
        (ChargeState.NOT_CHARGED, "does not keep the order any more"),
    ],
)
def test_a_provider_that_answers_at_last_knows_better(
    desk: Desk, database: Database, page: Silent, state: ChargeState, says: str
) -> None:
    page.said = Answer(state, payment="pay_1", status="processing" if state is ChargeState.UNKNOWN else None)
    assert says in let_go(desk)
    assert is_kept(database) is (state in {ChargeState.HELD, ChargeState.UNKNOWN})


def test_only_the_page_that_the_agent_has_read_of_is_let_go(desk: Desk, database: Database) -> None:
    assert "does not keep the order any more" in let_go(desk, "page_2")
    assert is_kept(database)


def test_a_page_whose_time_is_not_over_is_no_matter_for_agents(desk: Desk, database: Database) -> None:
    with database.write() as session:
        session.execute(sa.update(PaymentLink).values(hosted_until=clock.now() - timedelta(hours=3)))
    assert TITLE not in desk.client.get(desk.path).text
    assert "does not keep the order any more" in let_go(desk)
    assert is_kept(database)
