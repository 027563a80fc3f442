import { guard } from "./guard.js";

/** @type {Set<() => void>} */
const ends = new Set();

/**
 * Guarded listening, which `endAll` ends too. At the window, and before anybody else: a script that fails to load tells
 * nobody else, and shops stop events.
 *
 * @param {string} type
 * @param {(event: any) => void} heard
 * @param {EventTarget} [target]
 * @param {(event: any) => void} [listener]
 * @returns {() => void} ends it
 */
export function listen(type, heard, target = window, listener = guard(heard)) {
  const end = () => {
    target.removeEventListener(type, listener, true);
    ends.delete(end);
  };
  target.addEventListener(type, listener, true);
  ends.add(end);
  return end;
}

/** End all listening. */
export function endAll() {
  for (const end of ends) end();
}
