"""Named failures that a person or a program can answer; `widget.web.errors` turns them into HTTP."""

from pydantic import ValidationError

from widget.language import N_, Said


class Problem(Exception):
    """Something the caller can mend. `detail` says what happened and what to do, in one or two sentences.

    `said` is the same, to be put into the language of whoever reads it.
    """

    status = 400
    slug = "bad-request"
    title = N_("This request cannot be handled")

    def __init__(self, detail: str | Said) -> None:
        super().__init__(str(detail))
        self.said = detail
        self.detail = str(detail)


class Malformed(Problem):
    status = 422
    slug = "malformed"
    title = N_("The content does not have the expected shape")


class TooLarge(Problem):
    status = 413
    slug = "too-large"
    title = N_("The content is too large")


class UnknownSite(Problem):
    status = 404
    slug = "unknown-site"
    title = N_("There is no shop with this site key")


class WrongOrigin(Problem):
    status = 403
    slug = "wrong-origin"
    title = N_("This origin is not allowed for this shop")


class Stale(Problem):
    status = 422
    slug = "stale"
    title = N_("The content was sent too long ago, or is dated in the future")


class Replayed(Problem):
    status = 409
    slug = "replayed"
    title = N_("This identifier was used before with other content")


class Unauthorised(Problem):
    status = 401
    slug = "unauthorised"
    title = N_("The API key is missing or wrong")


class NotFound(Problem):
    status = 404
    slug = "not-found"
    title = N_("There is nothing at this address")


class LinkInvalid(Problem):
    """A signed link that is not ours, was changed, or belongs to another purpose."""

    status = 404
    slug = "link-invalid"
    title = N_("This link does not work")


class LinkExpired(Problem):
    status = 410
    slug = "link-expired"
    title = N_("This link has expired")


class Refused(Problem):
    """Well understood, but the rules forbid it now, for instance a second payment."""

    status = 409
    slug = "refused"
    title = N_("This cannot be done now")


def misshapen(error: ValidationError, whole: str) -> str:
    """Which part is wrong and how, but not what was in it; `whole` names it where that is no single part."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    place = ".".join(str(part) for part in first["loc"]) or whole
    return f"{place}: {first['msg']}"
