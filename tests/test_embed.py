"""The script on the shop's page, in Chromium: each symptom and the false alarm beside it, its life, its manners."""

from typing import Any

import pytest
from playwright.sync_api import Page

from tests.browsers import Console
from tests.embed_lab import DEADLINES, SHOP_FORM, Lab, lab

__all__ = ["lab"]

NO_CODE = 'data-pay="#pay" data-success="/thanks*" data-error="#error"'
HANG = "() => void Unjam.track(new Promise(() => {}), {method: 'card'})"
ANSWERS = """<script nonce="shop">
form.addEventListener("submit", (event) => { event.preventDefault(); pay.textContent = "Paying…"; });
</script>"""


def begin(page: Page, lab: Lab, track: str = HANG) -> None:
    page.evaluate(track)
    lab.wait_for(page, "stage")


def the_stall(page: Page, lab: Lab) -> tuple[str, str]:
    [stall] = lab.wait_for(page, "stall")
    return stall["kind"], stall["stage"]


def stays_calm(page: Page, lab: Lab, seconds: float = 1.8) -> None:
    lab.let_pass(page, seconds)
    assert lab.signals("stall") == []


# Promises


def test_a_promise_that_never_settles_is_no_answer(page: Page, lab: Lab) -> None:
    lab.open(page)
    begin(page, lab)
    [stall] = lab.wait_for(page, "stall")
    assert (stall["kind"], stall["stage"], stall["evidence"]["answered"]) == ("no_answer", "submitted", 0)


def test_answers_since_pay_are_evidence_and_polls_are_not(page: Page, lab: Lab) -> None:
    lab.deadlines["submitted"] = 2
    lab.open(page)
    page.evaluate("fetch('/poll?status=200').then((answer) => answer.text())")
    lab.let_pass(page, 0.7)
    begin(page, lab)
    page.evaluate(
        "Promise.all(['/poll?status=200&again', '/charge?status=500'].map(url => fetch(url).then((it) => it.text())))"
    )
    [stall] = lab.wait_for(page, "stall")
    assert stall["evidence"]["answered"] == 1
    assert stall["evidence"]["failing"] == f"127.0.0.1:{lab.port} 500"


@pytest.mark.parametrize(
    "value",
    [
        *("", "{paymentIntent: {id: 'pi_1'}}"),
        *("{paymentIntent: {status: 'succeeded'}}", "{paymentIntent: {status: 'requires_capture'}}"),
    ],
)
def test_a_promise_that_resolves_is_paid(page: Page, lab: Lab, value: str) -> None:
    lab.open(page)
    page.evaluate(f"() => void Unjam.track(Promise.resolve({value}))")
    lab.wait_for(page, "paid")
    stays_calm(page, lab)


def test_an_answer_that_the_shops_server_failed_is_not_paid(page: Page, lab: Lab) -> None:
    lab.open(page)
    page.evaluate("() => void Unjam.track(fetch('/charge?status=500', {method: 'POST'}))")
    assert lab.wait_for(page, "failed")[0]["code"] == "500"
    assert lab.signals("paid") == []


@pytest.mark.parametrize("status", ["processing", "requires_action", "requires_payment_method", "canceled"])
def test_a_payment_that_is_decided_later_is_neither_paid_nor_stuck(page: Page, lab: Lab, status: str) -> None:
    lab.open(page)
    page.evaluate("(status) => void Unjam.track(Promise.resolve({paymentIntent: {status}}))", status)
    assert [one["stage"] for one in lab.wait_for(page, "stage", 2)] == ["submitted", "confirming"]
    stays_calm(page, lab)
    assert lab.signals("paid") == []


def test_the_evidence_of_a_stall_is_gathered_once(page: Page, lab: Lab) -> None:
    """On a page that has asked for much it takes long, and the customer uses our panel there."""
    lab.deadlines["submitted"] = 2
    lab.open(page)
    begin(page, lab)
    page.evaluate("""async () => { for (let i = 0; i < 20; i++) await fetch(`/poll?status=200&i=${i}`);
      const {split} = String.prototype; splits = 0;
      String.prototype.split = function (...by) { splits++; return split.apply(this, by); }; }""")
    lab.wait_for(page, "stall")
    before = page.evaluate("splits")
    lab.let_pass(page, 1)
    # Each address is split for it, by each request, so once more is hundreds; the page's few scripts are some.
    assert before > 0
    assert page.evaluate("splits") - before < 100


