/** @type {Set<() => void>} */
const ends = new Set();

/**
 * Call back on an event of ours. The document's own events carry them.
 *
 * @param {string} event
 * @param {(detail: any) => void} callback
 * @returns {() => void} ends it
 */
export function on(event, callback) {
  const name = `unjam:${event}`;
  /** @param {any} heard */
  const guarded = ({ detail }) => {
    try {
      callback(detail);
    } catch (error) {
      // It is the shop's own mistake: its developers should see it.
      console.error(error);
    }
  };
  const end = () => document.removeEventListener(name, guarded);
  document.addEventListener(name, guarded);
  ends.add(end);
  return end;
}

/** End what `on` began. */
export function endAll() {
  for (const end of ends) end();
}

/**
 * @param {string} event
 * @param {object} detail
 */
export function emit(event, detail) {
  document.dispatchEvent(new CustomEvent(`unjam:${event}`, { detail }));
}
