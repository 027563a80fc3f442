/**
 * What makes the desk quick: keys, and care for what was typed when a request fails. Without it every link and form
 * still works.
 */

const KEYS_OFF = "unjam.desk.keys-off";
const TYPING = "input, textarea, select, [contenteditable]";
const NOT_SENT = "That did not arrive. Nothing you typed is lost: wait a moment, then try again.";

/** @type {Record<string, () => void>} */
const KEYS = {
  j: () => step(1),
  k: () => step(-1),
  r: () => focusOn("#words"),
  "/": () => focusOn("#search"),
  "?": showKeys,
};

document.addEventListener("keydown", onKey);
document.addEventListener("click", onClick);
document.addEventListener("change", onChange);
document.addEventListener("htmx:afterSwap", onSwap);
document.addEventListener("htmx:beforeSwap", keepTyped);
document.addEventListener("htmx:sendError", () => warn(NOT_SENT));
reveal();

/** @param {KeyboardEvent} event */
function onKey(event) {
  const target = /** @type {HTMLElement} */ (event.target);
  if (target.closest("dialog[open]")) return;
  if (target.id === "words") {
    if (event.key === "Escape") target.blur();
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) click("#send-reply", event);
    return;
  }
  if (event.ctrlKey || event.metaKey || event.altKey || target.closest(TYPING) || areKeysOff()) return;
  const act = KEYS[event.key];
  if (!act) return;
  event.preventDefault();
  act();
}

/** @param {MouseEvent} event */
function onClick(event) {
  const target = /** @type {HTMLElement} */ (event.target);
  if (target.closest("[data-show-keys]")) showKeys();
}

/** @param {Event} event */
function onChange(event) {
  const target = /** @type {HTMLInputElement} */ (event.target);
  if (target.id === "single-keys") localStorage.setItem(KEYS_OFF, target.checked ? "" : "yes");
}

/**
 * After the pane was swapped, mark its line; where the pane covers the list, the focus goes with the eye.
 * @param {Event} event
 */
function onSwap(event) {
  reveal();
  if (/** @type {HTMLElement} */ (event.target).id !== "pane") return;
  const shown = document.querySelector("[data-ticket]")?.getAttribute("data-ticket");
  for (const line of lines()) {
    line.toggleAttribute("aria-current", false);
    if (line.id === `line-${shown}`) line.setAttribute("aria-current", "true");
  }
  const isListHidden = document.querySelector("[data-list]")?.getClientRects().length === 0;
  if (isListHidden && !document.querySelector("#pane [autofocus]")) focusOn("[data-ticket-title]");
}

/**
 * A page about a failure must not replace the pane and the words in it.
 * @param {Event} event
 */
function keepTyped(event) {
  const detail = /** @type {CustomEvent} */ (event).detail;
  if (detail.xhr.status < 500 && detail.xhr.status !== 429) return;
  detail.shouldSwap = false;
  warn(NOT_SENT);
}

/** @param {string} words */
function warn(words) {
  const notice = document.createElement("p");
  notice.className = "notice notice-bad";
  notice.setAttribute("role", "alert");
  notice.textContent = words;
  document.querySelector("#alert")?.replaceChildren(notice);
}

/** @param {number} by */
function step(by) {
  const all = lines();
  const focused = all.indexOf(/** @type {HTMLElement} */ (document.activeElement));
  const from = focused >= 0 ? focused : all.findIndex((line) => line.hasAttribute("aria-current"));
  const next = from < 0 ? 0 : Math.min(Math.max(from + by, 0), all.length - 1);
  all[next]?.focus();
}

function lines() {
  return /** @type {HTMLElement[]} */ ([...document.querySelectorAll("[data-line]")]);
}

/** @param {string} selector */
function focusOn(selector) {
  /** @type {HTMLElement | null} */ (document.querySelector(selector))?.focus();
}

/**
 * @param {string} selector
 * @param {Event} event
 */
function click(selector, event) {
  event.preventDefault();
  /** @type {HTMLElement | null} */ (document.querySelector(selector))?.click();
}

function showKeys() {
  const dialog = /** @type {HTMLDialogElement | null} */ (document.querySelector("#keys"));
  const single = /** @type {HTMLInputElement | null} */ (document.querySelector("#single-keys"));
  if (single) single.checked = !areKeysOff();
  dialog?.showModal();
}

/** What is of use only with this script. */
function reveal() {
  for (const each of document.querySelectorAll("[data-show-keys], [data-keys-hint]")) each.removeAttribute("hidden");
}

function areKeysOff() {
  return localStorage.getItem(KEYS_OFF) === "yes";
}

export {};
