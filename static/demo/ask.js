// The shop's questions to its own server.

/** The server's answer that the payment did not work, with a code and words for the customer. */
export class PaymentFailed extends Error {
  constructor({ code, message }) {
    super(message);
    this.code = code;
  }
}

/**
 * @param {string} url
 * @param {object} [body] sent as JSON; without one it is a GET
 * @param {AbortSignal} [signal]
 */
export async function ask(url, body, signal) {
  const sent = body && { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
  const response = await fetch(url, { ...sent, signal });
  const answer = await response.json();
  if (!response.ok) throw new PaymentFailed(answer.error);
  return answer;
}

/** @param {number} ms */
export function pause(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
