// The shop's own checkout: it asks for the payment, shows a spinner, and lets Unjam watch the promise it awaits.

import { choose, scenario } from "./controls.js";

const WAITING = "Processing your payment. Please keep this page open.";
const NO_CONNECTION = "We could not reach the payment service. Check your connection, then press Pay again.";

const find = (id) => document.getElementById(id);
const form = find("checkout");
const fields = find("fields");
const payButton = find("pay");
const payText = find("pay-text");
const waiting = find("waiting");
const waitingText = find("waiting-text");
const notice = find("alert");
const email = find("email");
const emailError = find("email-error");
const bank = find("demo-bank");
const decided = find("demo-decided");

/** The try that is running: `request` aborts it. */
let running = null;
/** The order as the shop's server signed it again, after the e-mail address was changed. */
let signed = null;
let saving = Promise.resolve(true);

class PaymentFailed extends Error {
  constructor({ code, message }) {
    super(message);
    this.code = code;
  }
}

async function send(url, body, signal) {
  const headers = { "Content-Type": "application/json" };
  const response = await fetch(url, { method: "POST", headers, body: JSON.stringify(body), signal });
  const answer = await response.json();
  if (!response.ok) throw new PaymentFailed(answer.error);
  return answer;
}

/** The provider's answer. A try that was given up never settles, so it cannot disturb the one after it. */
async function payment(request) {
  try {
    return await send(form.dataset.pay, { method: method().value, scenario: scenario() }, request.signal);
  } catch (error) {
    if (request.signal.aborted) return new Promise(() => {});
    throw error;
  }
}

async function pay(event) {
  event.preventDefault();
  if (running || !(await saving)) return;
  const request = new AbortController();
  const promise = payment(request);
  begin(request);
  try {
    const answer = await watched(promise);
    if (running === request) location.assign(answer.next);
  } catch (error) {
    if (running === request) fail(error);
  }
}

function watched(promise) {
  const about = { method: method().value, provider: "demo", payment: form.dataset.payment };
  if (signed) about.order = signed;
  return window.Unjam ? window.Unjam.track(promise, about) : promise;
}

function begin(request) {
  running = request;
  say("");
  fields.disabled = true;
  payButton.disabled = true;
  waiting.hidden = false;
  waitingText.textContent = WAITING;
  waiting.focus();
  bank.hidden = scenario() !== "hang_processing";
}

function release() {
  running?.abort();
  running = null;
  fields.disabled = false;
  payButton.disabled = false;
  waiting.hidden = true;
  waitingText.textContent = "";
  payButton.focus();
}

function fail(error) {
  release();
  say(error instanceof PaymentFailed ? error.message : NO_CONNECTION);
  notice.focus();
}

function say(words) {
  notice.textContent = words;
  notice.hidden = !words;
}

function method() {
  return form.querySelector('input[name="method"]:checked');
}

function showMethod() {
  const { value, dataset } = method();
  payText.textContent = `Pay ${payText.dataset.amount}${value === "card" ? "" : ` with ${dataset.label}`}`;
}

/** Prefer this method; one that the shop does not have changes nothing. */
function prefer(wanted) {
  const radio = [...form.querySelectorAll('input[name="method"]')].find((each) => each.value === wanted);
  if (radio) radio.checked = true;
  showMethod();
}

/** Unjam has made sure that nothing was charged; in the demo the next try goes through. */
function tryAgain() {
  release();
  say("");
  choose("ok");
}

/** @returns {Promise<boolean>} whether the address can be used */
async function saveEmail() {
  let words = "";
  try {
    signed = await send(form.dataset.contact, { email: email.value });
  } catch (error) {
    if (error.code === "email_invalid") words = error.message;
  }
  emailError.textContent = words;
  emailError.hidden = !words;
  email.toggleAttribute("aria-invalid", Boolean(words));
  if (words) {
    email.setAttribute("aria-invalid", "true");
    email.focus();
  }
  return !words;
}

async function decide(event) {
  const taken = event.currentTarget.dataset.taken === "yes";
  try {
    await send(form.dataset.bank, { taken });
    decided.textContent = taken ? "The bank has taken the money." : "The bank has not taken the money.";
  } catch (error) {
    decided.textContent = error.message;
  }
}

form.addEventListener("submit", pay);
form.addEventListener("change", showMethod);
email.addEventListener("change", () => {
  saving = saveEmail();
});
for (const button of bank.querySelectorAll("button")) button.addEventListener("click", decide);

document.addEventListener("unjam:retry", tryAgain);
document.addEventListener("unjam:paid", () => location.assign(form.dataset.thanks));
document.addEventListener("unjam:method", (event) => {
  tryAgain();
  prefer(event.detail?.method);
});
// Coming back by the Back button shows a page that was left while it waited.
window.addEventListener("pageshow", (event) => {
  if (event.persisted) location.reload();
});
// Firefox keeps controls disabled over a reload.
fields.disabled = false;
payButton.disabled = false;
showMethod();
