// The script inside our frame: the pill, the panel, and the talk with the shop's page (static/embed/mount.js).

/** @typedef {{key: string, order?: {order: string}}} Attempt */
/**
 * What the host has told of one attempt. `stall` is the kind and the stage of its last stall.
 *
 * @typedef {{attempt: Attempt, facts: object, stall: string, isPaid: boolean}} Known
 */

const ANSWERS_WITHIN_MS = 8000;
const COPIED_FOR_MS = 2000;
// Narrower than any panel: the frame still has the width of the pill.
const PILL_WIDTH = 300;

const { body } = document;
const pill = find("pill");
const pillText = find("pill-text");
const panel = find("panel");
const offline = /** @type {HTMLTemplateElement} */ (find("offline"));
const { htmx } = /** @type {any} */ (window);

const site = body.dataset.site || "";
const origins = (body.dataset.origins || "").split(" ").filter(Boolean);
const deadlines = JSON.parse(body.dataset.deadlines || "{}");
const calmText = pillText.textContent || "";
const stuckText = pillText.dataset.stuck || "Is your payment stuck?";
const skewMs = Date.now() - (Number(body.dataset.now) + performance.now() - answeredAt());

/** Where the shop's page is from, once it is known. */
let host = allowed(document.referrer && new URL(document.referrer).origin);
/** @type {Map<string, Known>} */
const known = new Map();
/** @type {Known} */
let shown = { attempt: { key: randomKey() }, facts: {}, stall: "", isPaid: false };
/** What the panel was loaded for, "" when it has to be loaded. */
let loadedFor = "";
/** @type {AbortController | undefined} */
let loading;
let sentSize = "";
// Until its content is known, the panel is as high as its first screen is likely to be, so that little jumps.
let panelHeight = 320;

const status = document.createElement("p");
status.className = "sr-only";
status.setAttribute("role", "status");

/** What the host may tell us. @type {{[type: string]: (message: any) => void}} */
const HEARD = {
  hello: ready,
  attempt({ attempt, facts }) {
    const before = known.get(attempt.key);
    shown = Object.assign(before || { stall: "", isPaid: false }, { attempt, facts: facts || {} });
    known.set(attempt.key, shown);
    if (!before) calm();
  },
  stage({ key }) {
    // Progress: what was stuck goes on.
    if (shown.attempt.key === key) calm();
  },
  stall({ key, kind, stage }) {
    shown = known.get(key) || shown;
    shown.stall = `${kind} ${stage}`;
    stuck();
  },
  over({ key, outcome }) {
    const about = known.get(key);
    if (!about || outcome !== "paid") return;
    about.isPaid = true;
    if (about === shown) calm();
    // An open panel must not go on offering ways to pay.
    if (about === shown && isOpen()) load();
  },
  open,
};

start();

function start() {
  body.append(status);
  addEventListener("message", hear);
  pill.addEventListener("click", open);
  body.addEventListener("click", press);
  addEventListener("keydown", (event) => {
    if (event.key === "Escape" && isOpen() && !event.defaultPrevented) close();
  });
  body.addEventListener("unjam:paid", (event) => {
    calm();
    post("paid", { order: detail(event).order || shown.attempt.order?.order });
  });
  body.addEventListener("unjam:retry", () => {
    post("retry");
    close();
  });
  body.addEventListener("unjam:method", (event) => post("method", { method: detail(event).method }));
  body.addEventListener("htmx:beforeSwap", (event) => {
    const swap = detail(event);
    // A failure that is not worded by us, a proxy's for instance, would take the place of what was typed.
    if (swap.xhr.status >= 500 && !swap.xhr.getResponseHeader("HX-Retarget")) {
      swap.shouldSwap = false;
      sayUnreachable();
    }
    swap.serverResponse = withoutAutofocus(swap.serverResponse);
  });
  body.addEventListener("htmx:afterSettle", focusContent);
  body.addEventListener("htmx:sendError", sayUnreachable);
  body.addEventListener("htmx:timeout", sayUnreachable);
  observeSize();
  ready();
}

