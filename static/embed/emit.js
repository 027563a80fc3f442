import { listen } from "./listen.js";

/**
 * Call back on an event of ours. The document's own events carry them.
 *
 * @param {string} event
 * @param {(detail: any) => void} callback
 * @returns {() => void} ends it
 */
export function on(event, callback) {
  /** @param {any} heard */
  const heard = ({ detail }) => callback(detail);
  // Not guarded: a mistake of the shop's own its developers should see, and it disturbs nobody else.
  return listen(`unjam:${event}`, heard, document, heard);
}

/**
 * @param {string} event
 * @param {object} detail
 */
export function emit(event, detail) {
  document.dispatchEvent(new CustomEvent(`unjam:${event}`, { detail }));
}
