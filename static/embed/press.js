import { active, begin, current, stall } from "./begin.js";
import { deadlineOf } from "./deadlines.js";
import { plain } from "./describe.js";
import { guard } from "./guard.js";
import { RAGE_AFTER_MS, RAGE_PRESSES, RAGE_WITHIN_MS } from "./limits.js";
import { listen } from "./listen.js";
import { frame } from "./mount.js";
import { now } from "./now.js";
import { requestsSince } from "./resources.js";
import { tag } from "./tag.js";
import { pace } from "./tick.js";

/** @typedef {import("./begin.js").Attempt} Attempt */

/** The attempt that a press began, in a shop that tells us nothing. @type {Attempt | undefined} */
let plainAttempt;
/** When Pay was pressed with a pointer, by `now`. @type {number[]} */
let presses = [];
/** Milliseconds for which a pressed Pay button has done nothing, undefined while none is watched. @type {number=} */
let deadMs;
let pressedAt = 0;
/** @type {(() => void)[]} */
let ends = [];

/** Listen to the Pay button, if the shop has marked one. */
export function observePresses() {
  if (!tag.pay) return;
  listen("click", press);
  if (!tag.success) return;
  listen("submit", (event) => {
    if (!isAroundPay(event.target)) return;
    // The press that submits has begun the attempt; another one pays a second time.
    if (!plainAttempt || plainAttempt.ending || plainAttempt.isSubmitted) beginPlain();
    /** @type {Attempt} */ (plainAttempt).isSubmitted = event;
  });
  listen("input", (event) => {
    if (isAroundPay(event.target) && event.isTrusted) drop();
  });
  listen("invalid", drop);
}

/** Whether a press has still to show what it does. */
export function isPressed() {
  return deadMs !== undefined || presses.length >= RAGE_PRESSES;
}

/** A press had an effect: the button is not dead. */
export function revive() {
  deadMs = undefined;
  for (const end of ends.splice(0)) end();
}

/** Something came of the presses. */
export function calm() {
  presses = [];
  revive();
}

/** @param {number} awakeMs since the last tick */
export function tickPresses(awakeMs) {
  if (deadMs !== undefined) {
    deadMs += awakeMs;
    if (requestsSince(pressedAt) || isInFrame()) revive();
    else if (deadMs >= (deadlineOf("dead") || 3000)) {
      revive();
      stall(current(), "dead_button");
    }
  }
  const count = presses.length;
  if (count >= RAGE_PRESSES && now() - presses[count - 1] >= RAGE_AFTER_MS) {
    presses = [];
    stall(current(), "rage", { clicks: count });
  }
}

/** What the page itself shows of an attempt. @param {Attempt} attempt */
export function tickShown(attempt) {
  const error = shownError();
  const isNew = error && error !== attempt.error;
  attempt.error = error;
  if (location.href !== attempt.href && isAtSuccess()) attempt.does.paid();
  else if (isNew) attempt.does.failed(error);
  else if (attempt === plainAttempt && attempt.stage === "submitted" && isInFrame()) {
    // A frame that takes the keyboard after Pay is the bank's, or a wallet's.
    attempt.does.stage("authenticating");
  }
}

/** The text of the shop's own error message where it is seen. */
export function shownError() {
  const element = tag.error && document.querySelector(tag.error);
  return (element?.getClientRects().length && plain(element.textContent.trim())) || "";
}

/** Whether this is the page that the shop shows when the order is paid. */
export function isAtSuccess() {
  const pattern = tag.success?.replace(/[^\w*]/g, "\\$&").replace(/\*/g, ".*");
  return !!pattern && [location.pathname, location.href].some((address) => RegExp(`^${pattern}$`).test(address));
}

/** @param {MouseEvent & {target: any}} event */
function press(event) {
  const pay = event.target.closest(tag.pay);
  if (!pay || pay.matches(":disabled")) return;
  const isFirst = !active()[0];
  pressedAt = now();
  if (tag.success && isFirst) beginPlain();
  if (event.isTrusted) {
    // A key that is held down presses many times. That is no rage.
    if (event.detail) presses = [...presses.filter((at) => pressedAt - at < RAGE_WITHIN_MS), pressedAt];
    if (isFirst) watchEffect(pay.closest("form") || pay);
  }
  pace();
}

/** Any of these shows that the button works. @param {Element} around */
function watchEffect(around) {
  const changes = new MutationObserver(guard(revive));
  // A mask may be laid over the page.
  changes.observe(document.body, { childList: true });
  changes.observe(around, { childList: true, attributes: true, subtree: true });
  deadMs = 0;
  // Not before a press: some browsers keep no page in memory that listens to `beforeunload`.
  ends = ["submit", "invalid", "beforeunload"].map((type) => listen(type, revive));
  ends.push(() => changes.disconnect());
}

function beginPlain() {
  plainAttempt = begin();
  plainAttempt.does.stage("submitted");
}

/** The customer corrects something first: that is no stall. */
function drop() {
  plainAttempt?.does.left();
}

/** Whether it belongs to what Pay submits, which need not be a form. @param {Element} element */
function isAroundPay(element) {
  return element.closest("form") === document.querySelector(tag.pay)?.closest("form");
}

/** Whether the keyboard is in a frame that is not ours. */
function isInFrame() {
  const at = /** @type {any} */ (document.activeElement);
  return at.contentWindow && at !== frame;
}
