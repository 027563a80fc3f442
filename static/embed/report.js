import { serverNow } from "./clock.js";
import { randomKey } from "./describe.js";
import { gather } from "./gather.js";
import { guard } from "./guard.js";
import { isMounted } from "./mount.js";

/** @typedef {import("./describe.js").AttemptContext} AttemptContext */
/** @typedef {{seq: number, at: number, name: string, data: {[name: string]: unknown}}} Signal */
/**
 * What beacons need to know about an attempt. `beganAt` is by performance.now().
 *
 * @typedef {object} Reported
 * @property {AttemptContext} context
 * @property {number} beganAt
 * @property {number} seq the sequence number of the next signal
 * @property {Signal[]} pending not sent yet
 * @property {boolean} isKnown whether the server has its facts
 */

const BATCHED_WITHIN_MS = 50;
// The most signals one beacon may hold. With every text capped, that many stay well under the server's 64 KiB.
const MAX_PENDING = 200;

/** @type {Set<Reported>} */
const unsent = new Set();
let site = "";
let url = "";
/** @type {number | undefined} */
let timer;

/**
 * @param {string} base
 * @param {string} siteKey
 */
export function reportTo(base, siteKey) {
  url = `${base}/api/v1/beacons`;
  site = siteKey;
}

/**
 * Put a signal into the next beacon, which leaves within 50 ms; at once when no timer may be left behind.
 *
 * @param {Reported} attempt
 * @param {string} name
 * @param {{[name: string]: unknown}} data
 * @param {number} [at] by performance.now()
 */
export function report(attempt, name, data, at = performance.now()) {
  if (!site) return;
  const since = Math.max(0, Math.round((at - attempt.beganAt) * 10) / 10);
  attempt.pending.push({ seq: attempt.seq++, at: since, name, data });
  if (attempt.pending.length > MAX_PENDING) attempt.pending.shift();
  unsent.add(attempt);
  if (!isMounted()) flush();
  else if (!timer) timer = setTimeout(flush, BATCHED_WITHIN_MS);
}

/** Send what is waiting, unless the browser knows that it is offline. */
export const flush = guard(() => {
  clearTimeout(timer);
  timer = undefined;
  if (navigator.onLine !== false) [...unsent].forEach(guard(send));
});

/** @param {Reported} attempt */
function send(attempt) {
  const signals = attempt.pending.splice(0);
  unsent.delete(attempt);
  const facts = attempt.isKnown ? undefined : gather();
  attempt.isKnown = true;
  const beacon = { v: 1, id: randomKey(), site, sent_at: serverNow(), attempt: attempt.context, facts, signals };
  const body = JSON.stringify(beacon);
  // Text needs no preflight. A beacon outlives the page, but is refused when too many are under way.
  if (guard(() => navigator.sendBeacon(url, body))()) return;
  const keep = () => {
    attempt.pending.unshift(...signals);
    attempt.isKnown = attempt.isKnown && !facts;
    unsent.add(attempt);
  };
  fetch(url, { method: "POST", mode: "no-cors", credentials: "omit", keepalive: true, body }).catch(keep);
}