def test_a_failure_is_told_without_card_numbers_and_not_as_a_stall(page: Page, lab: Lab) -> None:
    frame = lab.open(page)
    page.evaluate("""() => { Unjam.on("stalled", (detail) => { stalled = detail; });
      Unjam.track(Promise.reject({code: "card_declined", message: "No 4242 4242 4242 4242"})).catch(() => {}); }""")
    [failed] = lab.wait_for(page, "failed")
    assert (failed["code"], failed["message"]) == ("card_declined", "No [removed]")
    assert page.evaluate("stalled.kind") == "failed"
    frame.wait_for_function("heard.some(({type}) => type === 'failed')")
    stays_calm(page, lab)


def test_a_card_number_in_an_error_of_the_page_is_masked(page: Page, lab: Lab, console: Console) -> None:
    console.expected.append("broke at")
    lab.open(page)
    begin(page, lab)
    page.evaluate("() => void setTimeout(() => { throw Error('broke at 4111-1111-1111-1111'); })")
    [error] = lab.wait_for(page, "error")
    assert error["message"].endswith("broke at [removed]")


def test_time_in_a_hidden_page_does_not_count(page: Page, lab: Lab) -> None:
    lab.open(page)
    page.evaluate("() => Object.defineProperty(document, 'hidden', {get: () => isHidden}) && void (isHidden = true)")
    begin(page, lab)
    stays_calm(page, lab)
    page.evaluate("isHidden = false")
    assert the_stall(page, lab) == ("no_answer", "submitted")


def test_a_learned_deadline_of_the_method_comes_first(page: Page, lab: Lab) -> None:
    lab.deadlines["methods"] = {"eft": {"submitted": 60}}
    lab.open(page)
    begin(page, lab, "() => void Unjam.track(new Promise(() => {}), {method: 'eft'})")
    stays_calm(page, lab)


# Wallets and windows


def test_a_wallet_that_its_customer_closes_is_no_failure(page: Page, lab: Lab) -> None:
    lab.open(page)
    page.evaluate("""() => { Unjam.track(Promise.reject({statusCode: "CANCELED"}), {method: "google_pay"})
        .catch(() => {});
      Unjam.track(Promise.reject(new DOMException("", "AbortError")), {method: "apple_pay"}).catch(() => {}); }""")
    left = lab.wait_for(page, "left", 2)
    assert [(one["stage"], one["stays"]) for one in left] == [("authenticating", True)] * 2
    assert lab.signals("failed") == []


@pytest.mark.parametrize(
    ("method", "stage"),
    [(each, "authenticating") for each in ("applepay", "googlepay", "samsungpay", "shop_pay")]
    + [(each, "submitted") for each in ("alipay", "mobilepay", "linepay")],
)
def test_a_wallet_has_a_sheet_however_its_name_is_written(page: Page, lab: Lab, method: str, stage: str) -> None:
    lab.open(page)
    page.evaluate("(method) => void Unjam.track(new Promise(() => {}), {method})", method)
    assert lab.wait_for(page, "stage")[0]["stage"] == stage


def test_a_wallet_that_fails_is_told_with_its_code(page: Page, lab: Lab) -> None:
    lab.open(page)
    page.evaluate("""() => { Unjam.track(Promise.reject({statusCode: "DEVELOPER_ERROR"}), {method: "google_pay"})
      .catch(() => {}); }""")
    assert lab.wait_for(page, "failed")[0]["code"] == "DEVELOPER_ERROR"


