"""The stories of the demo, by what they are about, in the order in which they are shown."""

from widget.demo.stories.bank import BANK
from widget.demo.stories.money import MONEY
from widget.demo.stories.page import BROWSER, CONNECTION, PAGE, PLAIN
from widget.demo.stories.provider import PROVIDER, SPLIT, WALLET
from widget.demo.stories.story import Group, Mode, Story
from widget.demo.stories.well import WELL

__all__ = ["STORIES", "Group", "Mode", "Story"]

STORIES: dict[str, Story] = WELL | CONNECTION | PAGE | PROVIDER | BANK | WALLET | SPLIT | MONEY | BROWSER | PLAIN
