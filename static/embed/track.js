import { listen } from "./listen.js";
import { now } from "./now.js";

/** @typedef {import("./begin.js").Verbs} Verbs */

// How long a shop may take to validate; then the wallet closes itself, which looks as if the customer did.
const VALIDATION_MS = 10_000;
const AUTHORIZED = "paymentauthorized";

/**
 * Settle an attempt as the promise settles. A value like `{error: {code, message}}` is a failure, as Stripe answers; one
 * with a PaymentIntent that is still processing means that the bank has the last word, not that the order is paid.
 *
 * The shop keeps its own promise: a second one derived from it would raise an unhandled rejection of its own wherever
 * the shop handles only the first.
 *
 * @param {any} promise
 * @param {Verbs} does
 */
export function track(promise, does) {
  promise.then(
    /** @param {any} value */
    (value) => {
      if (value?.error) does.failed(value.error);
      else if (value?.paymentIntent?.status === "processing") does.stage("confirming");
      else does.paid();
    },
    // A page that is left fails its requests before it says goodbye, and then the goodbye is the truth.
    /** @param {unknown} error */
    (error) => setTimeout(does.failed, error instanceof TypeError ? 500 : 0, error),
  );
}

/**
 * Follow a wallet's sheet by its events, which are those of an ApplePaySession.
 *
 * @param {EventTarget} session
 * @param {Verbs} does
 */
export function follow(session, does) {
  let askedAt = 0;
  for (const type of ["validatemerchant", "paymentmethodselected", AUTHORIZED, "cancel"]) {
    listen(
      type,
      () => {
        const isTimeout = askedAt && now() - askedAt >= VALIDATION_MS;
        askedAt = type === "validatemerchant" ? now() : 0;
        if (type === AUTHORIZED) does.stage("confirming");
        if (type === "cancel") {
          if (isTimeout) does.failed({ code: "merchant_validation_timeout" });
          else does.left();
        }
      },
      session,
    );
  }
}
