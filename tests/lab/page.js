// What the lab's cases share: short names, and the wallets' real interfaces with devices that are made up.
const $ = (css) => document.querySelector(css);
const wait = (ms) => new Promise((done) => setTimeout(done, ms));
const post = (path) =>
  fetch(path, { method: "POST" }).then(async (answer) => {
    const said = await answer.json();
    if (!answer.ok) throw Object.assign(new Error(said.message || "The payment failed"), said);
    return said;
  });
// Calls back on each press of Pay, instead of sending the form.
const onPay = (act) =>
  $("#checkout").addEventListener("submit", (event) => {
    event.preventDefault();
    act(event);
  });
const block = (ms) => {
  for (const until = performance.now() + ms; performance.now() < until; );
};
const frame = (src) => {
  const made = Object.assign(document.createElement("iframe"), { src, className: "bank", title: "Your bank" });
  document.body.append(made);
  return made;
};
// Resolves when the provider's frame says so.
const heard = (word) =>
  new Promise((done) => addEventListener("message", ({ data }) => data === word && done()));
const seen = [];
document.addEventListener("unjam:stalled", ({ detail }) => seen.push({ ...detail, at: Date.now() }));
// When Pay was pressed last, for what is counted from then.
addEventListener("click", () => { window.pressedAt = Date.now(); }, true);

class FakeApplePaySession extends EventTarget {
  static STATUS_SUCCESS = 0;
  static STATUS_FAILURE = 1;
  static canMakePayments = () => true;
  static supportsVersion = () => true;
  begin() {
    setTimeout(() => this.say("validatemerchant", { validationURL: "https://apple-pay-gateway.apple.com/" }), 50);
  }
  completeMerchantValidation() {
    this.isValidated = true;
  }
  completePayment() {}
  abort() {}
  say(name, data = {}) {
    const event = Object.assign(new Event(name), data);
    this[`on${name}`]?.(event);
    this.dispatchEvent(event);
  }
}

// A driver may run its scripts beside the page's, where only what is on the window is seen.
Object.assign(window, { $, seen });
// When Unjam's frame had loaded, which brings the deadlines: a provider's script is waited for from then on.
new MutationObserver(() => {
  for (const frame of document.querySelectorAll("iframe:not(.bank)"))
    frame.addEventListener("load", () => { window.armedAt ||= Date.now(); });
}).observe(document, { childList: true, subtree: true });
