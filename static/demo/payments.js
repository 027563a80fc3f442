// How the shop pays, by scenario. Each way takes the same `Payment` and gives a promise of the address to go to next;
// null means that the customer has changed their mind. What goes wrong here goes wrong in real checkouts.

import { ask, pause } from "./ask.js";
import { payByWallet } from "./wallets.js";

/**
 * @typedef {object} Payment
 * @property {string} scenario
 * @property {string} method
 * @property {UnjamAttemptOptions} about what Unjam is told
 * @property {DOMStringMap} addresses of the shop and its provider
 * @property {AbortSignal} signal aborted when the customer tries again
 * @property {Window | null} popup opened on the click itself
 * @property {(words: string) => void} say shows an error message
 */

const FROZEN_MS = 15_000;
const FREEZES_AFTER_MS = 600;
/** Together longer than the five seconds for which a browser takes a click for the reason of a window. */
const POPUP_IS_PREPARED_MS = [2_500, 3_500];

/** @param {Payment} payment @returns {Promise<string | null>} */
export function start(payment) {
  if (payment.scenario.startsWith("wallet_")) return payByWallet(payment);
  return (WAYS[payment.scenario] ?? pay)(payment);
}

/** @type {{[scenario: string]: (payment: Payment) => Promise<any>}} */
const WAYS = {
  offline: (payment) => next(watched(untilOnline(payment), payment.about)),
  frozen: freeze,
  frozen_charged: freeze,
  unsettled: (payment) => watched(neverUnderstood(payment), payment.about),
  error_shown: onlyShow,
  challenge: (payment) => inFrame(payment, "never"),
  challenge_denied: (payment) => inFrame(payment, "denied"),
  challenge_blocked: (payment) => inFrame(payment, "ask"),
  challenge_ok: (payment) => inFrame(payment, "ask"),
  no_return: (payment) => onItsPage(payment, "never"),
  redirect_ok: (payment) => onItsPage(payment, "ask"),
  popup: lateWindow,
  popup_ok: inWindow,
  split: inParts,
  split_hangs: inParts,
  split_ok: inParts,
};

/** One request, whose promise Unjam watches. @param {Payment} payment */
function pay(payment) {
  return next(watched(request(payment), payment.about));
}

/** @param {Payment} payment @param {object} [more] */
export async function request({ addresses, scenario, method, signal }, more) {
  try {
    return await ask(addresses.pay, { method, scenario, ...more }, signal);
  } catch (error) {
    // A try that was given up never settles, so it cannot disturb the one after it.
    if (signal.aborted) return new Promise(() => {});
    throw error;
  }
}

/** @template T @param {Promise<T>} promise @param {UnjamAttemptOptions} about @returns {Promise<T>} */
export function watched(promise, about) {
  return window.Unjam ? window.Unjam.track(promise, about) : promise;
}

/** @param {Promise<any>} answer */
async function next(answer) {
  return (await answer).next;
}

/** Sends again while there is no connection. @param {Payment} payment @returns {Promise<any>} */
async function untilOnline(payment) {
  for (;;) {
    try {
      return await request(payment);
    } catch (error) {
      if (!(error instanceof TypeError)) throw error;
      await pause(1_000);
    }
  }
}

/** @param {Payment} payment */
function freeze(payment) {
  setTimeout(() => {
    const until = performance.now() + FROZEN_MS;
    while (performance.now() < until);
  }, FREEZES_AFTER_MS);
  return pay(payment);
}

/** The answers are there; the page waits for a word that never stands in them. @param {Payment} payment */
async function neverUnderstood(payment) {
  await request(payment);
  for (let tries = 0; tries < 3; tries += 1) {
    const { status } = await ask(payment.addresses.status, undefined, payment.signal);
    if (status === "complete") return { next: payment.addresses.thanks };
    await pause(400);
  }
  return new Promise(() => {});
}

/** The message is on the page and nowhere else. @param {Payment} payment */
async function onlyShow(payment) {
  const attempt = window.Unjam?.attempt(payment.about);
  attempt?.stage("submitted");
  try {
    await request(payment);
  } catch (error) {
    payment.say(error.message);
  }
  return null;
}

/** 3-D Secure. @param {Payment} payment @param {string} how */
async function inFrame(payment, how) {
  const { attempt, page } = await beginApproval(payment);
  const frame = document.createElement("iframe");
  frame.title = "Your bank";
  frame.src = `${page}/frame?how=${how}`;
  document.getElementById("bank-frame")?.replaceChildren(frame);
  attempt?.stage("authenticating");
  await answered(payment);
  return conclude(payment, attempt);
}

/** @param {Payment} payment @param {string} how */
async function onItsPage(payment, how) {
  const { attempt, page } = await beginApproval(payment);
  attempt?.stage("authenticating");
  return `${page}/page?how=${how}`;
}

/** @param {Payment} payment */
async function inWindow(payment) {
  const { popup } = payment;
  const { attempt, page } = await beginApproval(payment);
  attempt?.popup(popup);
  if (popup) popup.location = `${page}/window?how=ask`;
  await Promise.race([answered(payment), closed(popup)]);
  return conclude(payment, attempt);
}

/** The shop prepares for so long that the browser no longer sees what the window has to do with the click. */
async function lateWindow(payment) {
  const { attempt, page } = await beginApproval(payment);
  await pause(POPUP_IS_PREPARED_MS[0]);
  attempt?.stage("authenticating");
  await pause(POPUP_IS_PREPARED_MS[1]);
  if (payment.signal.aborted) return new Promise(() => {});
  const popup = window.open(`${page}/window?how=ask`, "_blank", "width=440,height=420");
  attempt?.popup(popup);
  if (!popup) return new Promise(() => {});
  await Promise.race([answered(payment), closed(popup)]);
  return conclude(payment, attempt);
}

/** A part from the store account, the rest from the card. @param {Payment} payment */
async function inParts(payment) {
  const parts = { order: payment.about.order, provider: payment.about.provider, legs: 2 };
  await watched(request(payment, { leg: 1 }), { ...parts, method: "store_account", leg: 1 });
  return next(watched(request(payment, { leg: 2, method: "card" }), { ...parts, method: "card", leg: 2 }));
}

/** @param {Payment} payment */
async function beginApproval(payment) {
  const attempt = window.Unjam?.attempt(payment.about);
  attempt?.stage("submitted");
  try {
    const { page } = await request(payment);
    return { attempt, page };
  } catch (error) {
    attempt?.failed(error);
    throw error;
  }
}

/** What became of the payment that the customer was to approve. */
async function conclude({ addresses, signal }, attempt) {
  attempt?.stage("confirming");
  const { next: thanks } = await ask(addresses.status, undefined, signal);
  if (thanks) attempt?.paid();
  else attempt?.left();
  return thanks ?? null;
}

/** The bank's page says that it has an answer. @param {Payment} payment */
function answered({ addresses, signal }) {
  return new Promise((resolve) => {
    const hear = ({ origin, data }) => {
      if (origin === addresses.provider && data?.demoPay === "answered") resolve(undefined);
    };
    window.addEventListener("message", hear, { signal });
  });
}

/** @param {Window | null} popup */
async function closed(popup) {
  while (!popup?.closed) await pause(300);
}