def test_an_apple_pay_session_is_followed_by_its_events(page: Page, lab: Lab) -> None:
    lab.open(page)
    page.evaluate("""() => { sheet = new EventTarget(); Unjam.track(sheet, {method: "apple_pay"});
      for (const type of ["validatemerchant", "paymentmethodselected", "paymentauthorized"])
        sheet.dispatchEvent(new Event(type)); }""")
    assert [one["stage"] for one in lab.wait_for(page, "stage", 2)] == ["authenticating", "confirming"]
    page.evaluate("() => void Unjam.track(Promise.resolve(), {method: 'apple_pay', stage: 'confirming'})")
    [paid] = lab.wait_for(page, "paid")
    assert paid["key"] == lab.signals("stage")[0]["key"]
    stays_calm(page, lab)


@pytest.mark.parametrize(
    ("events", "late_ms", "name"),
    [
        (["validatemerchant", "cancel"], 11_000, "failed"),
        (["validatemerchant", "cancel"], 0, "left"),
        (["validatemerchant", "paymentmethodselected", "cancel"], 11_000, "left"),
    ],
)
def test_a_merchant_validation_that_times_out_is_no_cancel(
    page: Page, lab: Lab, events: list[str], late_ms: int, name: str
) -> None:
    lab.open(page)
    page.evaluate(
        """([events, lateMs]) => { const now = performance.now.bind(performance), sheet = new EventTarget();
      let late = 0; performance.now = () => now() + late;
      Unjam.track(sheet, {method: "apple_pay"});
      for (const type of events) { if (type === "cancel") late = lateMs; sheet.dispatchEvent(new Event(type)); } }""",
        [events, late_ms],
    )
    [told] = lab.wait_for(page, name)
    assert told.get("code") == ("merchant_validation_timeout" if name == "failed" else None)


def test_a_popup_that_was_blocked_is_a_stall_at_once(page: Page, lab: Lab) -> None:
    lab.open(page)
    page.evaluate("() => void Unjam.attempt().popup(null)")
    assert the_stall(page, lab) == ("popup", "authenticating")


def test_a_popup_that_closes_leaves_the_bank_to_confirm(page: Page, lab: Lab) -> None:
    lab.open(page)
    page.evaluate("() => void Unjam.attempt().popup(opened = {closed: false})")
    assert lab.wait_for(page, "popup")[0]["state"] == "opened"
    page.evaluate("opened.closed = true")
    assert lab.wait_for(page, "popup", 2)[1]["state"] == "closed"
    assert lab.wait_for(page, "stage", 2)[1]["stage"] == "confirming"


# Providers' scripts


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ('<script src="/gone.js" data-sdk="Sdk"></script>', "error"),
        ('<script async src="/hang.js" data-sdk="Sdk"></script>', "hang"),
        ('<script src="/sdk.js" data-sdk="Sdk.Missing"></script>', "global"),
    ],
)
def test_a_providers_script_that_is_not_there_is_a_stall_without_pay(
    page: Page, lab: Lab, script: str, why: str
) -> None:
    lab.open(page, head=script)
    [stall] = lab.wait_for(page, "stall")
    assert (stall["kind"], stall["stage"], stall["evidence"]["why"]) == ("sdk", "sdk", why)


def test_a_script_that_a_policy_forbids_is_a_stall_at_once(page: Page, lab: Lab, console: Console) -> None:
    console.expected.append("Content Security Policy")
    lab.deadlines["sdk"] = 60
    policy = f"default-src 'none'; script-src 'nonce-shop' {lab.unjam_url}; frame-src {lab.unjam_url}; connect-src *"
    lab.open(page, policy=policy)
    page.evaluate(
        """url => { const script = document.createElement("script"); script.dataset.sdk = "Sdk";
      script.src = url; document.head.append(script); }""",
        lab.shop_url + "/sdk.js",
    )
    [stall] = lab.wait_for(page, "stall")
    assert stall["evidence"]["why"] == "csp"


def test_a_script_that_failed_before_us_is_a_stall_at_once(page: Page, lab: Lab) -> None:
    lab.deadlines["sdk"] = 60
    lab.open(page, head='<script src="/gone.js" data-sdk="Sdk"></script>')
    [stall] = lab.wait_for(page, "stall")
    assert stall["evidence"] == {"host": f"127.0.0.1:{lab.port}", "why": "error", "status": 404}


