import { guard } from "./guard.js";
import { isMounted } from "./mount.js";

/** @typedef {{stage: string, stageAt: number, isOver: boolean, isStalled: boolean, timer?: number}} Watched */

/**
 * Seconds in a stage without progress before the attempt counts as stalled. The shipped values of
 * widget/attempts.py; the frame brings the shop's own.
 *
 * @type {{[stage: string]: number}}
 */
const deadlines = { sdk: 10, submitted: 10, authenticating: 120, confirming: 15 };

/** @param {unknown} learned seconds by stage */
export function setDeadlines(learned) {
  for (const [stage, seconds] of Object.entries(learned || {})) {
    if (seconds > 0) deadlines[stage] = seconds;
  }
}

/**
 * Call back once when the attempt stays in its stage past the deadline. Only progress counts: a spinner that moves is no
 * sign of life. Called again, it counts from the same moment.
 *
 * @param {Watched} attempt
 * @param {() => void} stalled
 * @param {number} [graceMs] the least time left to it
 */
export function watch(attempt, stalled, graceMs = 0) {
  unwatch(attempt);
  const seconds = deadlines[attempt.stage];
  if (!isMounted() || !seconds || attempt.isOver || attempt.isStalled) return;
  const leftMs = attempt.stageAt + seconds * 1000 - performance.now();
  // A hidden page is throttled and may not know better: it is watched again when it is seen again.
  attempt.timer = setTimeout(
    guard(() => document.hidden || stalled()),
    Math.max(leftMs, graceMs),
  );
}

/** @param {Watched} attempt */
export function unwatch(attempt) {
  clearTimeout(attempt.timer);
}
