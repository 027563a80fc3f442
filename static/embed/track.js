/** @typedef {(verb: "paid" | "failed", said?: unknown) => void} Act */

/**
 * Settle an attempt as the promise settles. A value like `{error: {code, message}}` is a failure, as Stripe answers.
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
    (value) => (value?.error ? act("failed", value.error) : act("paid")),
    /** @param {unknown} error */
    (error) => act("failed", error),
  );
}
