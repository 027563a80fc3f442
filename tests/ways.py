"""How a shopper takes a way out in a real browser, wherever on the screen it stands."""

from playwright.sync_api import FrameLocator, Page, expect

from tests.stage import press


def take_way(panel: FrameLocator | Page, name: str) -> None:
    """Press a way out; unfold the others first when it is not among those shown at once."""
    expect(panel.get_by_role("button", name="Report it")).to_be_visible()
    way, fold = panel.get_by_role("button", name=name, exact=False), panel.get_by_text("More ways to pay")
    if not way.is_visible() and fold.is_visible():
        press(fold)
    press(way)
