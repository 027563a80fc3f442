"""The help on the demo shop's checkout, as one customer sees it: a walk, with a picture at each step."""

from collections.abc import Callable
from dataclasses import dataclass

import sqlalchemy as sa
from playwright.sync_api import FrameLocator, Page, expect

from tests.stage import Stage, press, wait_until
from widget.beacons import Beacon
from widget.shops import by_site

# As the browser would go on if the shop's page froze, but for the picture, which a frozen page cannot be taken of.
_NO_MORE_BEATS = "() => { MessagePort.prototype.postMessage = () => {}; }"


@dataclass(frozen=True, slots=True)
class Sight:
    """What the customer does next, and a word that our frame must show then."""

    name: str
    act: Callable[[Stage, Page], None]
    shows: str
    is_wide: bool = False


def _button(stage: Stage, page: Page, name: str) -> None:
    press(stage.panel(page).get_by_role("button", name=name))


def _comes(stage: Stage, page: Page) -> None:
    with stage.database.write() as session:
        # At night our frame would say something else than by day.
        shop = by_site(session, "demo")
        shop.profile = shop.profile | {"hours": []}
    page.goto(stage.shop_url)
    page.get_by_role("button", name="Check out").click()
    page.wait_for_url("**/checkout/**")


def _pays_in_vain(stage: Stage, page: Page) -> None:
    page.goto(f"{page.url.split('?')[0]}?scenario=hang")
    page.get_by_role("button", name="Pay").click()


def _asks(stage: Stage, page: Page) -> None:
    page.route("**/check", lambda _route: None)
    _button(stage, page, "Is your payment stuck?")


def _is_told(_stage: Stage, page: Page) -> None:
    # What was held goes on by that.
    page.unroute_all()


def _looks(_stage: Stage, _page: Page) -> None:
    pass


def _sees_it_freeze(stage: Stage, page: Page) -> None:
    _button(stage, page, "Close")
    page.evaluate(_NO_MORE_BEATS)


def _comes_back(stage: Stage, page: Page) -> None:
    wait_until(lambda: _has_heard_of_it(stage), "the beacon of the frozen page")
    page.reload()


def _has_heard_of_it(stage: Stage) -> bool:
    with stage.database.read() as session:
        return any('"frozen"' in body for body in session.scalars(sa.select(Beacon.body)))


def _has_no_net(stage: Stage, page: Page) -> None:
    page.evaluate("() => sessionStorage.clear()")
    page.route("**/panel", lambda route: route.abort())
    page.reload()
    _button(stage, page, "Payment help")


WALK = (
    Sight("pill", _comes, "Payment help"),
    Sight("pill-stuck", _pays_in_vain, "Is your payment stuck?"),
    Sight("checking", _asks, "Were you charged?"),
    Sight("panel-phone", _is_told, "You have not been charged"),
    Sight("panel", _looks, "You have not been charged", is_wide=True),
    Sight("pill-frozen", _sees_it_freeze, "The page has frozen. Get help"),
    Sight("back", _comes_back, "You have not been charged"),
    Sight("offline", _has_no_net, "We cannot reach the help right now"),
)


def frame_of(stage: Stage, page: Page, sight: Sight) -> FrameLocator:
    """Our frame, once it shows this sight and has the size that it wants."""
    frame = stage.panel(page)
    shown = frame.get_by_text(sight.shows).locator("visible=true").first
    expect(shown).to_be_visible()
    before = None
    while (now := page.locator("iframe[title='Payment help']").bounding_box()) != before:
        before = now
        page.wait_for_timeout(150)
    return frame
