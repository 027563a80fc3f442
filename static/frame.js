// The script inside our frame: the pill, the panel, and the talk with the shop's page (static/embed/mount.js). What it
// knows of a frozen page comes from static/worker.js.

/** @typedef {{key: string, order?: {order: string}}} Attempt */
/**
 * What the host has told of one attempt. `facts` are those that only the host can see. `stall` is the kind and the stage
 * of its last stall. `isBack` when the page remembered it from before it was left.
 *
 * @typedef {{attempt: Attempt, facts: object, stall: string, isPaid: boolean, stage?: string, isReported?: boolean, isBack?: boolean}} Known
 */
/** @typedef {{source: "worker" | "frame", post: (message: object, ports?: MessagePort[]) => void}} Watcher */

// Chromium paints an opaque sheet behind a frame whose colour scheme differs from its element's: hence both schemes.
const LAYER = "all:initial;position:fixed;bottom:0;border:0;z-index:2147483647;color-scheme:light dark;right:0;";
const ANSWERS_WITHIN_MS = 8000;
const WORKER_STARTS_WITHIN_MS = 8000;
const FACTS_WITHIN_MS = 2000;
const FROZEN_SECONDS = 2.25;
const BEFORE_PAY = ["started", "sdk"];
const COPIED_FOR_MS = 2000;
// Narrower than any panel: the frame still has the width of the pill.
const PILL_WIDTH = 300;

const { body } = document;
const pill = find("pill");
const pillText = find("pill-text");
const panel = find("panel");
const frozen = /** @type {HTMLAnchorElement} */ (find("frozen"));
const offline = /** @type {HTMLTemplateElement} */ (find("offline"));
const { htmx } = /** @type {any} */ (window);

const site = body.dataset.site || "";
const origins = (body.dataset.origins || "").split(" ").filter(Boolean);
const deadlines = JSON.parse(body.dataset.deadlines || "{}");
const sdks = JSON.parse(body.dataset.sdks || "[]");
const calmText = pillText.textContent || "";
const stuckText = pillText.dataset.stuck || "";
const skewMs = Date.now() - (Number(body.dataset.now) + performance.now() - answeredAt());

// Below this width of the window, the panel is a sheet at its lower edge. The host cannot ask for the width while it
// styles an element, so the sums do: HUGE is 0 px on a wide window and thousands on a narrow one, GAP the reverse.
const HUGE = "max(0px,(481px - 100vw)*999)";
const GAP = "clamp(0px,(100vw - 480px)*999,16px)";
const CORNER = "right:calc(8px + env(safe-area-inset-right,0px));bottom:calc(8px + env(safe-area-inset-bottom,0px));";
// A shadow of the pill's own would be cut off at the edge of the frame.
const PILL = `${CORNER}max-width:100vw;filter:drop-shadow(0 2px 6px rgb(20 24 31/22%));`;
const PANEL =
  `right:${GAP};bottom:${GAP};width:min(100%,400px + ${HUGE});border-radius:16px 16px ${GAP} ${GAP};` +
  "box-shadow:0 1px 2px rgb(20 24 31/12%),0 8px 28px rgb(20 24 31/18%);" +
  // dvh is the height that the address bar leaves; a browser that does not know it keeps the line before.
  ["vh", "dvh"]
    .map((unit) => `max-height:min(680px + ${HUGE},100${unit} - min(32px + ${HUGE},max(32px,8${unit})));`)
    .join("");

/** The way to the host, once it has said hello. @type {MessagePort | undefined} */
let talk;
/** @type {Promise<Watcher> | undefined} */
let watcher;
/** Done when this browser is known. @type {Promise<void> | undefined} */
let looking;
/** @type {Watcher["source"] | undefined} */
let watchedBy;
let protection = "";
/** @type {{[name: string]: unknown}} */
let deviceFacts = {};
/** @type {Map<string, Known>} */
const known = new Map();
/** @type {Known} */
let shown = { attempt: { key: randomKey() }, facts: {}, stall: "", isPaid: false };
/** What the panel was loaded for, "" when it has to be loaded. */
let loadedFor = "";
/** @type {AbortController | undefined} */
let loading;
/** Tells the host that the order is paid, while the customer has yet to read what else there is to say. @type {(() => void) | undefined} */
let untold;
/** The attempts and orders of which the host knows from us that they are paid. @type {Set<string>} */
const toldPaid = new Set();
let sentCss = "";
// Until its content is known, the panel is as high as its first screen is likely to be, so that little jumps.
let panelHeight = 320;

const status = document.createElement("p");
status.className = "sr-only";
status.setAttribute("role", "status");

