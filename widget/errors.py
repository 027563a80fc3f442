"""Named failures that a person or a program can answer; `widget.web.errors` turns them into HTTP."""


class Problem(Exception):
    """Something the caller can mend. `detail` says what happened and what to do, in one or two sentences."""

    status = 400
    slug = "bad-request"
    title = "This request cannot be handled"

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class Malformed(Problem):
    status = 422
    slug = "malformed"
    title = "The content does not have the expected shape"


class TooLarge(Problem):
    status = 413
    slug = "too-large"
    title = "The content is too large"


class UnknownSite(Problem):
    status = 404
    slug = "unknown-site"
    title = "There is no shop with this site key"


class WrongOrigin(Problem):
    status = 403
    slug = "wrong-origin"
    title = "This origin is not allowed for this shop"


class Stale(Problem):
    status = 422
    slug = "stale"
    title = "The content was sent too long ago, or is dated in the future"


class Replayed(Problem):
    status = 409
    slug = "replayed"
    title = "This identifier was used before with other content"


class Unauthorised(Problem):
    status = 401
    slug = "unauthorised"
    title = "The API key is missing or wrong"


class NotFound(Problem):
    status = 404
    slug = "not-found"
    title = "There is nothing at this address"


class LinkInvalid(Problem):
    """A signed link that is not ours, was changed, or belongs to another purpose."""

    status = 404
    slug = "link-invalid"
    title = "This link does not work"


class LinkExpired(Problem):
    status = 410
    slug = "link-expired"
    title = "This link has expired"


class Refused(Problem):
    """Well understood, but the rules forbid it now, for instance a second payment."""

    status = 409
    slug = "refused"
    title = "This cannot be done now"
