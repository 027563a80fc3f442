import { hostOf, plain } from "./describe.js";
import { guard } from "./guard.js";

/** The facts of widget/browsers.py that only the shop's page knows. The frame gathers the others. */
export const gather = guard(() => {
  return {
    viewport: `${innerWidth}x${innerHeight}`,
    page: plain(location.pathname),
    referrer: hostOf(document.referrer),
    cookies: navigator.cookieEnabled,
    // Looking at it stores nothing; a browser that forbids storage throws.
    storage: !!guard(() => localStorage)(),
    wallets: ["ApplePaySession", "PaymentRequest", "SamsungPay"].filter((name) => name in window).join(),
  };
});
