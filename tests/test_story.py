"""The main job from end to end: a stuck payment becomes help, a ticket, e-mails and a rating."""

import re
from email.message import EmailMessage
from io import BytesIO

import pytest
import zxingcpp
from PIL import Image
from playwright.sync_api import Page, expect

from tests.browsers import OpenPage
from tests.cast import PASSWORD
from tests.stage import Stage, press, wait_until
from tests.ways import take_way
from widget.demo.keys import AGENT


def text_of(message: EmailMessage) -> str:
    body = message.get_body(("plain",))
    assert body is not None
    return str(body.get_content())


def link_in(message: EmailMessage, page: str) -> str:
    found = re.search(rf"http://localhost:\d+/{page}/\S+", text_of(message))
    assert found, text_of(message)
    return found[0]


def pay_at_the_provider(page: Page) -> None:
    """From our page to the provider's, where the money is taken, and back. The shop may have told of it before that."""
    page.get_by_role("button", name="Pay").click()
    page.wait_for_url("**/provider/**")
    page.get_by_role("button", name="Pay R").click()
    told = re.compile("Paid. Thank you|This order is already paid")
    expect(page.get_by_role("heading", name=told)).to_be_visible(timeout=15_000)


def test_a_stuck_payment_becomes_help_a_ticket_emails_and_a_rating(stage: Stage, open_page: OpenPage) -> None:
    # The payment hangs behind a spinner; within its deadline the pill asks about it.
    shopper = open_page(viewport={"width": 375, "height": 740})
    stage.check_out(shopper, "hang")
    panel = stage.panel(shopper)
    press(panel.get_by_role("button", name="Is your payment stuck?"))
    expect(panel.get_by_role("heading", name="You have not been charged")).to_be_visible()

    # Nothing helps, so the shopper reports it, twice by a double click, and sees everything that is sent.
    press(panel.get_by_role("button", name="Report it"))
    expect(panel.get_by_label("Your e-mail address")).to_have_value("sam@example.com")
    press(panel.get_by_text("See everything that is sent"))
    expect(panel.get_by_text("Chrome").first).to_be_visible()
    panel.get_by_label("What happened?").fill("It turns and turns.")
    panel.get_by_role("button", name="Send the report").dblclick()
    expect(panel.get_by_role("heading", name="We have your report")).to_be_visible()
    reference = panel.locator("strong.mono").inner_text()
    opened = stage.smtp.wait_for(1)[0]
    assert reference in str(opened["Subject"])

    # The agent finds it on top of the queue with nothing left to ask, answers and solves it.
    desk = open_page()
    sign_in(desk, stage)
    desk.get_by_role("link", name=re.compile(reference)).first.click()
    for known in ("sam@example.com", "Card", "It turns and turns.", "Chrome", "375x740", "/checkout/"):
        expect(desk.get_by_text(known).first).to_be_visible()
    desk.get_by_label("Reply").fill("We have freed your order. Please try once more.")
    desk.get_by_role("button", name="Send reply", exact=True).click()
    reply = stage.smtp.wait_for(2)[1]
    assert "We have freed your order." in text_of(reply)
    assert reply["In-Reply-To"] == opened["Message-ID"]
    desk.get_by_role("button", name="Resolve", exact=True).click()
    resolved = stage.smtp.wait_for(3)[2]

    # The customer tries again out of the mail and pays on our page; the checkout's panel says so.
    customer = open_page()
    customer.goto(link_in(resolved, "again"))
    customer.get_by_role("button", name="Continue").click()
    pay_at_the_provider(customer)
    shopper.wait_for_url("**/thanks/**")

    # One request for a rating; looking at it records nothing, answering does, and the desk shows it.
    rating = next_mail(stage, "/rate/")
    customer.goto(link_in(rating, "rate"))
    customer.get_by_text("Very good").click()
    customer.get_by_label("Anything to add?").fill("Quick and clear.")
    customer.wait_for_timeout(2_100)  # a person reads before answering, and the page tells the two apart
    customer.get_by_role("button", name="Send the answer").click()
    expect(customer.get_by_role("heading", name="Thank you")).to_be_visible()
    desk.reload()
    expect(desk.get_by_text("Quick and clear.")).to_be_visible()
    assert not any("/again/" in text_of(mail) for mail in stage.smtp.messages[3:])

    # Nothing of it stands in the log: no address, no words, no link that opens something.
    log = stage.unjam.log.read_text()
    assert "worker_started" in log
    assert not re.search(r"sam@|example\.com|turns|/(help|pay|status|again|rate)/", log)


def sign_in(desk: Page, stage: Stage) -> None:
    desk.goto(f"{stage.unjam.url}/desk/")
    desk.get_by_label("E-mail").fill(AGENT)
    desk.get_by_label("Password").fill(PASSWORD)
    desk.get_by_role("button", name="Sign in").click()


