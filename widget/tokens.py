"""Signed links and nonces: one salt and one lifetime per purpose, so that no token serves another purpose."""

from datetime import timedelta
from enum import StrEnum
from typing import Any

from itsdangerous import BadSignature, SignatureExpired, URLSafeTimedSerializer

from widget import clock
from widget.errors import LinkExpired, LinkInvalid
from widget.language import N_


class Purpose(StrEnum):
    """What a token opens. Its value is the signing salt; renaming one invalidates every link that is out."""

    FRAME = "frame"  # our frame on one shop's page, which may report from an origin of its own
    HELP = "help"  # the panel and rescue page of one attempt
    STATUS = "status"  # the private page of one ticket
    PAY = "pay"  # one manual payment link; the row holds the earlier, binding expiry
    CONTINUE = "continue"  # an order carried to another device; the row holds who took it
    AGAIN = "again"  # "try again" out of an e-mail
    RATE = "rate"
    FORM = "form"  # the nonce of a form on a page that has no session


LIFETIMES = {
    Purpose.FRAME: timedelta(days=7),
    Purpose.HELP: timedelta(days=2),
    Purpose.STATUS: timedelta(days=90),
    Purpose.PAY: timedelta(days=30),
    Purpose.CONTINUE: timedelta(minutes=30),
    Purpose.AGAIN: timedelta(days=30),
    Purpose.RATE: timedelta(days=60),
    Purpose.FORM: timedelta(hours=12),
}


# The clocks of two hosts are never quite the same, so one may read what the other will have signed in a moment.
CLOCKS_DIFFER_BY = timedelta(minutes=1)


class Tokens:
    def __init__(self, signing_key: str) -> None:
        self._serializers = {
            purpose: URLSafeTimedSerializer(signing_key, salt=f"unjam.{purpose.value}.1") for purpose in Purpose
        }

    def sign(self, purpose: Purpose, subject: Any) -> str:
        return self._serializers[purpose].dumps(subject)

    def read(self, purpose: Purpose, token: str) -> Any:
        """The subject that was signed. Raises LinkExpired or LinkInvalid."""
        return self.read_with_age(purpose, token)[0]

    def read_with_age(self, purpose: Purpose, token: str) -> tuple[Any, float]:
        """The subject and the Unix time at which it was signed."""
        try:
            subject, signed_at = self._serializers[purpose].loads(token, return_timestamp=True)
            if not -CLOCKS_DIFFER_BY <= clock.now() - signed_at <= LIFETIMES[purpose]:
                raise SignatureExpired("It was signed too long ago, or in the future.")
        except SignatureExpired as error:
            raise LinkExpired(N_("This link was valid for a limited time, and that time has passed.")) from error
        except BadSignature as error:
            raise LinkInvalid(N_("Copy the whole link from your e-mail, or open it there again.")) from error
        return subject, signed_at.timestamp()

    def purpose_of(self, token: str) -> Purpose | None:
        """What a token of ours was signed for, however old it is; None when we did not sign it.

        For the audit only: a link that was refused on one page may be a good one of another.
        """
        for purpose, serializer in self._serializers.items():
            if serializer.loads_unsafe(token)[0]:
                return purpose
        return None
