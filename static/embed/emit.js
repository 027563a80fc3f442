import { guard } from "./guard.js";

/** @type {Map<string, Set<(detail: any) => void>>} */
const callbacks = new Map();

/**
 * @param {string} event
 * @param {(detail: any) => void} callback
 * @returns {() => void} ends it
 */
export function on(event, callback) {
  const known = callbacks.get(event) || new Set();
  callbacks.set(event, known.add(callback));
  return () => {
    known.delete(callback);
  };
}

export function endAll() {
  callbacks.clear();
}

/**
 * Tell the shop's page, by callback and by a DOM event of the document.
 *
 * @param {string} event
 * @param {object} detail
 */
export function emit(event, detail) {
  for (const callback of [...(callbacks.get(event) || [])]) {
    try {
      callback(detail);
    } catch (error) {
      // It is the shop's own mistake: its developers should see it, and we go on.
      console.error(error);
    }
  }
  document.dispatchEvent(new CustomEvent(`unjam:${event}`, { detail }));
}
