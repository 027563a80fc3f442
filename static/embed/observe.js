import { comeBack, forRunning, leave, note, stall } from "./begin.js";
import { hostOf, plain } from "./describe.js";
import { listen } from "./listen.js";
import { observePresses } from "./press.js";
import { flush } from "./report.js";
import { breakScript } from "./scripts.js";
import { pace } from "./tick.js";

// A connection that was lost so often in one attempt is as good as none.
const FLAPS = 3;

/** Observe the page: its errors, whether it is seen, the connection, its end. */
export function observe() {
  listen("error", (event) => {
    const address = event.target.src;
    if (address) {
      note("resource", { host: hostOf(address), status: 0 });
      breakScript(address, "error");
    } else noteError(event.message);
  });
  listen("unhandledrejection", (event) => noteError(event.reason?.message || event.reason));
  listen("securitypolicyviolation", (event) => {
    // A policy that only reports blocks nothing.
    if (event.disposition !== "enforce") return;
    note("violation", { directive: event.effectiveDirective, host: hostOf(event.blockedURI) });
    breakScript(event.blockedURI, "csp");
  });
  listen("visibilitychange", () => {
    note(document.visibilityState);
    pace();
  });
  listen("offline", () => {
    note("offline");
    forRunning((attempt) => {
      if (++attempt.offlines >= FLAPS) stall(attempt, "offline");
    });
  });
  listen("online", () => {
    note("online");
    flush();
  });
  listen("pagehide", leave);
  listen("pageshow", (event) => event.persisted && comeBack());
  observePresses();
}

/** @param {unknown} said */
function noteError(said) {
  const message = plain(said);
  if (message) note("error", { message });
}