/** @param {MessageEvent} event */
function hear({ source, origin, data }) {
  if (source !== parent || source === window || !allowed(origin) || data?.unjam !== 1) return;
  host = origin;
  HEARD[data.type]?.(data);
}

function ready() {
  post("ready", { deadlines, now: Math.round(Date.now() - skewMs) });
  sentSize = "";
  reportSize();
}

/** @param {string} type @param {object} [data] */
function post(type, data) {
  if (host && parent !== window) parent.postMessage({ unjam: 1, type, ...data }, host);
}

/** The pill, and nobody is alarmed. */
function calm() {
  body.classList.remove("is-stuck");
  pillText.textContent = calmText;
  status.textContent = "";
  reportSize();
}

function stuck() {
  body.classList.add("is-stuck");
  pillText.textContent = stuckText;
  // The pill's text is part of a button, which screen readers do not announce when it changes.
  if (!isOpen()) status.textContent = stuckText;
  reportSize();
}

function isOpen() {
  return body.classList.contains("is-open");
}

function open() {
  if (!isOpen()) {
    body.classList.add("is-open");
    panel.hidden = false;
    pill.setAttribute("aria-expanded", "true");
    status.textContent = "";
    reportSize();
  }
  if (loadedFor !== news()) load();
  else focusContent();
}

function close() {
  body.classList.remove("is-open");
  panel.hidden = true;
  pill.setAttribute("aria-expanded", "false");
  pill.focus();
  post("close");
  reportSize();
}

/** What the panel should be about: it is loaded again when this has changed. */
function news() {
  return [shown.attempt.key, shown.stall, shown.isPaid].join(" ");
}

/** Ask our server for the panel's first screen. */
async function load() {
  const wanted = news();
  const { attempt, facts } = shown;
  loading?.abort();
  const request = new AbortController();
  loading = request;
  fill(opening());
  panel.setAttribute("aria-busy", "true");
  panel.focus();
  const html = await ask({ site, attempt, facts }, request);
  if (loading !== request) return;
  panel.removeAttribute("aria-busy");
  loadedFor = html === undefined ? "" : wanted;
  if (html === undefined) fill(offline.content.cloneNode(true));
  else fillWith(html);
  focusContent();
}

/**
 * The answer's HTML, undefined when the server could not be reached in time or could not help.
 *
 * @param {object} opening
 * @param {AbortController} request
 * @returns {Promise<string | undefined>}
 */
async function ask(opening, request) {
  const timer = setTimeout(() => request.abort(), ANSWERS_WITHIN_MS);
  try {
    const headers = { "Content-Type": "application/json", "Unjam-Frame": "1" };
    const sent = { method: "POST", headers, body: JSON.stringify(opening), signal: request.signal };
    const response = await fetch("/panel", { ...sent, credentials: "omit", cache: "no-store" });
    return response.ok ? await response.text() : undefined;
  } catch {
    return undefined;
  } finally {
    clearTimeout(timer);
  }
}

/** What is seen while the server is asked: the panel's head, so that it can be closed, and one line. */
function opening() {
  const head = offline.content.querySelector(".panel-head")?.cloneNode(true);
  const line = document.createElement("p");
  line.className = "panel-body soft";
  line.textContent = panel.dataset.opening || "Opening payment help…";
  const content = document.createDocumentFragment();
  content.append(...(head ? [head] : []), line);
  return content;
}

/** @param {Node} content */
function fill(content) {
  panel.replaceChildren(content);
  panel.scrollTop = 0;
}

/** @param {string} html our own server's */
function fillWith(html) {
  panel.innerHTML = withoutAutofocus(html);
  panel.scrollTop = 0;
  htmx?.process(panel);
}

/**
 * Browsers refuse autofocus in a frame of another site, with an error in the shop's console; `focusContent` does it.
 *
 * @param {string} html
 */
function withoutAutofocus(html) {
  return html.replace(/(<h\d[^>]*) autofocus\b/g, "$1");
}