def test_a_script_of_a_known_host_is_watched_by_itself(page: Page, lab: Lab) -> None:
    lab.sdks = [(f"127.0.0.1:{lab.port}", "Sdk.Missing")]
    lab.open(page, head='<script src="/sdk.js"></script>')
    assert the_stall(page, lab) == ("sdk", "sdk")


def test_a_script_that_comes_in_time_goes_quiet(page: Page, lab: Lab) -> None:
    frame = lab.open(page, head='<script src="/sdk.js" data-sdk="Sdk.Pay"></script>')
    stays_calm(page, lab, DEADLINES["sdk"] * 1.5)
    assert lab.beacons == []
    assert page.evaluate("timers.size") == 0
    assert frame.evaluate("beats.every(({stages}) => !Object.keys(stages).length)")


def test_a_script_that_comes_late_calms_the_stall(page: Page, lab: Lab) -> None:
    lab.open(page, head='<script src="/sdk.js" data-sdk="Late"></script>')
    lab.wait_for(page, "stall")
    page.wait_for_function("timers.size === 0")
    page.evaluate("""() => { Late = {};
      document.head.append(Object.assign(document.createElement("script"), {src: "/sdk.js?again"})); }""")
    assert lab.wait_for(page, "stage")[0]["stage"] == "started"


# The Pay button


@pytest.mark.parametrize(("tag", "stage"), [('data-pay="#pay"', "started"), (NO_CODE, "submitted")])
def test_a_pay_button_that_does_nothing_is_dead(page: Page, lab: Lab, tag: str, stage: str) -> None:
    lab.open(page, tag=tag, body='<div><button id="pay">Pay</button></div>')
    page.click("#pay")
    assert the_stall(page, lab) == ("dead_button", stage)


@pytest.mark.parametrize(
    "effect",
    [
        "pay.textContent = 'Paying…'",
        "fetch('/charge?status=200').then((answer) => answer.text())",
        "Unjam.track(new Promise(() => {}), {method: 'slow_bank', stage: 'authenticating'})",
        "field.contentWindow.focus()",
    ],
)
def test_a_pay_button_that_does_something_is_not_dead(page: Page, lab: Lab, effect: str) -> None:
    frame = '<iframe id="field" src="/field"></iframe>'
    lab.pages["/field"] = ("<input autofocus>", {})
    lab.open(page, tag='data-pay="#pay"', body=f'<div><button id="pay" type="button">Pay</button></div>{frame}')
    page.evaluate(f"() => pay.addEventListener('click', () => {{ {effect} }})")
    page.click("#pay", no_wait_after=True)
    stays_calm(page, lab, DEADLINES["dead"] * 2)


def test_a_form_that_lacks_a_field_is_not_dead(page: Page, lab: Lab) -> None:
    lab.open(page, tag=NO_CODE, body=SHOP_FORM.replace("<input ", "<input required "))
    page.click("#pay")
    lab.wait_for(page, "left")
    stays_calm(page, lab)


def test_four_quick_presses_are_rage(page: Page, lab: Lab) -> None:
    lab.deadlines["submitted"] = 60
    lab.open(page, tag='data-pay="#pay"', body=SHOP_FORM + ANSWERS)
    begin(page, lab)
    page.click("#pay", click_count=4, delay=20)
    [stall] = lab.wait_for(page, "stall")
    assert (stall["kind"], stall["stage"], stall["evidence"]) == ("rage", "submitted", {"clicks": 4})


def test_a_triple_click_is_no_rage(page: Page, lab: Lab) -> None:
    lab.deadlines["submitted"] = 60
    lab.open(page, tag='data-pay="#pay"', body=SHOP_FORM + ANSWERS)
    begin(page, lab)
    page.click("#pay", click_count=3, delay=20)
    stays_calm(page, lab)


