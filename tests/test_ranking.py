"""Ranking: what worked leads, what broke is left soon, and every outcome is counted once."""

import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import permutations

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy.orm import Session

from tests.bench import month
from tests.bench.losses import losses
from tests.bench.month import as_the_rules_say, at_random, play, share, stalls_to_adapt
from tests.bench.world import BEGIN, Change, Stuck, World, read, shipped
from tests.bench.world import WORLDS as FOLDER
from tests.cast import Cast
from tests.conftest import Clock
from widget import offers, ranking
from widget.attempts import Attempt
from widget.database import Database
from widget.offers import OfferKind
from widget.ranking import Beta, Candidate, Tally, order
from widget.ranking.beliefs import Memory, Outcome, Place, belief, learn, places, tally_of

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
PHONE = ("wallet", "phone")
EVEN = Beta(2, 2)
LIST = [OfferKind.RETRY, OfferKind.METHOD, OfferKind.PAYMENT_LINK, OfferKind.REPORT]

Book = dict[Place, Memory]


def _luck(seed: int) -> random.Random:
    return random.Random(seed)  # noqa: S311 (it is repeated on purpose)


def _taught(outcomes: str, place: Place = PHONE, book: Book | None = None) -> Book:
    """A book after these outcomes: w for worked, f for failed, p for passed."""
    book = dict(book or {})
    for letter in outcomes:
        outcome = {"w": Outcome.WORKED, "f": Outcome.FAILED, "p": Outcome.PASSED}[letter]
        book = learn(book, place, outcome, NOW)
    return book


def _candidate(name: str, book: Book, place: Place = PHONE, works_now: float | None = None) -> Candidate:
    return Candidate(name, EVEN, tally_of(book, place, NOW), works_now)


def _leads(candidates: list[Candidate], draws: int = 200) -> dict[str, float]:
    """How often each is the first."""
    chance = _luck(1)
    firsts = [order(candidates, chance)[0] for _ in range(draws)]
    return {each.offer: firsts.count(each.offer) / draws for each in candidates}


def _believed(book: Book, place: Place = PHONE) -> float:
    return belief(_candidate("", book, place)).mean


def test_the_rules_order_stands_until_something_is_learned() -> None:
    fresh = [Candidate(name, prior) for name, prior in (("b", Beta(1, 4)), ("a", Beta(4, 1)), ("c", EVEN))]
    assert order(fresh, _luck(1)) == ["b", "a", "c"]


def test_at_a_new_shop_what_fails_now_comes_last() -> None:
    fresh = [Candidate(name, EVEN, works_now=share) for name, share in (("a", 0.1), ("b", None), ("c", 0.9))]
    assert order(fresh, _luck(1)) == ["b", "c", "a"]


def test_the_same_chance_gives_the_same_order() -> None:
    candidates = [_candidate(name, _taught("wf")) for name in "abcde"]
    orders = [order(candidates, _luck(7)) for _ in range(20)]
    assert all(each == orders[0] for each in orders)


def test_what_worked_leads_and_what_is_hardly_known_is_still_tried() -> None:
    good, bad, new = _taught("wwwf" * 12), _taught("wffff" * 12), _taught("")
    leads = _leads([_candidate("bad", bad), _candidate("good", good), _candidate("new", new)], 2000)
    assert leads["good"] > 0.9
    assert 0 < leads["new"] < 0.1
    assert leads["bad"] < leads["new"]


def test_what_nobody_takes_does_not_lead() -> None:
    taken, passed = _taught("wf" * 20), _taught("ppppppppwf" * 10)
    assert _leads([_candidate("passed", passed), _candidate("taken", taken)])["taken"] > 0.9


def test_live_health_beats_what_was_learned_before_the_break() -> None:
    good, fair = _taught("wwf" * 15), _taught("wf" * 15)
    leads = _leads([_candidate("good", good, works_now=0.05), _candidate("fair", fair)])
    assert leads["fair"] == 1.0


def test_a_rare_case_borrows_from_its_cause_and_its_shop() -> None:
    book = _taught("f" * 30, ("wallet", "phone"))
    assert _believed(book, ("wallet", "tablet")) < _believed(book, ("clock", "desktop")) < EVEN.mean


def test_its_own_outcomes_outweigh_those_of_others() -> None:
    book = _taught("w" * 40, ("wallet", "tablet"), _taught("f" * 300, ("wallet", "phone")))
    assert _believed(book, ("wallet", "tablet")) > 0.6


def test_a_break_is_believed_within_a_dozen_failures() -> None:
    steady = _taught("wwf" * 60)
    broken = _taught("f" * 12, book=steady)
    assert _believed(steady) > 0.6
    assert _believed(broken) < 0.3


