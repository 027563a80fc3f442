import { guard } from "./guard.js";

/** @typedef {(verb: any, said?: unknown, at?: number) => void} Act */
/**
 * @typedef {object} Live
 * @property {any} api
 * @property {(options: any, at?: number) => Act | undefined} start
 * @property {(promise: any, options: any, at?: number) => void} trackFrom
 * @property {(act: Act | undefined) => object} handleOf
 */

/**
 * Replay what was called on the stub before the embed had loaded. The objects it gave out become live; its times,
 * by Date.now(), become times by performance.now().
 *
 * @param {any[][]} queue
 * @param {Live} live
 */
export function replay(queue, { api, start, trackFrom, handleOf }) {
  /** @param {any[]} call */
  const replayOne = (call) => {
    const [name, first, second, third, fourth] = call;
    if (name === "attempt") {
      const act = start(first, monotonic(fourth));
      for (const [verb, said, at] of second) act?.(verb, said, monotonic(at));
      Object.assign(third, handleOf(act));
    } else if (name === "track") {
      trackFrom(first, second, monotonic(third));
    } else {
      // The stub's way to unsubscribe looks here.
      call[3] = api[name](first, second);
    }
  };
  queue.forEach(guard(replayOne));
}

/** @param {number} [at] by Date.now() */
function monotonic(at) {
  const now = performance.now();
  return at ? now - Math.max(0, Date.now() - at) : now;
}