/** What the host may tell us. @type {{[type: string]: (message: any) => void}} */
const HEARD = {
  attempt({ attempt, facts }) {
    const before = known.get(attempt.key);
    shown = Object.assign(before || { stall: "", isPaid: false }, { attempt, facts: facts || {} });
    known.set(attempt.key, shown);
    tellWatcher({ type: "attempt", attempt });
    if (!before) calm();
  },
  stage({ key, stage }) {
    const about = known.get(key);
    if (about) about.stage = stage;
    // Before Pay is pressed, nothing about this browser matters to anybody.
    if (!BEFORE_PAY.includes(stage)) reportFacts(key);
    // Progress: what was stuck goes on.
    if (shown.attempt.key === key) calm();
  },
  failed: ({ key }) => HEARD.stall({ key, kind: "failed", stage: "" }),
  stall({ key, kind, stage }) {
    shown = known.get(key) || shown;
    shown.stall = `${kind} ${stage}`;
    reportFacts(key);
    stuck();
  },
  paid({ key }) {
    const about = known.get(key);
    if (!about) return;
    about.isPaid = true;
    if (about === shown) calm();
    // An open panel must not go on offering ways to pay.
    if (about === shown && isOpen()) load();
  },
  open,
  back: greet,
};

/** What the watcher may tell us. @type {{[type: string]: (told: any) => void}} */
const TOLD = {
  alive() {
    thaw();
    // From now on the page may freeze, and the host with it: the frame has to have room for what it would say then.
    body.classList.add("is-armed");
    reportSize();
  },
  idle() {
    thaw();
    body.classList.remove("is-armed");
    reportSize();
  },
  frozen: ({ keys }) => freeze(keys.includes(shown.attempt.key) ? shown.attempt.key : keys[0]),
};

// Not at once: WebKit runs this script while a sheet is still on its way, and we look for the sheet. The host speaks later.
addEventListener("load", start);

function start() {
  // Without its sheet, what the frame shows is no pill: the host never hears of it and keeps it unseen.
  if (getComputedStyle(pill).position !== "fixed") return;
  body.append(status);
  addEventListener("message", hear);
  pill.addEventListener("click", open);
  body.addEventListener("click", press);
  addEventListener("keydown", (event) => {
    if (event.key === "Escape" && isOpen() && !event.defaultPrevented) close();
  });
  body.addEventListener("unjam:paid", hearOfPaid);
  body.addEventListener("unjam:retry", () => {
    post("retry");
    calm();
    close();
  });
  body.addEventListener("unjam:method", (event) => {
    post("method", { method: detail(event).method });
    // The customer goes on at the checkout: nothing is stuck, and the pill must not ask so over its Pay button.
    calm();
  });
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
}

/** The host's hello: two ports, one to talk and one for its beats. @param {MessageEvent} event */
function hear({ source, origin, data, ports: [talking, pulse] }) {
  if (source !== parent || source === window || !origins.includes(origin)) return;
  if (data?.unjam !== 1 || data.type !== "hello" || !pulse) return;
  talk?.close();
  talk = talking;
  talk.onmessage = (message) => HEARD[message.data?.type]?.(message.data);
  watcher ??= startWatcher();
  watcher.then(({ source: by, post: tell }) => {
    const frozenSeconds = deadlines.frozen || FROZEN_SECONDS;
    const setup = { base: location.origin, site, token: body.dataset.token, frozenSeconds, source: by };
    tell({ type: "setup", setup, port: pulse }, [pulse]);
  }, ignore);
  looking ??= lookAround().catch(ignore);
  post("ready", { deadlines, sdks, now: Math.round(Date.now() - skewMs) });
  sentCss = "";
  reportSize();
}

/** @param {string} type @param {object} [data] */
function post(type, data) {
  talk?.postMessage({ type, ...data });
}

/**
 * What watches the beats: a worker if this browser lets our frame have one, else the same code in here.
 *
 * @returns {Promise<Watcher>} rejected when its code cannot be had
 */
async function startWatcher() {
  const url = new URL(body.dataset.worker || "", location.href).href;
  // A sandboxed frame has an origin of its own, to which our server's files are strangers: there the worker is made of a
  // blob that imports them. Not a blob that is a module: Chromium does not let an opaque origin have one.
  const words = `import(${JSON.stringify(url)}).catch(() => postMessage({ type: "down" }))`;
  const blob = new Blob([words], { type: "text/javascript" });
  const worker = (await workerFrom(url, "module")) || (await workerFrom(URL.createObjectURL(blob), "classic"));
  watchedBy = worker ? "worker" : "frame";
  if (worker) return { source: "worker", post: (message, ports = []) => worker.postMessage(message, ports) };
  const { serve } = await import(url);
  return { source: "frame", post: serve(heed) };
}