def test_presses_before_an_outcome_are_no_rage(page: Page, lab: Lab) -> None:
    lab.deadlines["submitted"] = 60
    lab.open(page, tag='data-pay="#pay"', body=SHOP_FORM + ANSWERS)
    page.evaluate("() => { attempt = Unjam.attempt(); attempt.stage('submitted'); }")
    page.click("#pay", click_count=4, delay=20)
    page.evaluate("attempt.paid()")
    stays_calm(page, lab)


# The connection


def test_three_seconds_without_a_connection_are_a_stall(page: Page, lab: Lab) -> None:
    lab.deadlines["submitted"] = 60
    lab.open(page)
    begin(page, lab)
    page.evaluate("""() => { stalls = []; Unjam.on("stalled", ({kind}) => stalls.push(kind)); }""")
    page.context.set_offline(True)
    page.wait_for_function("stalls.length > 0")
    page.context.set_offline(False)
    assert the_stall(page, lab) == ("offline", "submitted")


def test_a_connection_that_flaps_is_a_stall_and_a_single_drop_is_none(page: Page, lab: Lab) -> None:
    lab.deadlines["submitted"] = 60
    lab.open(page)
    begin(page, lab)
    for _ in range(2):
        page.evaluate("dispatchEvent(new Event('offline'))")
    stays_calm(page, lab, 0.6)
    page.evaluate("dispatchEvent(new Event('offline'))")
    assert the_stall(page, lab) == ("offline", "submitted")


# Without code


def test_without_code_a_press_begins_and_the_success_page_ends_it(page: Page, lab: Lab) -> None:
    thanks = lab.put("/thanks", tag=NO_CODE)
    lab.open(page, tag=NO_CODE, body=SHOP_FORM.replace("/slow", thanks))
    page.click("#pay")
    page.wait_for_url("**/thanks*")
    [paid] = lab.wait_for(page, "paid")
    assert paid["key"] == lab.signals("stage")[0]["key"]
    assert page.evaluate("sessionStorage.length") == 0


def test_without_code_a_single_page_shop_may_change_its_address(page: Page, lab: Lab) -> None:
    lab.open(page, tag=NO_CODE, body=SHOP_FORM + ANSWERS)
    page.click("#pay")
    page.evaluate("history.pushState({}, '', '/thanks/1')")
    lab.wait_for(page, "paid")
    stays_calm(page, lab)


def test_without_code_the_shops_error_message_is_a_failure(page: Page, lab: Lab) -> None:
    lab.open(page, tag=NO_CODE, body=SHOP_FORM + ANSWERS)
    page.evaluate("error.textContent = 'An old message'")
    page.click("#pay")
    lab.let_pass(page, 0.5)
    page.evaluate("error.textContent = 'Your card was declined.'")
    assert [one["message"] for one in lab.wait_for(page, "failed")] == ["Your card was declined."]


def test_without_code_an_error_message_that_is_hidden_is_none(page: Page, lab: Lab) -> None:
    lab.deadlines["submitted"] = 60
    lab.open(page, tag=NO_CODE, body=SHOP_FORM + ANSWERS)
    page.evaluate("error.hidden = true")
    page.click("#pay")
    page.evaluate("error.textContent = 'Your card was declined.'")
    lab.let_pass(page, 0.8)
    assert lab.signals("failed") == []


def test_without_code_a_corrected_field_drops_the_attempt(page: Page, lab: Lab) -> None:
    lab.open(page, tag=NO_CODE, body=SHOP_FORM + ANSWERS)
    page.click("#pay")
    page.type("#name", "Sam")
    assert lab.wait_for(page, "left")[0]["stays"] is True
    stays_calm(page, lab)
    assert page.evaluate("sessionStorage.length") == 0


def test_without_code_a_frame_that_takes_the_keyboard_is_the_bank(page: Page, lab: Lab) -> None:
    lab.pages["/bank"] = ("<input>", {})
    lab.open(page, tag=NO_CODE, body=SHOP_FORM + ANSWERS + '<iframe src="/bank"></iframe>')
    page.click("#pay")
    page.frame_locator("iframe[src='/bank']").locator("input").click()
    assert [one["stage"] for one in lab.wait_for(page, "stage", 2)] == ["submitted", "authenticating"]


