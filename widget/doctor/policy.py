"""Content security policies: the line that a shop must write so that one more origin is allowed."""

from dataclasses import dataclass

# Which directive speaks where a policy does not name the one asked for (CSP Level 3, section 6.8.3).
_FALLBACKS = {
    "script-src-elem": ("script-src-elem", "script-src", "default-src"),
    "frame-src": ("frame-src", "child-src", "default-src"),
    "connect-src": ("connect-src", "default-src"),
}
_PLAIN_NAMES = {"script-src-elem": "script-src"}


@dataclass(frozen=True, slots=True)
class Violation:
    """What the browser refused to load. `policy` is the whole policy that forbade it."""

    directive: str
    blocked: str
    policy: str

    def concerns(self, directive: str, address: str) -> bool:
        return self.directive.startswith(directive) and self.blocked.startswith(address)


def allowing(violation: Violation, origin: str) -> str:
    """What to do about it: the directive as it should read, or the nonce that the tag lacks."""
    sources = _sources_of(violation)
    if violation.directive.startswith("script-src") and _wants_nonce(sources):
        return 'Put the nonce of the page on the tag, as on its other scripts: <script async nonce="NONCE" src=…'
    name = violation.directive if violation.directive in _directives(violation.policy) else ""
    name = name or _PLAIN_NAMES.get(violation.directive, violation.directive)
    kept = [source for source in sources if source != "'none'"]
    return f"Write in the page's Content-Security-Policy: {' '.join([name, *kept, origin])}"


def _wants_nonce(sources: list[str]) -> bool:
    return any(source.startswith("'nonce-") or source == "'strict-dynamic'" for source in sources)


def _sources_of(violation: Violation) -> list[str]:
    known = _directives(violation.policy)
    names = _FALLBACKS.get(violation.directive, (violation.directive, "default-src"))
    return next((known[name] for name in names if name in known), [])


def _directives(policy: str) -> dict[str, list[str]]:
    words = [part.split() for part in policy.split(";")]
    return {found[0].lower(): found[1:] for found in reversed(words) if found}