def test_a_break_in_many_places_is_believed_in_the_others_too() -> None:
    book: Book = {}
    for place in [("wallet", "phone"), ("sdk", "desktop"), ("frozen", "phone"), ("declined", "tablet")]:
        book = _taught("wwf" * 30, place, book)
    for place in [("wallet", "phone"), ("sdk", "desktop"), ("frozen", "phone")]:
        book = _taught("ffff", place, book)
    assert _believed(book, ("declined", "tablet")) < 0.35


def test_a_repair_is_believed_again() -> None:
    broken = _taught("f" * 15, book=_taught("wwf" * 60))
    assert _believed(broken) < 0.3
    assert _believed(_taught("wwwwwwwwww", book=broken)) > 0.5


def test_a_break_that_nobody_looked_at_for_a_week_is_no_longer_believed() -> None:
    broken = _taught("f" * 15, book=_taught("wwf" * 60))
    assert _believed(broken) < 0.3
    assert _believed_after(timedelta(days=7), broken) > 0.5


def test_a_break_that_goes_on_is_believed_again_at_the_next_look() -> None:
    book = _taught("f" * 15, book=_taught("wwf" * 60))
    for day in range(1, 8):
        for _ in range(12):
            book = learn(book, PHONE, Outcome.FAILED, NOW + timedelta(days=day))
        assert belief(Candidate("", EVEN, tally_of(book, PHONE, NOW + timedelta(days=day)))).mean < 0.3


def test_what_never_worked_is_not_taken_for_mended() -> None:
    assert _believed_after(timedelta(days=4), _taught("f" * 40)) < 0.1


def test_what_became_good_for_a_while_is_not_believed_to_have_broken_when_it_ends() -> None:
    risen = _taught("w" * 25, book=_taught("wffff" * 30))
    book = _taught("fffff" * 6, book=risen)
    assert _believed(risen) > 0.7
    assert _believed_after(timedelta(days=7), book) < 0.3


def _believed_after(quiet: timedelta, book: Book) -> float:
    return belief(Candidate("", EVEN, tally_of(book, PHONE, NOW + quiet))).mean


def test_what_is_paid_late_is_no_break() -> None:
    book = _taught("wwf" * 40)
    for _ in range(40):
        for outcome in [Outcome.FAILED] * 4 + [Outcome.LATE] * 4:
            book = learn(book, PHONE, outcome, NOW)
    assert _believed(book) > 0.8


def test_old_outcomes_fade() -> None:
    book = _taught("f" * 40)
    later = Candidate("", EVEN, tally_of(book, PHONE, NOW + timedelta(days=120)))
    assert _believed(book) < 0.1 < 0.4 < belief(later).mean


@given(
    st.lists(st.tuples(st.floats(0.02, 1), st.floats(0, 1)), min_size=2, max_size=5),
    st.floats(0, 1),
    st.floats(0, 1),
)
@settings(max_examples=100, deadline=None)
def test_the_best_order_of_a_world_is_the_best_of_all(
    offers: list[tuple[float, float]], on: float, back: float
) -> None:
    ways = {str(number): pair for number, pair in enumerate(offers)}
    world = _world(ways, on, back)
    stuck = Stuck(BEGIN, "any", "any")
    best = max(world.expected(each, stuck) for each in permutations(ways))
    assert world.expected(world.best(stuck), stuck) == pytest.approx(best)


def _world(ways: dict[str, tuple[float, float]], reads_on: float, comes_back: float) -> World:
    known = read(FOLDER / "right.toml")
    way = known.ways["retry"]
    made = {name: replace(way, takes={"*": takes}, works={"*": works}) for name, (takes, works) in ways.items()}
    return replace(known, ways=made, reads_on=reads_on, comes_back=comes_back, changes=())


def test_a_shop_whose_rules_are_wrong_is_served_as_well_as_possible_after_1500_stalls() -> None:
    world = replace(read(FOLDER / "wrong.toml"), days=12)
    assert share(play(world, 1, order), since=1500) > 0.95
    assert share(play(world, 1, as_the_rules_say), since=1500) < 0.8
    assert share(play(world, 1, at_random), since=1500) < 0.9


def test_a_method_that_breaks_is_left_within_fifty_stalls() -> None:
    world = replace(read(FOLDER / "breaks.toml"), days=14)
    paypal: Change = world.changes[0]
    adapted = stalls_to_adapt(world, play(world, 1, order), paypal)
    never = stalls_to_adapt(world, play(world, 1, lambda given, _: world_before(world, given)), paypal)
    assert adapted is not None
    assert adapted <= month.ADAPTED_WITHIN_STALLS
    assert never is not None
    assert never > month.ADAPTED_WITHIN_STALLS


