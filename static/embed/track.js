/** @typedef {(verb: "stage" | "paid" | "failed", said?: unknown) => void} Act */

/**
 * Settle an attempt as the promise settles. A value like `{error: {code, message}}` is a failure, as Stripe answers; one
 * with a PaymentIntent that is still processing means that the bank has the last word, not that the order is paid.
 *
 * The shop keeps its own promise: a second one derived from it would raise an unhandled rejection of its own wherever
 * the shop handles only the first.
 *
 * @param {any} promise
 * @param {Act} act
 */
export function track(promise, act) {
  promise.then(
    /** @param {any} value */
    (value) => {
      if (value?.error) act("failed", value.error);
      else if (value?.paymentIntent?.status === "processing") act("stage", "confirming");
      else act("paid");
    },
    /** @param {unknown} error */
    (error) => act("failed", error),
  );
}
