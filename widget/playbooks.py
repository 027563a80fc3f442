"""Playbooks: in which order and in which words the open ways out are shown, until learning knows better.

A playbook is a row of `_PLAYBOOKS`; the first that fits the scene is taken. It can order and word what is open, never
open anything: that is decided in `offers` alone.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from widget.advice import Again
from widget.language import N_, Said, counted
from widget.methods import known_as
from widget.money import Money
from widget.offers import Choice, OfferKind
from widget.ranking import Beta
from widget.stalls import StallKind

# Fewer tries than this say nothing that a person should read.
TELLING_TRIES = 5
# A guess of the rules weighs as much as so many outcomes.
PRIOR_WEIGHT = 8.0
# How often the first, second … way of a playbook is guessed to recover the order, once it is taken.
PRIOR_RECOVERY = (0.7, 0.5, 0.4, 0.32, 0.26, 0.2)

_K = OfferKind


@dataclass(frozen=True, slots=True)
class Rate:
    """How often something worked lately here, technical failures only."""

    worked: int
    tried: int

    @property
    def is_telling(self) -> bool:
        return self.tried >= TELLING_TRIES


@dataclass(frozen=True, slots=True)
class Scene:
    """What a playbook is chosen by, and the figures that its words are filled with."""

    kind: StallKind | None = None
    method: str | None = None
    # The shop's names of its methods, and how each works now on this kind of device.
    labels: Mapping[str, str] = field(default_factory=dict)
    rates: Mapping[str, Rate] = field(default_factory=dict)
    # What the decline's advice says (a word of `Again`), and the kinds it prefers.
    retry: str | None = None
    prefers: tuple[str, ...] = ()
    is_split: bool = False
    rest: Money | None = None
    missing: Money | None = None
    # When a person is there: now until then, or next.
    is_staffed: bool = True
    staffed_until: str | None = None
    staffed_from: str | None = None


@dataclass(frozen=True, slots=True)
class Playbook:
    """`order` names what comes first; the other open ones follow as `offers` has them. `whys` replace its reasons."""

    name: str
    fits: Callable[[Scene], bool]
    order: tuple[OfferKind, ...]
    whys: Mapping[OfferKind, str] = field(default_factory=dict)
    names: Mapping[OfferKind, str] = field(default_factory=dict)


def _is(*kinds: StallKind) -> Callable[[Scene], bool]:
    return lambda scene: scene.kind in kinds


def _pays_with(*words: str) -> Callable[[Scene], bool]:
    return lambda scene: any(word in known_as(scene.method) for word in words)


def _is_declined(scene: Scene) -> bool:
    return scene.kind in {StallKind.DECLINED, StallKind.DECLINED_AGAIN}


def _is_declined_for(*retries: Again) -> Callable[[Scene], bool]:
    return lambda scene: _is_declined(scene) and scene.retry in retries


def _never_again(scene: Scene) -> bool:
    return scene.retry == Again.NEVER


_DECLINED = (_K.METHOD, _K.RETRY, _K.TRANSFER, _K.PAYMENT_LINK, _K.LATER)


_PLAYBOOKS: tuple[Playbook, ...] = (
    Playbook(
        "split",
        lambda scene: scene.is_split,
        order=(_K.REST, _K.ONE_METHOD, _K.PERSON, _K.CALL_BACK),
    ),
    Playbook(
        "declined_for_good",
        _never_again,
        order=(_K.METHOD, _K.TRANSFER, _K.PAYMENT_LINK, _K.LATER),
        whys={_K.PAYMENT_LINK: N_("With another card, on a page of its own.")},
    ),
    Playbook("declined_now", _is_declined_for(Again.NOW), order=_DECLINED),
    Playbook(
        "declined_with_bank",
        _is_declined_for(Again.WITH_BANK),
        order=_DECLINED,
        whys={_K.RETRY: N_("Nothing was charged. Have your phone or bank app ready.")},
    ),
    Playbook(
        "declined_retyped",
        _is_declined_for(Again.RETYPED),
        order=_DECLINED,
        whys={_K.RETRY: N_("Nothing was charged. Check your details first.")},
    ),
    Playbook(
        "declined_soon",
        _is_declined_for(Again.SOON),
        order=_DECLINED,
        whys={_K.RETRY: N_("Nothing was charged. Wait a few minutes first.")},
    ),
    Playbook(
        "declined",
        _is_declined,
        order=_DECLINED,
        whys={
            _K.RETRY: N_("With another card, or after a word with your bank."),
            _K.PAYMENT_LINK: N_("With another card, on a page of its own."),
        },
    ),
    Playbook(
        "apple_pay",
        _pays_with("apple"),
        order=(_K.METHOD, _K.RETRY, _K.PAYMENT_LINK, _K.DEVICE),
        whys={
            _K.RETRY: N_("Nothing was charged. Confirm at once when your device asks."),
            _K.DEVICE: N_("Open your order in Safari on another Apple device."),
        },
    ),
    Playbook(
        "samsung_pay",
        _pays_with("samsung"),
        order=(_K.METHOD, _K.RETRY, _K.DEVICE, _K.PAYMENT_LINK),
        whys={
            _K.RETRY: N_("Nothing was charged. Unlock your phone before you press Pay."),
            _K.DEVICE: N_("Open your order in the browser of your Samsung phone."),
        },
    ),
    Playbook(
        "wallet",
        lambda scene: scene.kind is StallKind.WALLET or _pays_with("google_pay", "wallet")(scene),
        order=(_K.METHOD, _K.RETRY, _K.PAYMENT_LINK, _K.DEVICE),
    ),
    Playbook(
        "in_app",
        _is(StallKind.IN_APP, StallKind.STORAGE),
        order=(_K.DEVICE, _K.PAYMENT_LINK, _K.METHOD),
        names={_K.DEVICE: N_("Go on in another browser")},
        whys={_K.DEVICE: N_("This one blocks something that the payment needs.")},
    ),
    Playbook(
        "broken_page",
        _is(StallKind.FROZEN, StallKind.DEAD_BUTTON, StallKind.RAGE),
        order=(_K.PAYMENT_LINK, _K.RETRY, _K.DEVICE, _K.METHOD),
        whys={_K.RETRY: N_("Nothing was charged. Load the checkout again first.")},
    ),
    Playbook(
        "provider_trouble",
        _is(StallKind.SDK, StallKind.NO_ANSWER),
        order=(_K.METHOD, _K.TRANSFER, _K.RETRY, _K.LATER, _K.PAYMENT_LINK),
    ),
    Playbook(
        "offline",
        _is(StallKind.OFFLINE),
        order=(_K.RETRY, _K.LATER, _K.DEVICE),
        whys={_K.RETRY: N_("Nothing was charged. Check your connection first.")},
    ),
    Playbook(
        "popup",
        _is(StallKind.POPUP),
        order=(_K.RETRY, _K.METHOD, _K.PAYMENT_LINK),
        whys={_K.RETRY: N_("Nothing was charged. Allow pop-up windows for this shop first.")},
    ),
    Playbook(
        "bank_check",
        _is(StallKind.CHALLENGE, StallKind.NO_RETURN),
        order=(_K.RETRY, _K.METHOD, _K.PAYMENT_LINK, _K.DEVICE),
        whys={_K.RETRY: N_("Nothing was charged. Have your phone or bank app ready.")},
    ),
    Playbook(
        "clock",
        _is(StallKind.CLOCK),
        order=(_K.RETRY, _K.DEVICE, _K.METHOD),
        whys={_K.RETRY: N_("Nothing was charged. Set your device’s clock first.")},
    ),
    Playbook(
        "error_message",
        _is(StallKind.ERROR),
        order=(_K.METHOD, _K.PAYMENT_LINK, _K.RETRY, _K.DEVICE),
        whys={_K.RETRY: N_("Nothing was charged. The same error may come again.")},
    ),
    Playbook("interrupted", _is(StallKind.CLOSED, StallKind.SILENT), order=(_K.RETRY, _K.PAYMENT_LINK, _K.METHOD)),
    Playbook("any", lambda _scene: True, order=(_K.RETRY, _K.METHOD, _K.DEVICE, _K.PAYMENT_LINK)),
)


def playbook_for(scene: Scene) -> Playbook:
    return next(playbook for playbook in _PLAYBOOKS if playbook.fits(scene))


def arranged(choices: Sequence[Choice], scene: Scene) -> list[Choice]:
    """The same offers in this scene's order and words. What the decline's advice prefers comes first."""
    playbook = playbook_for(scene)
    # What is missing of a payment leads wherever it is open: nothing else completes the order.
    wanted = [_K.DIFFERENCE, *_preferred(scene), *playbook.order]
    first = [kind for kind in wanted if kind not in _LAST]
    place = {kind: number for number, kind in reversed(list(enumerate(first)))}
    rest = {kind: len(first) + number for number, kind in enumerate(OfferKind)}
    ordered = sorted(choices, key=lambda each: place.get(each.kind, rest[each.kind]))
    return [_worded(each, playbook, scene) for each in ordered]


def ranked(choices: Sequence[Choice], keys: Sequence[str]) -> list[Choice]:
    """The ways that recover money in the order of these keys; what talks to people keeps its place after them.

    A key that is not among the choices is passed over: ranking can open nothing.
    """
    wanted = {key: number for number, key in enumerate(keys)}
    recovering = [each for each in choices if each.kind in RECOVERING]
    recovering.sort(key=lambda each: wanted.get(each.key, len(wanted)))
    return [*recovering, *(each for each in choices if each.kind not in RECOVERING)]


def priors(choices: Iterable[Choice]) -> dict[str, Beta]:
    """What the rules expect of the ways that recover money, by their place in the playbook."""
    recovering = [each for each in choices if each.kind in RECOVERING]
    guesses = [PRIOR_RECOVERY[min(place, len(PRIOR_RECOVERY) - 1)] for place in range(len(recovering))]
    return {
        each.key: Beta(PRIOR_WEIGHT * guess, PRIOR_WEIGHT * (1 - guess))
        for each, guess in zip(recovering, guesses, strict=True)
    }


# What ranking may reorder: the rest of a split payment and a difference have no rival, people come after.
RECOVERING = frozenset({_K.RETRY, _K.METHOD, _K.DEVICE, _K.PAYMENT_LINK, _K.TRANSFER, _K.LATER})
_LAST = frozenset({_K.REPORT})


def _preferred(scene: Scene) -> list[OfferKind]:
    return [OfferKind(kind) for kind in scene.prefers if kind in set(OfferKind)]


def _worded(choice: Choice, playbook: Playbook, scene: Scene) -> Choice:
    name = Said(playbook.names[choice.kind]) if choice.kind in playbook.names else choice.name
    why = Said(playbook.whys[choice.kind]) if choice.kind in playbook.whys else choice.why
    return replace(choice, name=_name_of(choice, scene) or name, why=_evidence_for(choice, scene) or why)


def _name_of(choice: Choice, scene: Scene) -> Said | None:
    if choice.kind is _K.REST and scene.rest:
        return Said(N_("Pay the rest: {amount}"), {"amount": scene.rest})
    if choice.kind is _K.DIFFERENCE and scene.missing:
        return Said(N_("Pay the missing {amount}"), {"amount": scene.missing})
    return None


def _evidence_for(choice: Choice, scene: Scene) -> Said | None:
    """What is known now about this way out, in words; None where nothing is."""
    if choice.kind is _K.METHOD and choice.choice:
        return method_why(choice.choice, scene)
    if choice.kind is _K.PERSON:
        return presence(scene)
    return None


def method_why(method: str, scene: Scene) -> Said | None:
    """How a method works now: with figures where there are enough of them."""
    label, rate = scene.labels.get(method), scene.rates.get(method)
    if label is None:
        return None
    if rate is not None and rate.is_telling:
        return counted(
            "{method} works now: {worked} of {count} try went through.",
            "{method} works now: {worked} of {count} tries went through.",
            rate.tried,
            method=label,
            worked=rate.worked,
        )
    return Said(N_("For example: {method}."), {"method": label})


def presence(scene: Scene) -> Said | None:
    """Whether a person is there now and until when, or from when again, where the shop has told its hours."""
    if scene.is_staffed and scene.staffed_until:
        return Said(N_("Open now, until {time}."), {"time": scene.staffed_until})
    if not scene.is_staffed and scene.staffed_from:
        return Said(N_("Closed now. Opens {time}."), {"time": scene.staffed_from})
    return None
