import { randomKey } from "./describe.js";
import { guard } from "./guard.js";
import { post } from "./mount.js";
import { now } from "./now.js";
import { base, tag } from "./tag.js";

/** @typedef {import("./describe.js").AttemptContext} AttemptContext */
/** @typedef {{seq: number, at: number, name: string, data: object}} Signal */
/**
 * What beacons need to know about an attempt. `beganAt` is by `now`.
 *
 * @typedef {object} Reported
 * @property {AttemptContext} context
 * @property {number} beganAt
 * @property {number} seq the sequence number of the next signal
 * @property {Signal[]} pending not sent yet
 */

/** @type {Set<Reported>} */
const unsent = new Set();

/**
 * Tell the frame, and put a signal into the beacon that leaves when the running task has told all it has to tell.
 *
 * @param {Reported} attempt
 * @param {string} name
 * @param {object} [data]
 * @param {number} [at] by `now`
 */
export function report(attempt, name, data = {}, at = now()) {
  attempt.pending.push({ seq: attempt.seq++, at: at - attempt.beganAt, name, data });
  if (!unsent.size) queueMicrotask(flush);
  unsent.add(attempt);
  // Firefox does not keep a page that was left in memory when its frame is told something then.
  if (name !== "left") post(name, { key: attempt.context.key, ...data });
}

/** Send what is waiting, unless the browser knows that it is offline. */
export const flush = guard(() => {
  if (base && navigator.onLine) [...unsent].forEach(guard(send));
});

/** @param {Reported} attempt */
function send(attempt) {
  unsent.delete(attempt);
  const beacon = { v: 1, id: randomKey(), site: tag.site, attempt: attempt.context, signals: attempt.pending };
  // Text needs no preflight, and a beacon outlives the page. One that is refused goes with the next.
  if (navigator.sendBeacon(`${base}/api/v1/beacons`, JSON.stringify(beacon))) attempt.pending = [];
}