def world_before(world: World, given: list[Candidate]) -> list[str]:
    """Who knew the world before the break and nothing since."""
    names = [each.offer for each in given]
    best = world.best(Stuck(BEGIN, "declined", "phone"))
    return sorted(names, key=lambda name: best.index(name) if name in best else len(best))


def test_what_is_good_comes_to_lead_though_hardly_anybody_reads_beyond_the_first_offer() -> None:
    world = read(FOLDER / "abrupt.toml")
    assert share(play(world, 101, order), since=month.LEARNED_AFTER_STALLS) > month.AIM_SHARE


def test_the_parts_of_a_loss_add_up_to_what_the_month_lost() -> None:
    world = replace(read(FOLDER / "abrupt.toml"), days=11)
    lost = losses(world, 1)
    rows = play(world, 1, order)[month.LEARNED_AFTER_STALLS :]
    assert lost
    assert sum(sum(each.parts) for each in lost) == pytest.approx(sum(row.possible - row.recovered for row in rows))


def test_every_world_can_be_played() -> None:
    for world in shipped():
        rows = play(replace(world, days=1), 1, order)
        assert rows
        assert all(0 < row.recovered <= row.possible + 1e-9 for row in rows)


# In the tables.


@pytest.fixture
def cast(database: Database, clock: Clock) -> Iterator[Cast]:
    with database.write() as session:
        yield Cast(session)


def _shown(cast: Cast, clock: Clock, number: str = "D-1001") -> Attempt:
    attempt = cast.attempt(number)
    offers.show(cast.session, attempt, LIST, clock.now, cause="wallet", device_class="phone")
    return attempt


def _choose(cast: Cast, clock: Clock, attempt: Attempt, kind: OfferKind) -> None:
    clock.forward(timedelta(minutes=1))
    offers.choose(cast.session, attempt, kind, clock.now)


def _pay(cast: Cast, clock: Clock, attempt: Attempt) -> None:
    offers.credit(cast.session, cast.order_of(attempt), [], clock.now)
    attempt.stage = "paid"


def _counted(session: Session, offer: OfferKind, place: Place = PHONE) -> tuple[float, float, float]:
    """Worked, failed and passed, as they stand."""
    query = sa.select(Tally).filter_by(offer=offer.value, cause=place[0], device_class=place[1])
    row = session.scalars(query).one_or_none()
    return (round(row.worked, 2), round(row.failed, 2), round(row.passed, 2)) if row else (0, 0, 0)


def test_what_was_chosen_and_paid_counts_once_in_each_of_its_rows(cast: Cast, clock: Clock) -> None:
    attempt = _shown(cast, clock)
    _choose(cast, clock, attempt, OfferKind.METHOD)
    _pay(cast, clock, attempt)
    for _ in range(3):
        ranking.count_due(cast.session, clock.now)
    assert [_counted(cast.session, OfferKind.METHOD, place) for place in places(PHONE)] == [(1, 0, 0)] * 4


def test_what_was_chosen_and_not_paid_fails_after_half_an_hour(cast: Cast, clock: Clock) -> None:
    _choose(cast, clock, _shown(cast, clock), OfferKind.RETRY)
    clock.forward(timedelta(minutes=29))
    assert ranking.count_due(cast.session, clock.now) == 0 or _counted(cast.session, OfferKind.RETRY) == (0, 0, 0)
    clock.forward(timedelta(minutes=2))
    ranking.count_due(cast.session, clock.now)
    assert _counted(cast.session, OfferKind.RETRY) == (0, 1, 0)


def test_who_goes_on_to_another_offer_was_not_helped_by_the_first(cast: Cast, clock: Clock) -> None:
    attempt = _shown(cast, clock)
    _choose(cast, clock, attempt, OfferKind.RETRY)
    _choose(cast, clock, attempt, OfferKind.PAYMENT_LINK)
    ranking.count_due(cast.session, clock.now)
    assert _counted(cast.session, OfferKind.RETRY) == (0, 1, 0)
    assert _counted(cast.session, OfferKind.PAYMENT_LINK) == (0, 0, 0)


def test_so_was_who_goes_on_in_another_attempt_at_the_order(cast: Cast, clock: Clock) -> None:
    _choose(cast, clock, _shown(cast, clock), OfferKind.RETRY)
    _choose(cast, clock, _shown(cast, clock), OfferKind.METHOD)
    ranking.count_due(cast.session, clock.now)
    assert _counted(cast.session, OfferKind.RETRY) == (0, 1, 0)