/**
 * @param {string} url
 * @param {WorkerType} type
 * @returns {Promise<Worker | undefined>} as soon as it runs; undefined when it does not
 */
function workerFrom(url, type) {
  return new Promise((resolve) => {
    try {
      const worker = new Worker(url, { type });
      const giveUp = () => {
        worker.terminate();
        resolve(undefined);
      };
      const timer = setTimeout(giveUp, WORKER_STARTS_WITHIN_MS);
      worker.onerror = giveUp;
      worker.onmessage = ({ data }) => {
        clearTimeout(timer);
        if (data.type === "up") resolve(worker);
        else if (data.type === "down") giveUp();
        else heed(data);
      };
    } catch {
      resolve(undefined);
    }
  });
}

/** @param {{type: string}} told by the watcher */
function heed(told) {
  TOLD[told.type]?.(told);
}

/** @param {object} message */
function tellWatcher(message) {
  watcher?.then(({ post: tell }) => tell(message), ignore);
}

/** Learn about this browser beforehand, so that a report does not have to wait. */
async function lookAround() {
  const device = await import(new URL(body.dataset.device || "", location.href).href);
  deviceFacts = await device.gather();
  await watcher;
  protection = device.protection(body.dataset.relation || "", watchedBy === "worker");
}

/** All that is known of this browser, with the host's view of the page. @param {Known} about */
function factsOf({ facts }) {
  const clock_skew = Math.round(skewMs / 100) / 10;
  return { ...deviceFacts, online: navigator.onLine, clock_skew, ...(protection && { protection }), ...facts };
}

/** Once for each attempt. @param {string} key */
function reportFacts(key) {
  const about = known.get(key);
  if (!about || about.isReported) return;
  about.isReported = true;
  const inTime = new Promise((resolve) => setTimeout(resolve, FACTS_WITHIN_MS));
  Promise.race([looking, inTime]).then(() => tellWatcher({ type: "facts", key, facts: factsOf(about) }), ignore);
}

/**
 * The shop's page has frozen. Nothing can be asked of the host now, neither a size nor anything else, so the words take
 * the place that the pill has. Their link opens the help in a new tab.
 *
 * @param {string} key
 */
function freeze(key) {
  frozen.href = body.dataset.rescue + key;
  frozen.hidden = false;
  body.classList.add("is-frozen");
  const words = frozen.textContent || "";
  if (isOpen()) sayFrozen();
  else status.textContent = words;
  if (document.activeElement === pill) frozen.focus();
}

