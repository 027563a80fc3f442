import { clockSkew } from "./clock.js";
import { guard } from "./guard.js";
import { redact } from "./redact.js";

/**
 * The facts of widget/browsers.py about this browser: an allow-list, and nothing that was typed. Unknown ones are
 * left out.
 */
export const gather = guard(() => {
  const { hardwareConcurrency, cookieEnabled, language, onLine, maxTouchPoints } = navigator;
  const { connection, deviceMemory } = /** @type {any} */ (navigator);
  return {
    language,
    time_zone: Intl.DateTimeFormat().resolvedOptions().timeZone,
    viewport: `${innerWidth}x${innerHeight}`,
    screen: `${screen.width}x${screen.height}`,
    pixel_ratio: devicePixelRatio,
    touch: maxTouchPoints > 0,
    connection: connection && `${connection.effectiveType} ${connection.downlink}Mb/s ${connection.rtt}ms`,
    online: onLine,
    memory: deviceMemory,
    cores: hardwareConcurrency,
    cookies: cookieEnabled,
    storage: hasStorage(),
    page: redact(location.pathname).slice(0, 200),
    referrer: document.referrer ? new URL(document.referrer).host : undefined,
    clock_skew: clockSkew(),
  };
});

/** Reading the length stores nothing; a browser that forbids storage throws. */
function hasStorage() {
  try {
    return localStorage.length >= 0;
  } catch {
    return false;
  }
}
