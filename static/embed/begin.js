import { describe, plain } from "./describe.js";
import { emit } from "./emit.js";
import { gather } from "./gather.js";
import { guard } from "./guard.js";
import { post } from "./mount.js";
import { flush, report } from "./report.js";
import { unwatch, watch } from "./watch.js";

/**
 * An attempt as this page knows it. `stageAt` is by performance.now(). `outcome` is "" while it runs.
 *
 * @typedef {import("./report.js").Reported & import("./watch.js").Watched & {
 *   outcome: string, isPaid: boolean, errors: number,
 * }} Attempt
 */
/** @typedef {"stage" | "paid" | "failed" | "left"} Verb */

const STAGES = ["started", "sdk", "submitted", "authenticating", "confirming"];
// Words of the common providers' decline codes and of their messages.
const DECLINE =
  /declin|^refus|insufficient.?fund|do.not.honou?r|card.has.expired|(expired|lost|stolen|pickup).card|(incorrect|invalid)_(cvc|expiry|number|pin|zip)|card_velocity|transaction_not|fraud/i;

/** @type {Set<Attempt>} */
const running = new Set();
/** Those that ended because the page was left. @type {Set<Attempt>} */
const away = new Set();

/**
 * What each method of `UnjamAttempt` does, at a time by performance.now().
 *
 * @type {Record<Verb, (attempt: Attempt, said: any, at: number) => void>}
 */
const VERBS = {
  stage(attempt, stage, at) {
    const isProgress = stage !== attempt.stage || attempt.outcome === "left" || !attempt.seq;
    if (attempt.isOver || !isProgress || !STAGES.includes(stage)) return;
    Object.assign(attempt, { stage, stageAt: at, isStalled: false, outcome: "" });
    running.add(attempt);
    report(attempt, "stage", { stage }, at);
    post("stage", { key: attempt.context.key, stage });
    expect(attempt);
  },
  paid(attempt, _, at) {
    // Also after a failure, and after a payment by another way: the customer may have been charged twice.
    if (attempt.isPaid) return;
    attempt.isPaid = true;
    end(attempt, "paid", {}, at);
    flush();
    if (attempt.context.order) settle(attempt.context.order.order);
  },
  failed(attempt, error, at) {
    if (attempt.isOver) return;
    const { decline_code, code = error instanceof DOMException ? error.name : undefined, message } = Object(error);
    const said = {
      code: plain(decline_code || code, 100),
      message: plain(message || (typeof error === "string" && error), 300),
    };
    end(attempt, "failed", said, at);
    stall(attempt, DECLINE.test(`${said.code} ${said.message}`) ? "declined" : "error");
  },
  left(attempt, _, at) {
    if (!attempt.outcome) end(attempt, "left", {}, at);
  },
};

/**
 * Begin an attempt. Returns how to go on with it; `act` is the same with a time by performance.now().
 *
 * @param {UnjamAttemptOptions} options
 * @param {{[name: string]: string | undefined}} tag
 * @param {number} [at]
 */
export function begin(options, tag, at = performance.now()) {
  const attempt = create(options, tag, at);
  running.add(attempt);
  show(attempt);
  /** @param {Verb} verb @param {unknown} [said] @param {number} [then] */
  const act = (verb, said, then = performance.now()) => VERBS[verb](attempt, said, then);
  return act;
}

/**
 * The attempt that is there before any payment: the page is open. Only the frame hears of it.
 *
 * @param {{[name: string]: string | undefined}} tag
 */
export function beginNothing(tag) {
  show(create({}, tag, 0));
}

/** Run `each` on every attempt that is not over. @param {(attempt: Attempt) => void} each */
export function forRunning(each) {
  [...running].forEach(guard(each));
}

/** Wait for the attempt's stage to end in time. @param {Attempt} attempt @param {number} [graceMs] */
export function expect(attempt, graceMs) {
  watch(attempt, () => stall(attempt, "no_answer"), graceMs);
}

/** The page goes away, perhaps to come back. @param {Attempt} attempt */
export function leave(attempt) {
  VERBS.left(attempt, undefined, performance.now());
  away.add(attempt);
}

/** The browser shows the page again as it was left: what waited for an answer goes on waiting. */
export function comeBack() {
  for (const attempt of away) VERBS.stage(attempt, attempt.stage, performance.now());
  away.clear();
}

/** The order is paid: no attempt to pay it is stuck any more. @param {unknown} order its reference, undefined for all */
export function settle(order) {
  forRunning((attempt) => {
    const { order: own, key } = attempt.context;
    if (order && own && own.order !== order) return;
    close(attempt, "paid");
    attempt.isOver = true;
    post("over", { key, outcome: "paid" });
  });
}

/**
 * @param {UnjamAttemptOptions} options
 * @param {{[name: string]: string | undefined}} tag
 * @param {number} at
 * @returns {Attempt}
 */
function create(options, tag, at) {
  const context = describe(Object(options), tag);
  const fresh = { seq: 0, pending: [], isKnown: false, stage: "started", isOver: false, isStalled: false };
  return { context, beganAt: at, stageAt: at, outcome: "", isPaid: false, errors: 0, ...fresh };
}

/** @param {Attempt} attempt */
function show(attempt) {
  post("attempt", { attempt: attempt.context, facts: gather() });
}

/**
 * @param {Attempt} attempt
 * @param {string} outcome
 * @param {{[name: string]: unknown}} data
 * @param {number} at
 */
function end(attempt, outcome, data, at) {
  close(attempt, outcome);
  // Somebody who left may come back, so only these two are the end.
  attempt.isOver = outcome !== "left";
  report(attempt, outcome, data, at);
  post("over", { key: attempt.context.key, outcome });
}

/** @param {Attempt} attempt @param {string} outcome */
function close(attempt, outcome) {
  attempt.outcome = outcome;
  running.delete(attempt);
  unwatch(attempt);
}

/** @param {Attempt} attempt @param {string} kind */
function stall(attempt, kind) {
  const { context, stage } = attempt;
  attempt.isStalled = true;
  report(attempt, "stall", { kind, stage, seen_by: "page" });
  post("stall", { key: context.key, kind, stage });
  emit("stalled", { kind, stage, method: context.method, order: context.order?.order });
}
