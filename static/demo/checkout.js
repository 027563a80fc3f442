// The shop's own checkout: it asks for the payment, shows a spinner, and lets Unjam watch the promise it awaits.

import { ask, pause } from "./ask.js";
import { choose, scenario } from "./controls.js";
import { start } from "./payments.js";

const WAITING = "Processing your payment. Please keep this page open.";
const NO_CONNECTION = "We could not reach the payment service. Check your connection, then press Pay again.";
/** Scenarios in which the bank has the last word, as a demo control. */
const AT_BANK = ["hang_processing", "double"];
/** Scenarios in which the page does not show that it waits. */
const QUIET = ["rage", "double"];

const find = (id) => document.getElementById(id);
const form = find("checkout");
const fields = find("fields");
const payButton = find("pay");
const payText = find("pay-text");
const waiting = find("waiting");
const waitingText = find("waiting-text");
const bankFrame = find("bank-frame");
const notice = find("alert");
const email = find("email");
const emailError = find("email-error");
const bank = find("demo-bank");
const decided = find("demo-decided");
const cardForm = find("card-form");
const cardLoading = find("card-loading");

/** The try that is running: `abort` gives it up. */
let running = null;
/** The order as the shop's server signed it again, after the e-mail address was changed. */
let signed = null;
let saving = Promise.resolve(true);

async function pay(event) {
  event.preventDefault();
  // Opened on the click itself, as a browser wants it.
  const popup = scenario() === "popup_ok" && !running ? window.open("", "_blank", "width=440,height=420") : null;
  const isGuarded = scenario() !== "double";
  if ((running && isGuarded) || !(await saving)) return;
  const tried = new AbortController();
  begin(tried);
  try {
    const address = await start(payment(tried.signal, popup));
    if (running === tried) finish(address);
  } catch (error) {
    if (running === tried) fail(error);
  }
}

/** @returns {import("./payments.js").Payment} */
function payment(signal, popup) {
  const about = { method: method().value, provider: "demo", payment: form.dataset.payment };
  if (signed) about.order = signed;
  return {
    scenario: scenario(),
    method: method().value,
    addresses: form.dataset,
    about,
    signal,
    popup,
    say,
  };
}

/** @param {string | null} address null when the customer has changed their mind */
function finish(address) {
  if (address) location.assign(address);
  else release();
}

function begin(tried) {
  running = tried;
  bank.hidden = !AT_BANK.includes(scenario());
  say("");
  if (QUIET.includes(scenario())) return;
  fields.disabled = true;
  payButton.disabled = true;
  waiting.hidden = false;
  waitingText.textContent = WAITING;
  waiting.focus();
}

function release() {
  running?.abort();
  running = null;
  fields.disabled = false;
  payButton.disabled = false;
  waiting.hidden = true;
  bankFrame.replaceChildren();
  waitingText.textContent = "";
  payButton.focus();
}

function fail(error) {
  release();
  say(error instanceof TypeError ? NO_CONNECTION : error.message);
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

/** The card form comes from the provider's script, however late. */
async function waitForProvider() {
  while (!window.DemoPay) await pause(100);
  window.DemoPay.mount(cardForm);
  cardLoading.hidden = true;
  payButton.disabled = false;
}

/** A fault in the shop's script, on the very click that should pay. */
function breakOnClick(event) {
  if (scenario() !== "dead_button") return;
  event.preventDefault();
  const cart = undefined;
  cart.lines.forEach(() => {});
}

/** Unjam has made sure that nothing was charged; in the demo the next try goes through. */
function tryAgain() {
  release();
  say("");
  // Some go wrong for as long as they are tried.
  if (scenario() !== "decline_again") choose("ok");
}

/** @returns {Promise<boolean>} whether the address can be used */
async function saveEmail() {
  let words = "";
  try {
    signed = await ask(form.dataset.contact, { email: email.value });
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
    await ask(form.dataset.bank, { taken });
    decided.textContent = taken ? "The bank has taken the money." : "The bank has not taken the money.";
  } catch (error) {
    decided.textContent = error.message;
  }
}

form.addEventListener("submit", pay);
payButton.addEventListener("click", breakOnClick);
form.addEventListener("change", showMethod);
email.addEventListener("change", () => {
  saving = saveEmail();
});
for (const button of bank.querySelectorAll("button")) button.addEventListener("click", decide);

document.addEventListener("demo:scenario", (event) => prefer(event.detail.method));
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
payButton.disabled = Boolean(cardLoading);
if (cardLoading) waitForProvider();
showMethod();