def test_without_code_a_second_submission_is_a_second_attempt(page: Page, lab: Lab) -> None:
    lab.open(page, tag=NO_CODE, body=SHOP_FORM + ANSWERS)
    page.click("#pay")
    page.click("#pay")
    first, second = lab.wait_for(page, "stage", 2)
    assert first["key"] != second["key"]


# Coming and going


def test_what_is_remembered_is_the_key_alone_and_only_after_pay(page: Page, lab: Lab) -> None:
    lab.open(page)
    page.evaluate("() => { attempt = Unjam.attempt(); attempt.stage('started'); }")
    assert page.evaluate("sessionStorage.length") == 0
    page.evaluate("attempt.stage('submitted')")
    key = lab.wait_for(page, "stage", 2)[0]["key"]
    assert page.evaluate("({...sessionStorage})") == {"unjam": key}
    page.evaluate("attempt.paid()")
    assert page.evaluate("[sessionStorage.length, localStorage.length, document.cookie]") == [0, 0, ""]


def test_a_page_that_is_loaded_again_tells_the_frame_and_nobody_else(page: Page, lab: Lab) -> None:
    lab.open(page)
    begin(page, lab)
    key = lab.signals("stage")[0]["key"]
    page.reload()
    frame = lab.frame(page)
    frame.wait_for_function("key => heard.some((one) => one.type === 'back' && one.key === key)", arg=key)
    assert [one["name"] for one in lab.signals() if one["name"] != "resource"] == ["stage", "left"]
    frame.evaluate("talk.postMessage({type: 'forget'})")
    page.wait_for_function("!sessionStorage.unjam")


def test_a_goodbye_says_where_it_was(page: Page, lab: Lab) -> None:
    lab.open(page)
    begin(page, lab)
    page.goto("about:blank")
    [left] = lab.wait_for(page, "left")
    assert (left["stage"], "stays" in left) == ("submitted", False)


def test_a_page_that_is_left_tells_its_frame_nothing_as_firefox_would_forget_it(page: Page, lab: Lab) -> None:
    frame = lab.open(page)
    begin(page, lab)
    page.evaluate("dispatchEvent(new PageTransitionEvent('pagehide', {persisted: true}))")
    page.evaluate("dispatchEvent(new PageTransitionEvent('pageshow', {persisted: true}))")
    frame.wait_for_function("heard.filter(({type}) => type === 'stage').length === 2")
    assert frame.evaluate("heard.map(({type}) => type)") == ["attempt", "attempt", "stage", "stage"]


def test_a_page_from_memory_goes_on_with_its_attempt(page: Page, lab: Lab) -> None:
    frame = lab.open(page)
    begin(page, lab)
    page.evaluate("dispatchEvent(new PageTransitionEvent('pagehide', {persisted: true}))")
    frame.wait_for_function("Object.keys(beats.at(-1).stages).length === 0")
    page.evaluate("dispatchEvent(new PageTransitionEvent('pageshow', {persisted: true}))")
    assert len({one["key"] for one in lab.wait_for(page, "stage", 2)}) == 1
    frame.wait_for_function("Object.keys(beats.at(-1).stages).length === 1")
    assert the_stall(page, lab) == ("no_answer", "submitted")


def test_the_frame_hears_beats_only_while_an_attempt_runs(page: Page, lab: Lab) -> None:
    lab.deadlines["submitted"] = 60
    frame = lab.open(page)
    page.evaluate("() => { attempt = Unjam.attempt(); attempt.stage('submitted'); }")
    frame.wait_for_function("beats.filter(({stages, seen}) => seen && Object.keys(stages).length === 1).length > 4")
    page.evaluate("attempt.paid()")
    frame.wait_for_function("Object.keys(beats.at(-1).stages).length === 0")
    count = frame.evaluate("beats.length")
    lab.let_pass(page, 0.8)
    assert frame.evaluate("beats.length") - count <= 1
    assert page.evaluate("timers.size") == 0


