"""What a visitor of the demo can choose to happen to a payment."""

from enum import StrEnum

from widget.demo.stories import STORIES, Group, Story


class Scenario(StrEnum):
    """The value stands in addresses and forms; `story` says everything about it."""

    OK = "ok"
    SLOW = "slow"
    SDK_SLOW = "sdk_slow"
    CHALLENGE_OK = "challenge_ok"
    REDIRECT_OK = "redirect_ok"
    POPUP_OK = "popup_ok"
    WALLET_OK = "wallet_ok"
    WALLET_CANCELLED = "wallet_cancelled"
    SPLIT_OK = "split_ok"
    HANG = "hang"
    HANG_CHARGED = "hang_charged"
    HANG_PROCESSING = "hang_processing"
    OFFLINE = "offline"
    FROZEN = "frozen"
    FROZEN_CHARGED = "frozen_charged"
    UNSETTLED = "unsettled"
    DEAD_BUTTON = "dead_button"
    RAGE = "rage"
    DOUBLE = "double"
    ERROR = "error"
    ERROR_SHOWN = "error_shown"
    SDK_MISSING = "sdk_missing"
    SDK_BLOCKED = "sdk_blocked"
    SDK_HANGS = "sdk_hangs"
    SDK_EMPTY = "sdk_empty"
    POPUP = "popup"
    NO_RETURN = "no_return"
    DECLINE = "decline"
    DECLINE_AGAIN = "decline_again"
    CHALLENGE = "challenge"
    CHALLENGE_DENIED = "challenge_denied"
    CHALLENGE_BLOCKED = "challenge_blocked"
    DECLINE_FUNDS = "decline_funds"
    DECLINE_CODE = "decline_code"
    DECLINE_STOLEN = "decline_stolen"
    DECLINE_NEVER = "decline_never"
    WALLET_FAILS = "wallet_fails"
    WALLET_UNAVAILABLE = "wallet_unavailable"
    WALLET_HANGS = "wallet_hangs"
    SPLIT = "split"
    SPLIT_HANGS = "split_hangs"
    HANG_HELD = "hang_held"
    HANG_REVERSED = "hang_reversed"
    TOO_LITTLE = "too_little"
    TOO_MUCH = "too_much"
    PAID_TWICE = "paid_twice"
    OUTAGE = "outage"
    STORAGE = "storage"
    IN_APP = "in_app"
    CLOCK = "clock"
    CLOSED = "closed"
    KILLED = "killed"
    PLAIN_OK = "plain_ok"
    PLAIN_HANG = "plain_hang"
    PLAIN_ERROR = "plain_error"

    @property
    def story(self) -> Story:
        return STORIES[self.value]

    @property
    def label(self) -> str:
        return self.story.label

    @property
    def hangs(self) -> bool:
        return self.story.hangs


def grouped() -> dict[Group, list[Scenario]]:
    return {group: [each for each in Scenario if each.story.group is group] for group in Group}
