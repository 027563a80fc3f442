import { listen } from "./listen.js";
import { now } from "./now.js";

/** @typedef {import("./begin.js").Attempt} Attempt */

// How long a shop may take to validate; then the wallet closes itself, which looks as if the customer did.
const VALIDATION_MS = 10_000;
const AUTHORIZED = "paymentauthorized";

// How a PaymentIntent is called that is not paid, or not yet: the bank has the last word while it is processing, and one
// that requires an action may be a voucher, which is paid at a till.
const UNPAID = /proc|_a|_m|canc/;

/**
 * Settle an attempt as the promise settles. A value like `{error: {code, message}}` is a failure, as Stripe answers, and
 * so is the answer of `fetch` with a status like 500. Where the provider says that it is not decided, it is not paid.
 *
 * The shop keeps its own promise: a second one derived from it would raise an unhandled rejection of its own wherever
 * the shop handles only the first.
 *
 * @param {any} promise
 * @param {Attempt} attempt
 */
export function track(promise, attempt) {
  const { does } = attempt;
  promise.then(
    /** @param {any} value */
    (value) => {
      const { ok, error, paymentIntent } = Object(value);
      if (error || ok === false) does.failed(error || value);
      else if (UNPAID.test(paymentIntent?.status)) {
        does.stage("confirming");
        // It may last for days, so no page waits for it.
        attempt.isStalled = true;
      } else does.paid();
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
 * @param {Attempt} attempt
 */
export function follow(session, { does }) {
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
