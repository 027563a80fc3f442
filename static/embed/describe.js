import { redact } from "./redact.js";

/** @typedef {{order: string, amount: number, currency: string, email?: string, signature?: string}} OrderContext */
/** @typedef {{key: string, order?: OrderContext, method?: string, provider?: string, payment?: string}} AttemptContext */

// The server refuses a whole beacon for one bad field, so what is not valid is left out here.
const MAX_MINOR = 1e12;
const PAYMENT = /^[!-~]{1,100}$/;
const CURRENCY = /^[a-z]{3}$/i;
const UNPRINTABLE = /[\p{C}\p{Z}]/u;

/** 32 random hex digits: an opaque identifier. */
export function randomKey() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/**
 * What the wire says about an attempt.
 *
 * @param {UnjamAttemptOptions} options
 * @param {{[name: string]: string | undefined}} tag the tag's data attributes
 * @returns {AttemptContext}
 */
export function describe({ method, provider, payment, order }, tag) {
  const id = String(payment);
  return {
    key: randomKey(),
    order: describeOrder(order || tag),
    method: word(method),
    provider: word(provider),
    payment: payment && PAYMENT.test(id) && redact(id) === id ? id : undefined,
  };
}

/**
 * Any text in at most so many characters, without card numbers and without what JSON parsers refuse.
 *
 * @param {unknown} value
 * @param {number} limit
 */
export function plain(value, limit) {
  return value
    ? redact(String(value).slice(0, 4 * limit))
        .slice(0, limit)
        .replace(/\p{Cs}/gu, "")
    : undefined;
}

/**
 * @param {{[name: string]: any}} given
 * @returns {OrderContext | undefined}
 */
function describeOrder(given) {
  const order = line(given.order, 100);
  const amount = Number(given.amount);
  const isPayable = Number.isInteger(amount) && amount > 0 && amount <= MAX_MINOR && CURRENCY.test(given.currency);
  if (!order || !isPayable) return undefined;
  return {
    order,
    amount,
    currency: given.currency.toUpperCase(),
    email: line(given.email, 254),
    signature: line(given.signature, 64),
  };
}

/**
 * @param {unknown} value
 * @param {number} limit
 */
function line(value, limit) {
  const text = String(value || "").trim();
  return text && text.length <= limit && !UNPRINTABLE.test(text.replace(/ /g, "")) ? text : undefined;
}

/** @param {unknown} value */
function word(value) {
  return value
    ? String(value)
        .toLowerCase()
        .replace(/[^a-z0-9_]/g, "_")
        .slice(0, 40)
    : undefined;
}