def test_unmount_takes_everything_away_and_mount_brings_it_back(page: Page, lab: Lab) -> None:
    lab.open(page)
    begin(page, lab)
    page.evaluate("Unjam.unmount()")
    assert page.evaluate("[document.querySelectorAll('iframe').length, timers.size]") == [0, 0]
    # Or the server would wonder where the page is.
    assert lab.wait_for(page, "left")[0]["stage"] == "submitted"
    stays_calm(page, lab)
    page.evaluate("Unjam.mount()")
    assert the_stall(page, lab) == ("no_answer", "submitted")


def test_a_payment_that_ends_after_unmounting_is_told(page: Page, lab: Lab) -> None:
    lab.open(page)
    begin(page, lab, "() => void Unjam.track(new Promise((done) => { settle = done; }))")
    page.evaluate("Unjam.unmount()")
    lab.wait_for(page, "left")
    page.evaluate("settle()")
    lab.wait_for(page, "paid")


def test_the_frame_is_made_after_the_load_unless_it_was_unmounted_meanwhile(page: Page, lab: Lab) -> None:
    frames = "document.querySelectorAll('iframe').length"
    page.clock.install(time=0)
    page.clock.pause_at(1000)
    page.goto(lab.put("/checkout"), wait_until="load")
    assert page.evaluate(frames) == 0
    page.evaluate("Unjam.unmount()")
    page.clock.run_for(1000)
    assert page.evaluate(frames) == 0
    page.evaluate("Unjam.mount()")
    page.clock.run_for(250)
    assert page.evaluate(frames) == 1


def test_what_failed_before_the_frame_was_there_is_what_it_hears_of_last(page: Page, lab: Lab) -> None:
    page.clock.install(time=0)
    page.clock.pause_at(1000)
    page.goto(lab.put("/checkout"), wait_until="load")
    page.evaluate("() => Unjam.attempt({method: 'card'}).failed({code: 'card_declined'})")
    page.clock.resume()
    frame = lab.frame(page)
    frame.wait_for_function("heard.some(({type}) => type === 'failed')")
    told = frame.evaluate(
        "heard.filter(({type}) => 'attempt failed'.includes(type)).map(({type, attempt}) => [type, attempt?.method])"
    )
    assert told == [["attempt", None], ["attempt", "card"], ["failed", None]]


def test_a_second_tag_changes_nothing(page: Page, lab: Lab) -> None:
    second = f'<script nonce="shop" src="{lab.unjam_url}/embed.js" data-site="demo"></script>'
    lab.open(page, head=second)
    begin(page, lab)
    assert page.evaluate("document.querySelectorAll('iframe').length") == 1
    assert the_stall(page, lab) == ("no_answer", "submitted")


def test_an_order_that_is_paid_elsewhere_ends_its_attempts_and_no_others(page: Page, lab: Lab) -> None:
    frame = lab.open(page)
    order = "{order: '%s', amount: 100, currency: 'ZAR'}"
    for name in ("A-1", "A-2"):
        page.evaluate(f"() => void Unjam.track(new Promise(() => {{}}), {{order: {order % name}}})")
    lab.wait_for(page, "stage", 2)
    frame.evaluate("talk.postMessage({type: 'paid', order: 'A-1'})")
    [stall] = lab.wait_for(page, "stall")
    assert {one["attempt"]["order"]["order"] for one in lab.beacons if one["attempt"]["key"] == stall["key"]} == {"A-2"}


def test_a_paid_leg_does_not_end_the_other(page: Page, lab: Lab) -> None:
    lab.open(page)
    page.evaluate("""() => { const order = {order: "A-1", amount: 100, currency: "ZAR"};
      Unjam.track(new Promise(() => {}), {order, leg: 2, legs: 2});
      Unjam.track(Promise.resolve(), {order, leg: 1, legs: 2}); }""")
    [stall] = lab.wait_for(page, "stall")
    assert next(one["attempt"]["leg"] for one in lab.beacons if one["attempt"]["key"] == stall["key"]) == "2"