def test_a_late_payment_corrects_the_count(cast: Cast, clock: Clock) -> None:
    attempt = _shown(cast, clock)
    _choose(cast, clock, attempt, OfferKind.METHOD)
    clock.forward(timedelta(hours=1))
    ranking.count_due(cast.session, clock.now)
    clock.forward(timedelta(hours=1))
    _pay(cast, clock, attempt)
    for _ in range(2):
        ranking.count_due(cast.session, clock.now)
    assert _counted(cast.session, OfferKind.METHOD) == (1, 0, 0)


def test_a_transfer_is_given_a_day(cast: Cast, clock: Clock) -> None:
    attempt = cast.attempt()
    offers.show(cast.session, attempt, [OfferKind.TRANSFER], clock.now, cause="wallet", device_class="phone")
    _choose(cast, clock, attempt, OfferKind.TRANSFER)
    clock.forward(timedelta(hours=23))
    assert ranking.count_due(cast.session, clock.now) == 0
    clock.forward(timedelta(hours=1))
    assert ranking.count_due(cast.session, clock.now) == 1


def test_what_stood_above_the_one_taken_was_passed(cast: Cast, clock: Clock) -> None:
    attempt = _shown(cast, clock)
    _choose(cast, clock, attempt, OfferKind.METHOD)
    _pay(cast, clock, attempt)
    clock.forward(timedelta(hours=1))
    ranking.count_due(cast.session, clock.now)
    assert _counted(cast.session, OfferKind.RETRY) == (0, 0, 1)
    assert _counted(cast.session, OfferKind.PAYMENT_LINK) == (0, 0, 0)


def test_a_payment_that_went_through_by_itself_teaches_nothing(cast: Cast, clock: Clock) -> None:
    attempt = _shown(cast, clock)
    _pay(cast, clock, attempt)
    clock.forward(timedelta(hours=1))
    assert ranking.count_due(cast.session, clock.now) == len(LIST)
    assert cast.session.scalar(sa.select(sa.func.count()).select_from(Tally)) == 0


def test_what_was_chosen_after_it_was_counted_is_counted_again(cast: Cast, clock: Clock) -> None:
    attempt = _shown(cast, clock)
    clock.forward(timedelta(hours=1))
    ranking.count_due(cast.session, clock.now)
    _choose(cast, clock, attempt, OfferKind.PAYMENT_LINK)
    _pay(cast, clock, attempt)
    ranking.count_due(cast.session, clock.now)
    assert _counted(cast.session, OfferKind.PAYMENT_LINK)[:2] == (1, 0)


def test_a_shop_is_ranked_by_its_own_outcomes(cast: Cast, clock: Clock) -> None:
    for number in range(25):
        attempt = _shown(cast, clock, f"D-{number}")
        _choose(cast, clock, attempt, OfferKind.PAYMENT_LINK if number % 2 else OfferKind.RETRY)
        if number % 2:
            _pay(cast, clock, attempt)
    clock.forward(timedelta(hours=1))
    ranking.count_due(cast.session, clock.now)
    stranger = Cast(cast.session, site="other")
    assert _ranked(cast, clock)[0] == "payment_link"
    assert _ranked(stranger, clock) == ["retry", "method", "payment_link"]


def _ranked(cast: Cast, clock: Clock) -> list[str]:
    priors = dict.fromkeys(["retry", "method", "payment_link"], EVEN)
    return ranking.ranked(cast.session, cast.shop.id, *PHONE, priors, _luck(1), clock.now)


def test_a_shop_remembers_what_worked_before_a_break(cast: Cast, clock: Clock) -> None:
    for outcomes in ("wwf" * 20, "f" * 15):
        for number, outcome in enumerate(outcomes):
            attempt = _shown(cast, clock, f"D-{outcomes}-{number}")
            _choose(cast, clock, attempt, OfferKind.METHOD)
            if outcome == "w":
                _pay(cast, clock, attempt)
        clock.forward(timedelta(minutes=31))
        while ranking.count_due(cast.session, clock.now):
            pass
    row = cast.session.scalars(sa.select(Tally).filter_by(offer="method", cause="wallet", device_class="phone")).one()
    assert row.usual is not None
    assert row.usual > 0.5 > row.worked / (row.worked + row.failed)


def test_two_workers_count_each_outcome_once(database: Database, clock: Clock) -> None:
    with database.write() as session:
        cast = Cast(session)
        for number in range(40):
            attempt = _shown(cast, clock, f"D-{number}")
            _choose(cast, clock, attempt, OfferKind.METHOD)
            _pay(cast, clock, attempt)

    def count(_: int) -> None:
        with database.write() as session:
            ranking.count_due(session, clock.now)

    with ThreadPoolExecutor(4) as workers:
        list(workers.map(count, range(8)))
    alone = _taught("w" * 40)[PHONE]
    with database.read() as session:
        assert _counted(session, OfferKind.METHOD)[0] == round(alone.worked, 2)
