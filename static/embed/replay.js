import { guard } from "./guard.js";
import { now } from "./now.js";

/**
 * Replay what was called on the stub before the embed had loaded. The objects it gave out become live; its times,
 * by Date.now(), become times by `now`.
 *
 * @param {any[][]} queue
 * @param {any} api
 */
export function replay(queue, api) {
  for (const call of queue) {
    guard(() => {
      const [target, name, args, at, given] = call;
      const ago = Date.now() - at || 0;
      // The stub's way to unsubscribe looks here.
      call[5] = (target || api)[name](...args, now() - ago);
      if (given) Object.assign(given, call[5]);
    })();
  }
}
