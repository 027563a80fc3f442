import { SHIPPED } from "./deadlines.js";
import { describe, plain } from "./describe.js";
import { emit } from "./emit.js";
import { gather } from "./gather.js";
import { guard } from "./guard.js";
import { MAX_TROUBLES } from "./limits.js";
import { post } from "./mount.js";
import { now } from "./now.js";
import { calm, revive, shownError } from "./press.js";
import { forget, recall, remember, storage } from "./remember.js";
import { report } from "./report.js";
import { pace } from "./tick.js";

/**
 * An attempt as this page knows it. `ending` is its outcome, "" while it runs; `age` is milliseconds in its stage while
 * the page was awake and seen; `pressedAt` is when Pay was pressed, by `now`.
 *
 * @typedef {import("./report.js").Reported & {
 *   stage: string, age: number, ending: string, isOver: boolean, isPaid: boolean, isStalled: boolean,
 *   troubles: number, pressedAt: number, offlineMs: number, offlines: number, href: string, error: string,
 *   isSubmitted?: Event, popup?: Window, does: Verbs,
 * }} Attempt
 */
/**
 * The methods of `UnjamAttempt`, with a time by `now`.
 *
 * @typedef {{[verb in keyof UnjamAttempt]: (said?: any, at?: number) => void}} Verbs
 */

const WAITING = Object.keys(SHIPPED);

/** @type {Set<Attempt>} */
const running = new Set();
/** Those that ended because the page was left. @type {Set<Attempt>} */
const away = new Set();
/** The attempt that is there before any payment: the page is open. @type {Attempt} */
export let opening;

/** What the verbs do. @type {{[verb in keyof UnjamAttempt]: (attempt: Attempt, said: any, at: number) => void}} */
const VERBS = {
  stage(attempt, stage, at) {
    const isProgress = stage !== attempt.stage || attempt.ending || !attempt.seq;
    const index = WAITING.indexOf(stage);
    if (attempt.isOver || !isProgress || (index < 0 && stage !== "started")) return;
    attempt.stage = stage;
    attempt.age = now() - at;
    attempt.isStalled = false;
    attempt.ending = "";
    attempt.pressedAt ||= at;
    running.add(attempt);
    report(attempt, "stage", { stage }, at);
    if (index > 0) remember(attempt.context.key);
    pace();
  },
  paid(attempt, _, at) {
    const { order, legs } = attempt.context;
    // Also after a failure, and after a payment by another way: the customer may have been charged twice.
    if (attempt.isPaid) return;
    attempt.isPaid = true;
    end(attempt, "paid", {}, at);
    if (order && !(legs > 1)) settle(order.order);
  },
  failed(attempt, error, at) {
    const { decline_code, statusCode, status, code, name, message } = Object(error);
    const said = {
      code: plain(decline_code || statusCode || code || status),
      message: plain(message || (error?.trim && error)),
      name: plain(name),
    };
    if (attempt.isOver) return;
    if (isWallet(attempt.context.method) && /Abort|CANCEL/.test(said.code + name)) {
      attempt.does.left();
    } else {
      end(attempt, "failed", said, at);
      cry(attempt, "failed");
    }
  },
  left(attempt, _, at) {
    if (!attempt.ending) end(attempt, "left", { stage: attempt.stage, stays: true }, at);
  },
  popup(attempt, popup) {
    attempt.does.stage("authenticating");
    if (popup && !popup.closed) {
      attempt.popup = popup;
      report(attempt, "popup", { state: "opened" });
    } else stall(attempt, "popup");
  },
};

/**
 * Begin an attempt.
 *
 * @param {any} [options] UnjamAttemptOptions
 * @param {number} [at] by `now`
 * @returns {Attempt}
 */