def next_mail(stage: Stage, containing: str) -> EmailMessage:
    def look() -> EmailMessage | None:
        return next((mail for mail in stage.smtp.messages if containing in text_of(mail)), None)

    return wait_until(look, f"a mail with {containing}")


def test_the_manual_link_pays_the_order_and_the_panel_says_so(stage: Stage, open_page: OpenPage) -> None:
    shopper = open_page()
    stage.check_out(shopper, "hang")
    panel = stage.panel(shopper)
    press(panel.get_by_role("button", name="Is your payment stuck?"))
    take_way(panel, "Pay on a separate page")
    with shopper.context.expect_page() as opened:
        press(panel.get_by_role("link", name="Open the payment page"))
    payment = opened.value
    address = payment.url
    pay_at_the_provider(payment)
    payment.goto(address)
    expect(payment.get_by_text("There is nothing left to do, and this link takes no more money.")).to_be_visible()
    shopper.wait_for_url("**/thanks/**")
    assert stage.smtp.messages == []


@pytest.mark.parametrize(
    ("scenario", "said"),
    [
        ("hang_processing", "We do not know yet if you were charged"),
        ("decline", "You have not been charged"),
        ("error", "You have not been charged"),
    ],
)
def test_each_way_of_getting_stuck_is_told_truthfully(stage: Stage, page: Page, scenario: str, said: str) -> None:
    stage.check_out(page, scenario)
    panel = stage.panel(page)
    press(panel.get_by_role("button", name="Is your payment stuck?"))
    expect(panel.get_by_role("heading", name=said)).to_be_visible()
    offers_payment = panel.get_by_role("button", name="Pay another way")
    expect(offers_payment).to_have_count(1 if said == "You have not been charged" else 0)


def test_a_shopper_who_was_charged_though_the_page_hangs_is_taken_to_the_thanks(stage: Stage, page: Page) -> None:
    stage.check_out(page, "hang_charged")
    press(stage.panel(page).get_by_role("button", name="Is your payment stuck?"))
    page.wait_for_url("**/thanks/**")


def test_trying_again_safely_frees_the_checkout_and_the_second_try_pays(stage: Stage, page: Page) -> None:
    stage.check_out(page, "hang")
    panel = stage.panel(page)
    press(panel.get_by_role("button", name="Is your payment stuck?"))
    take_way(panel, "Try again")
    page.get_by_text("Demo controls").click()
    page.get_by_label("Payment goes through").check()
    page.get_by_role("button", name="Pay").click()
    page.wait_for_url("**/thanks/**")


def test_a_payment_that_goes_through_is_left_alone(stage: Stage, page: Page) -> None:
    stage.check_out(page, "ok")
    page.wait_for_url("**/thanks/**")
    assert stage.smtp.messages == []


def test_the_code_for_another_device_is_read_by_a_camera_and_the_order_goes_on_there(
    stage: Stage, open_page: OpenPage
) -> None:
    shopper = open_page()
    stage.check_out(shopper, "hang")
    panel = stage.panel(shopper)
    press(panel.get_by_role("button", name="Is your payment stuck?"))
    take_way(panel, "Go on with another device")
    code = panel.get_by_role("img", name="QR code of the link below")
    seen = zxingcpp.read_barcodes(Image.open(BytesIO(code.screenshot())))
    assert [each.text for each in seen] == [panel.get_by_label("The link. It works once").input_value()]

    phone = open_page(viewport={"width": 375, "height": 740})
    phone.goto(seen[0].text)
    phone.get_by_role("button", name="Continue").click()
    phone.get_by_role("button", name="Pay").click()
    phone.wait_for_url("**/thanks/**")
    shopper.wait_for_url("**/thanks/**")


def test_what_was_typed_is_kept_when_the_report_cannot_be_sent(stage: Stage, page: Page) -> None:
    stage.check_out(page, "hang")
    panel = stage.panel(page)
    press(panel.get_by_role("button", name="Is your payment stuck?"))
    press(panel.get_by_role("button", name="Report it"))
    panel.get_by_label("What happened?").fill("It turns and turns.")
    page.route("**/report", lambda route: route.abort())
    press(panel.get_by_role("button", name="Send the report"))
    expect(panel.get_by_text("We could not reach the help.")).to_be_visible()
    page.unroute("**/report")
    page.route("**/report", lambda route: route.fulfill(status=503, body="busy"), times=1)
    press(panel.get_by_role("button", name="Send the report"))
    expect(panel.get_by_label("What happened?")).to_have_value("It turns and turns.")
    press(panel.get_by_role("button", name="Send the report"))
    expect(panel.get_by_role("heading", name="We have your report")).to_be_visible()
