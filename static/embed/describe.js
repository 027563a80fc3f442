import { guard } from "./guard.js";
import { redact } from "./redact.js";
import { tag } from "./tag.js";

/**
 * What the wire says about an attempt, in the shop's own words: the server leaves out what is not valid.
 *
 * @typedef {{[name: string]: any, key: string, order?: {[name: string]: any}}} AttemptContext
 */

const MAX_CHARS = 200;
const ABOUT = "method provider payment leg legs";
const ORDER = "order amount currency email signature issued_at";

/** 32 random hex digits: an opaque identifier. */
export function randomKey() {
  return crypto.getRandomValues(new Uint8Array(16)).reduce((key, byte) => key + (byte + 256).toString(16).slice(1), "");
}

/** @type {(options: any) => AttemptContext | undefined} */
export const describe = guard((options) => {
  const { order = tag, ...about } = { method: tag.method, ...options };
  return { ...pick(about, ABOUT), key: randomKey(), order: order.order && pick(order, ORDER) };
});

/** What people may have written: its beginning, without card numbers. @param {unknown} value */
export function plain(value) {
  // A card number must not survive by being cut in half.
  return value ? redact(`${value}`.slice(0, 4 * MAX_CHARS)).slice(0, MAX_CHARS) : undefined;
}

/** The host of an absolute address. @param {any} address @returns {any} */
export function hostOf(address) {
  return address?.split("/")[2];
}

/** As texts, whatever it is. @param {any} from @param {string} names */
function pick(from, names) {
  /** @type {{[name: string]: string}} */
  const picked = {};
  for (const name of names.split(" ")) if (from[name]) picked[name] = `${from[name]}`;
  return picked;
}
