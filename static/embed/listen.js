import { guard } from "./guard.js";

/**
 * Guarded listening. Returns the function that ends it.
 *
 * @param {EventTarget} target
 * @param {string} type
 * @param {(event: any) => void} heard
 * @returns {() => void}
 */
export function listen(target, type, heard) {
  const guarded = guard(heard);
  target.addEventListener(type, guarded);
  return () => target.removeEventListener(type, guarded);
}
