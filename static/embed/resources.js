import { note } from "./begin.js";
import { hostOf } from "./describe.js";
import { guard } from "./guard.js";
import { now } from "./now.js";

/** @typedef {import("./begin.js").Attempt} Attempt */

// What is asked for by the click on Pay may begin before the shop tells us of it.
const EARLY_MS = 500;
const LONG_MS = 1000;
// What a page asks for again and again, it asks for whether or not Pay was pressed.
const POLLS = 3;

/** @type {any[]} */
let entries = [];
/** @type {PerformanceObserver | undefined} */
let observer;
let since = 0;

/** Watch what the page loads and where it is slow, from now on; and what it has loaded so far. */
export const watchResources = guard(() => {
  entries = [];
  since = now();
  observer = new PerformanceObserver(guard((list) => list.getEntries().forEach(see)));
  // Buffered, as the page's own list of entries may be full. What a browser does not know it ignores.
  for (const type of ["resource", "event", "long-animation-frame"]) observer.observe({ type, buffered: true });
});

export function unwatchResources() {
  observer?.disconnect();
  entries = [];
}

/** Whether the page has asked for something new since then, and got an answer. @param {number} at by `now` */
export function requestsSince(at) {
  return entries.some((entry) => entry.startTime >= at && isRequest(entry) && countBefore(entry, at) < POLLS);
}

/** What came back, or failed, since Pay was pressed. @param {Attempt} attempt */
export function evidenceOf({ age, pressedAt }) {
  const from = pressedAt - EARLY_MS;
  const after = entries.filter((entry) => entry.startTime >= from);
  const failed = after.filter(isFailure).pop();
  const before = new Set(entries.filter((entry) => entry.startTime < from).map(addressOf));
  return {
    seconds: age / 1000,
    // A page that polls goes on doing so: such an answer says nothing about the payment.
    // What failed or was opaque has status 0; Safari does not tell.
    answered: after.filter((entry) => isRequest(entry) && entry.responseStatus !== 0 && !before.has(addressOf(entry)))
      .length,
    failing: failed && `${hostOf(failed.name)} ${failed.responseStatus}`,
  };
}

/** @param {any} entry */
function see(entry) {
  const ms = entry.duration;
  entries.push(entry);
  if (entry.startTime + ms < since) return;
  if (isFailure(entry)) note("resource", { host: hostOf(entry.name), status: entry.responseStatus });
  else if (!entry.initiatorType && ms >= LONG_MS) {
    note("long_frame", { ms, script: hostOf(entry.scripts?.[0]?.sourceURL) });
  }
}

/** @param {any} entry */
function isRequest(entry) {
  return /^(fetch|xml)/.test(entry.initiatorType);
}

/** @param {any} entry */
function isFailure(entry) {
  return entry.responseStatus >= 400;
}

/** How often its address was asked before. @param {any} entry @param {number} at */
function countBefore(entry, at) {
  return entries.filter((one) => one.startTime < at && addressOf(one) === addressOf(entry)).length;
}

/** @param {any} entry */
function addressOf(entry) {
  return entry.name.split("?")[0];
}