/** Lead the reader to the first words, unless they have already moved on to something. */
function focusContent() {
  const at = document.activeElement;
  // A pill that has just been hidden still counts as focused.
  if (!isOpen() || (at && at !== panel && at !== body && at !== pill)) return;
  const first = /** @type {HTMLElement} */ (panel.querySelector("h1") || panel);
  if (!first.hasAttribute("tabindex")) first.tabIndex = -1;
  first.focus();
}

/** @param {MouseEvent} event */
function press({ target }) {
  const pressed = target instanceof Element ? target.closest("[data-close], [data-again], [data-copy]") : null;
  if (!(pressed instanceof HTMLElement)) return;
  if (pressed.dataset.copy !== undefined) copy(pressed, pressed.dataset.copy);
  else if (pressed.hasAttribute("data-again")) load();
  else close();
}

/** @param {HTMLElement} button @param {string} text */
async function copy(button, text) {
  if (button.dataset.label !== undefined) return;
  const isCopied = await navigator.clipboard.writeText(text).then(
    () => true,
    () => copyBySelection(text),
  );
  if (!isCopied) return;
  button.dataset.label = button.textContent || "";
  button.textContent = "Copied";
  status.textContent = "Copied";
  setTimeout(() => {
    button.textContent = button.dataset.label || "";
    delete button.dataset.label;
    status.textContent = "";
  }, COPIED_FOR_MS);
}

/** The old way, for browsers that keep the clipboard from frames. @param {string} text */
function copyBySelection(text) {
  const at = document.activeElement;
  const field = document.createElement("textarea");
  field.className = "sr-only";
  field.value = text;
  panel.append(field);
  field.select();
  const isCopied = document.execCommand("copy");
  field.remove();
  if (at instanceof HTMLElement) at.focus();
  return isCopied;
}

/** Report every change of what is seen. */
function observeSize() {
  const sizes = new ResizeObserver(reportSize);
  const observeChildren = () => {
    // A panel at its greatest height keeps its own size when its content changes.
    for (const child of panel.children) sizes.observe(child);
    reportSize();
  };
  sizes.observe(pill);
  sizes.observe(panel);
  new MutationObserver(observeChildren).observe(panel, { childList: true });
}

function reportSize() {
  const size = isOpen() ? panelSize() : pillSize();
  if (sentSize === JSON.stringify(size)) return;
  sentSize = JSON.stringify(size);
  post("resize", size);
}

/** The pill with the room around it that its shadow takes. */
function pillSize() {
  const { right, bottom } = getComputedStyle(pill);
  const around = (/** @type {string} */ inset) => 2 * (Number.parseFloat(inset) || 0);
  return { state: "pill", width: pill.offsetWidth + around(right), height: pill.offsetHeight + around(bottom) };
}

/** The host gives the panel its width; while the frame is still the pill's, the height would be that of a column. */
function panelSize() {
  if (innerWidth > PILL_WIDTH) panelHeight = panel.scrollHeight + panel.offsetHeight - panel.clientHeight;
  return { state: "panel", width: innerWidth, height: panelHeight };
}

/** @param {string} origin @returns {string} the origin if the shop is served from it, else "" */
function allowed(origin) {
  return origins.includes(origin) ? origin : "";
}

/** When this page was answered, by performance.now(). */
function answeredAt() {
  const [navigation] = performance.getEntriesByType("navigation");
  return /** @type {PerformanceNavigationTiming | undefined} */ (navigation)?.responseStart || 0;
}

/** @param {Event} event */
function detail(event) {
  return /** @type {CustomEvent} */ (event).detail || {};
}

/** @param {string} id @returns {HTMLElement} */
function find(id) {
  return /** @type {HTMLElement} */ (document.getElementById(id));
}

function randomKey() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Above the screen that is open, which stays as it is with whatever was typed into it. */
function sayUnreachable() {
  const screen = document.getElementById("screen");
  const said = /** @type {HTMLTemplateElement} */ (find("unreachable")).content.firstElementChild;
  if (screen && said && !screen.querySelector("[data-unreachable]")) screen.prepend(said.cloneNode(true));
}