def test_what_was_called_before_the_script_came_is_replayed_with_its_times(page: Page, lab: Lab) -> None:
    stub = next(
        line[3:] for line in (lab_source() / "embed.d.ts").read_text().splitlines() if "window.Unjam=window" in line
    )
    calls = "heardOf = []; Unjam.on('stalled', ({kind}) => heardOf.push(kind)); early = Unjam.attempt({method: 'eft'});"
    lab.open(page, head=f'<script nonce="shop">{stub};{calls}; early.stage("submitted"); early.failed("No.")</script>')
    assert [one["name"] for one in lab.wait_for(page, "") if one["name"] != "error"][:2] == ["stage", "failed"]
    assert page.evaluate("heardOf") == ["failed"]
    page.evaluate("early.paid()")
    lab.wait_for(page, "paid")


# Its manners


def test_on_the_shops_own_origin_the_frame_is_sandboxed(page: Page, lab: Lab) -> None:
    page.goto(lab.put("/checkout", unjam=lab.shop_url))
    frame = lab.frame(page)
    assert "allow-same-origin" not in (page.get_attribute("iframe", "sandbox") or "allow-same-origin")
    assert frame.evaluate("origin") == "null"


def test_it_works_under_a_strict_policy(page: Page, lab: Lab) -> None:
    unjam = lab.unjam_url
    lab.open(page, policy=f"default-src 'none'; script-src 'nonce-shop'; frame-src {unjam}; connect-src {unjam}")
    begin(page, lab)
    assert the_stall(page, lab) == ("no_answer", "submitted")


def test_a_refused_frame_and_a_long_block_are_told(page: Page, lab: Lab, console: Console) -> None:
    console.expected.append("Content Security Policy")
    lab.deadlines["submitted"] = 60
    unjam = lab.unjam_url
    lab.open(page, policy=f"default-src 'none'; script-src 'nonce-shop'; frame-src {unjam}; connect-src {unjam}")
    begin(page, lab)
    page.evaluate("""() => { const frame = document.createElement("iframe"); frame.src = "http://localhost:1/acs";
      document.body.append(frame); const until = Date.now() + 1200; while (Date.now() < until); }""")
    assert lab.wait_for(page, "violation")[0] | {"key": "", "seq": 0} == {
        "name": "violation",
        "key": "",
        "seq": 0,
        "directive": "frame-src",
        "host": "localhost:1",
    }
    assert lab.wait_for(page, "long_frame")[0]["ms"] > 1000


@pytest.mark.parametrize(
    "hostility",
    [
        "delete window.MessageChannel; delete window.PerformanceObserver",
        "Object.defineProperty(window, 'sessionStorage', {get() { throw Error('blocked'); }})",
        "navigator.sendBeacon = () => { throw Error('blocked'); }",
        "JSON.stringify = () => { throw Error('overridden'); }",
        "Object.freeze(Object.prototype); Object.freeze(Array.prototype)",
        "crypto.getRandomValues = () => { throw Error('overridden'); }",
        "performance.getEntriesByName = () => { throw Error('overridden'); }",
    ],
)
def test_on_a_hostile_page_no_call_throws(page: Page, lab: Lab, hostility: str) -> None:
    page.goto(lab.put("/checkout", tag=NO_CODE, head=f'<script nonce="shop">{hostility}</script>'))
    page.wait_for_function("window.Unjam")
    assert (
        page.evaluate("""async () => { const attempt = Unjam.attempt({get method() { throw Error("getter"); }});
      attempt.stage("submitted"); attempt.popup(null); attempt.failed(Object.create(null)); attempt.left();
      attempt.paid();
      Unjam.track(null); Unjam.track({then: 1}); Unjam.open(); Unjam.unmount(); Unjam.mount();
      return await Unjam.track(Promise.resolve("its own value"), 1); }""")
        == "its own value"
    )
    page.click("#pay", no_wait_after=True)


def lab_source() -> Any:
    from tests.embed_lab import EMBED

    return EMBED.parent.parent / "embed"