export function begin(options, at = now()) {
  // The frame shows what it was told of last, so nothing comes first.
  beginNothing();
  const attempt = /** @type {any} */ ({
    context: describe(options) || {},
    beganAt: at,
    seq: 0,
    pending: [],
    stage: "started",
    troubles: 0,
    offlineMs: 0,
    offlines: 0,
    href: location.href,
    does: {},
  });
  for (const verb in VERBS) {
    attempt.does[verb] = guard((/** @type {any} */ said, /** @type {number=} */ then = now()) =>
      VERBS[/** @type {keyof UnjamAttempt} */ (verb)](attempt, said, then),
    );
  }
  post("attempt", { attempt: attempt.context, facts: gather() });
  revive();
  // What an earlier failure left on the page is not news; the shop's own handlers take it away first.
  setTimeout(guard(() => (attempt.error = shownError())));
  return attempt;
}

/** The page is open. Only the frame hears of it. */
export function beginNothing() {
  if (!opening) {
    // It is begun as others are, and must not begin itself again.
    opening = /** @type {any} */ ({});
    opening = begin();
  }
}

/** The attempts that wait for something, so that their time counts. */
export function active() {
  return [...running].filter((attempt) => attempt.stage !== "started");
}

/** What a symptom of the page is about: the last payment that runs, or else the page itself. */
export function current() {
  return [...running].pop() || opening;
}

/** @param {any} method */
export function isWallet(method) {
  // Also as Adyen spells them.
  return /(_|[pg]le|ung)pay$/.test(method);
}

/** Run `each` on every attempt that is not over. @param {(attempt: Attempt) => void} each */
export function forRunning(each) {
  [...running].forEach(guard(each));
}

/**
 * Report the same of every attempt that is not over.
 *
 * @param {string} name
 * @param {object} [data] of what a broken page may repeat without end
 */
export function note(name, data) {
  forRunning((attempt) => {
    if (!data || attempt.troubles++ < MAX_TROUBLES) report(attempt, name, data);
  });
}

/** The page goes away, perhaps to come back. */
export function leave() {
  forRunning((attempt) => {
    away.add(attempt);
    // Where a form of the shop's leads, nobody prevents it: to a page that takes the payment.
    const stage = attempt.isSubmitted?.defaultPrevented === false ? "authenticating" : attempt.stage;
    end(attempt, "left", { stage });
  });
}

/** The browser shows the page again as it was left: what waited for an answer goes on waiting. */
export function comeBack() {
  // A later page of this tab may have seen the payment through, unless it could remember nothing.
  if (recall() || !storage()) for (const attempt of away) attempt.does.stage(attempt.stage);
  away.clear();
}

/** The order is paid: no attempt to pay it is stuck any more. @param {unknown} order its reference, undefined for all */
export function settle(order) {
  forRunning((attempt) => {
    const own = attempt.context.order?.order;
    if (order && own && own !== order) return;
    close(attempt, "paid");
    post("paid", { key: attempt.context.key });
    forget();
  });
}

/**
 * The attempt is stuck, as far as the page can see.
 *
 * @param {Attempt} attempt
 * @param {string} kind
 * @param {object} [evidence]
 * @param {string} [stage]
 */
export function stall(attempt, kind, evidence, stage = attempt.stage) {
  if (attempt.isStalled || attempt.isOver) return;
  attempt.isStalled = true;
  report(attempt, "stall", { kind, stage, evidence });
  cry(attempt, kind, stage);
}

/**
 * @param {Attempt} attempt
 * @param {string} outcome
 * @param {{[name: string]: unknown}} data
 * @param {number} [at]
 */
function end(attempt, outcome, data, at) {
  report(attempt, outcome, data, at);
  close(attempt, outcome);
  if (attempt.isOver || data.stays) forget();
  calm();
  pace();
}

/** @param {Attempt} attempt @param {string} outcome */
function close(attempt, outcome) {
  attempt.ending = outcome;
  // Somebody who left may come back, so only the others are the end.
  attempt.isOver = outcome !== "left";
  running.delete(attempt);
}

/** Tell the shop. @param {Attempt} attempt @param {string} kind @param {string} [stage] */
function cry(attempt, kind, stage = attempt.stage) {
  emit("stalled", { kind, stage, method: attempt.context.method, order: attempt.context.order?.order });
}
