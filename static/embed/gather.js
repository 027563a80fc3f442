import { opening } from "./begin.js";
import { hostOf, plain } from "./describe.js";
import { guard } from "./guard.js";
import { storage } from "./remember.js";

/** The facts of widget/browsers.py that only the shop's page knows. The frame gathers the others. */
export const gather = guard(() => {
  return {
    viewport: `${innerWidth}x${innerHeight}`,
    page: plain(location.pathname),
    referrer: hostOf(document.referrer),
    cookies: navigator.cookieEnabled,
    // It matters to a payment, and is slow to find out while the page loads.
    storage: opening.context && !!storage(),
  };
});
