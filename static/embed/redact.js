// The same rule as widget/redaction.py; the cases in tests/data/card_numbers.json bind both.
const MARK = "[card number removed]";
const MIN_DIGITS = 13;
const MAX_DIGITS = 19;
const MAX_RUN_DIGITS = 100;

// Digits with at most three separators between neighbours: how people, tables and error messages write card numbers.
const RUN = /\p{Nd}(?:[ \t\r\n\u00a0\u00ad\u2000-\u200d\u202f\u2060\ufeff.,:;|_/\-\u2010-\u2015]{0,3}\p{Nd}){12,}/gu;
const DIGIT = /\p{Nd}/u;
const DIGITS = /\p{Nd}/gu;

/**
 * The text with every run of 13 to 19 digits that passes Luhn replaced by a mark.
 *
 * @param {string} text
 */
export function redact(text) {
  return text.replace(RUN, maskRun);
}

/**
 * Mask each card number inside a run, which may be longer than one (a card number glued to its expiry).
 *
 * @param {string} run
 */
function maskRun(run) {
  /** @type {number[]} */
  const digits = [];
  /** @type {[from: number, to: number][]} */
  const places = [];
  run.replace(DIGITS, (char, index) => {
    places.push([index, index + char.length]);
    digits.push(digitOf(char));
    return "";
  });
  if (digits.length > MAX_RUN_DIGITS) return MARK;
  let masked = "";
  let copiedTo = 0;
  let start = 0;
  while (start + MIN_DIGITS <= digits.length) {
    const length = cardLength(digits, start);
    if (length) {
      masked += run.slice(copiedTo, places[start][0]) + MARK;
      copiedTo = places[start + length - 1][1];
    }
    start += length || 1;
  }
  return masked + run.slice(copiedTo);
}

/**
 * @param {number[]} digits
 * @param {number} start
 */
function cardLength(digits, start) {
  for (let length = Math.min(MAX_DIGITS, digits.length - start); length >= MIN_DIGITS; length--) {
    if (passesLuhn(digits.slice(start, start + length))) return length;
  }
  return 0;
}

/** @param {number[]} digits */
function passesLuhn(digits) {
  const sum = digits.reverse().reduce((total, digit, index) => {
    const doubled = digit > 4 ? digit * 2 - 9 : digit * 2;
    return total + (index % 2 ? doubled : digit);
  }, 0);
  // A run of zeros passes Luhn and is no card number.
  return sum > 0 && sum % 10 === 0;
}

/**
 * The value of a digit of any script. Unicode keeps each script's ten digits together, zero first.
 *
 * @param {string} char
 */
function digitOf(char) {
  const point = /** @type {number} */ (char.codePointAt(0));
  let zero = point;
  while (DIGIT.test(String.fromCodePoint(zero - 1))) zero--;
  return (point - zero) % 10;
}
