import { comeBack, expect, forRunning, leave } from "./begin.js";
import { plain } from "./describe.js";
import { listen } from "./listen.js";
import { flush, report } from "./report.js";

/** @typedef {import("./begin.js").Attempt} Attempt */

const MAX_ERRORS = 5;
const MAX_ERROR_CHARS = 300;
// Whoever comes back to a page that was hidden gives it this long to catch up.
const GRACE_MS = 1000;

/**
 * Observe the page while an attempt runs: its errors, whether it is seen, the connection, its end.
 *
 * @returns {() => void} ends it
 */
export function observe() {
  const ends = [
    listen(window, "error", (event) => noteError(event.message)),
    listen(window, "unhandledrejection", ({ reason }) => noteError(reason?.message || reason)),
    listen(document, "visibilitychange", () => {
      note(document.hidden ? "hidden" : "visible");
      if (document.hidden) flush();
      else forRunning((attempt) => expect(attempt, GRACE_MS));
    }),
    listen(window, "offline", () => note("offline")),
    listen(window, "online", () => {
      note("online");
      flush();
    }),
    listen(window, "pagehide", () => {
      forRunning(leave);
      flush();
    }),
    listen(window, "pageshow", (event) => event.persisted && comeBack()),
  ];
  return () => {
    for (const end of ends) end();
  };
}

/** @param {string} name */
function note(name) {
  forRunning((attempt) => report(attempt, name, {}));
}

/** @param {unknown} said */
function noteError(said) {
  const message = plain(said, MAX_ERROR_CHARS);
  forRunning((attempt) => {
    if (message && attempt.errors++ < MAX_ERRORS) report(attempt, "error", { message });
  });
}