/** The page goes on. */
function thaw() {
  if (frozen.hidden) return;
  const hadFocus = document.activeElement === frozen;
  frozen.hidden = true;
  body.classList.remove("is-frozen");
  status.textContent = "";
  panel.querySelector("[data-frozen]")?.remove();
  if (hadFocus) pill.focus();
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

/**
 * The order is paid. The shop's page goes on at once when it hears that, so where more was taken than the order is worth
 * it hears it when the panel is closed: by then that was read.
 *
 * @param {Event} event
 */
function hearOfPaid(event) {
  const { order, once_read } = detail(event);
  const { attempt, isBack } = shown;
  calm();
  const tell = () => tellPaid(order || attempt.order?.order, isBack);
  if (!once_read) return tell();
  const about = `${attempt.key} ${order}`;
  untold = () => {
    if (!toldPaid.has(about)) tell();
    toldPaid.add(about);
  };
  if (!isOpen()) body.addEventListener("htmx:afterSettle", unfoldUnasked, { once: true });
}

/** @param {string | undefined} order @param {boolean | undefined} isBack */
function tellPaid(order, isBack) {
  // Of a remembered attempt only the key is known, and the page may be about another order by now.
  if (order || !isBack) post("paid", { order });
  if (isBack) post("forget");
}

function tellUntold() {
  untold?.();
  untold = undefined;
}

/** For what must be read. The focus stays where it is, as nobody asked for this. */
function unfoldUnasked() {
  if (isOpen()) return;
  unfold();
  status.textContent = panel.querySelector("h1")?.textContent || "";
}

function isOpen() {
  return body.classList.contains("is-open");
}

function open() {
  if (!isOpen()) unfold();
  if (loadedFor !== news()) load();
  else focusContent();
}

function unfold() {
  body.classList.add("is-open");
  panel.hidden = false;
  pill.setAttribute("aria-expanded", "true");
  status.textContent = "";
  reportSize();
}

/**
 * The customer is back on the page that they had left in the middle of a payment: say what became of it, if there is
 * something to say. The focus stays where it is, as nobody asked for this.
 *
 * @param {{key: string}} said
 */
async function greet({ key }) {
  const about = known.get(key) || { attempt: { key }, facts: {}, stall: "", isPaid: false };
  const opening = { site, attempt: about.attempt, facts: factsOf(about), back: true };
  const answer = await ask(opening, new AbortController());
  if (answer?.status === 204) post("forget");
  // By now they may be reading something else, or have begun to pay again.
  if (!answer?.html || isOpen() || body.classList.contains("is-armed")) return;
  about.isBack = true;
  known.set(key, about);
  shown = about;
  loadedFor = news();
  unfold();
  fillWith(answer.html);
  status.textContent = panel.dataset.back || "";
  if (answer.trigger) announce(answer.trigger);
}

function close() {
  body.classList.remove("is-open");
  panel.hidden = true;
  pill.setAttribute("aria-expanded", "false");
  pill.focus();
  post("close");
  reportSize();
  tellUntold();
}

/** What the panel should be about: it is loaded again when this has changed. */
function news() {
  return [shown.attempt.key, shown.stall, shown.isPaid].join(" ");
}

/** Ask our server for the panel's first screen. */
async function load() {
  const wanted = news();
  const { attempt } = shown;
  const facts = factsOf(shown);
  // Only the page knows whether Pay was pressed.
  const stage = known.has(attempt.key) ? shown.stage || "started" : undefined;
  loading?.abort();
  const request = new AbortController();
  loading = request;
  fill(opening());
  panel.setAttribute("aria-busy", "true");
  panel.focus();
  const answer = await ask({ site, attempt, facts, stage }, request);
  if (loading !== request) return;
  panel.removeAttribute("aria-busy");
  loadedFor = answer ? wanted : "";
  if (answer) fillWith(answer.html);
  else fill(offline.content.cloneNode(true));
  focusContent();
}

/**
 * The answer, undefined when the server could not be reached in time or could not help.
 *
 * @param {object} opening
 * @param {AbortController} request
 * @returns {Promise<{status: number, html: string, trigger: string} | undefined>}
 */
async function ask(opening, request) {
  const timer = setTimeout(() => request.abort(), ANSWERS_WITHIN_MS);
  try {
    const headers = { "Content-Type": "application/json", "Unjam-Frame": "1" };
    const sent = { method: "POST", headers, body: JSON.stringify(opening), signal: request.signal };
    const response = await fetch("/panel", { ...sent, credentials: "omit", cache: "no-store" });
    if (!response.ok) return undefined;
    const trigger = response.headers.get("HX-Trigger") || "";
    return { status: response.status, html: await response.text(), trigger };
  } catch {
    return undefined;
  } finally {
    clearTimeout(timer);
  }
}

/** Let everybody know what an answer says has happened, as htmx does with its own. @param {string} trigger */
function announce(trigger) {
  const events = trigger.startsWith("{") ? JSON.parse(trigger) : { [trigger]: {} };
  for (const [name, said] of Object.entries(events)) body.dispatchEvent(new CustomEvent(name, { detail: said }));
}

/** What is seen while the server is asked: the panel's head, so that it can be closed, and one line. */
function opening() {
  const head = offline.content.querySelector(".panel-head")?.cloneNode(true);
  const line = document.createElement("p");
  line.className = "panel-body soft";
  line.textContent = panel.dataset.opening || "";
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
  // The words of this page stand in it, so that they are in its reader's language.
  button.textContent = panel.dataset.copied || "";
  status.textContent = panel.dataset.copied || "";
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
  const css = isOpen() ? panelCss() : pillCss();
  if (sentCss === css) return;
  sentCss = css;
  post("resize", { css: LAYER + css });
}

/** The pill with the room around it that its shadow takes. */
function pillCss() {
  // Its own side is the left one where the language runs from right to left.
  const { insetInlineEnd, bottom } = getComputedStyle(pill);
  const around = (/** @type {string} */ inset) => 2 * (Number.parseFloat(inset) || 0);
  return `${PILL}width:${pill.offsetWidth + around(insetInlineEnd)}px;height:${pill.offsetHeight + around(bottom)}px;`;
}

/** The host gives the panel its width; while the frame is still the pill's, the height would be that of a column. */
function panelCss() {
  if (innerWidth > PILL_WIDTH) panelHeight = panel.scrollHeight + panel.offsetHeight - panel.clientHeight;
  return `${PANEL}height:${panelHeight}px;`;
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

/** Above the screen that is open: it goes on living while the shop's page does not. */
function sayFrozen() {
  if (panel.querySelector("[data-frozen]")) return;
  const said = /** @type {HTMLTemplateElement} */ (find("frozen-notice")).content.cloneNode(true);
  panel.querySelector(".panel-body")?.prepend(said);
  for (const link of panel.querySelectorAll("a[data-rescue]")) link.setAttribute("href", frozen.href);
}

function ignore() {}
