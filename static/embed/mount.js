import { guard } from "./guard.js";
import { listen } from "./listen.js";

/** @typedef {{type: string, [name: string]: any}} Message */

const NARROW = "(max-width: 480px)";
const MAX_PILL_WIDTH = 360;
const MAX_PILL_HEIGHT = 120;

const SHADOW = "0 1px 2px rgb(20 24 31 / 12%), 0 8px 28px rgb(20 24 31 / 18%)";
const FIXED = {
  all: "initial",
  position: "fixed",
  "z-index": "2147483647",
  border: "0",
  // Chromium paints an opaque sheet behind a frame whose colour scheme differs from its element's.
  "color-scheme": "light dark",
  background: "transparent",
  "box-shadow": SHADOW,
};
const CORNER = { left: "auto", right: "calc(16px + env(safe-area-inset-right, 0px))" };
const BOTTOM = { bottom: "calc(16px + env(safe-area-inset-bottom, 0px))" };
const HIDDEN = { visibility: "hidden", width: "1px", height: "1px" };
const PANEL = { width: "400px", "max-height": "min(680px, 100vh - 32px)", "border-radius": "16px" };
const SHEET = { left: "0", right: "0", bottom: "0", width: "100%", "border-radius": "16px 16px 0 0" };

/** @type {HTMLIFrameElement | undefined} */
let frame;
let origin = "";
// What it says before it is ready cannot be heard; a refused frame never is.
let isReady = false;

export function isMounted() {
  return !!frame;
}

/**
 * Mount the frame, unseen until it says that it is ready. It has to be there before anything is stuck: a frozen page
 * can mount nothing any more.
 *
 * @param {string} base the origin of Unjam
 * @param {string} site
 * @param {(message: Message) => void} heard called with every message of our frame
 * @returns {() => void} unmount
 */
export function mount(base, site, heard) {
  const made = document.createElement("iframe");
  frame = made;
  origin = base;
  made.title = "Payment help";
  made.allow = "clipboard-write";
  made.referrerPolicy = "origin";
  // A lazy frame does not hold up the load event of the shop's page, even when our server hangs.
  made.setAttribute("loading", "lazy");
  made.src = `${base}/frame/${encodeURIComponent(site)}`;
  style(made, FIXED, CORNER, BOTTOM, HIDDEN);
  const narrow = matchMedia(NARROW);
  /** @type {Message} */
  let size = { type: "resize", state: "pill", width: 0, height: 0 };
  let pill = size;
  const layOut = () => isReady && style(made, FIXED, ...shape(size, narrow.matches));
  const hear = (/** @type {Message} */ message) => {
    if (message.type === "ready") isReady = true;
    if (message.type === "resize") size = message;
    if (message.type === "close") size = pill;
    if (size.state === "pill") pill = size;
    layOut();
    heard(message);
  };
  const insert = () => frame === made && document.body.append(made);
  const ends = [
    listen(window, "message", ({ source, origin: from, data }) => {
      if (source === made.contentWindow && from === base && data && data.unjam === 1) hear(data);
    }),
    listen(made, "load", () => isReady || send("hello", {})),
    listen(narrow, "change", layOut),
    listen(document, "DOMContentLoaded", () => made.isConnected || insert()),
  ];
  if (document.body) guard(insert)();
  return () => {
    ends.forEach((end) => end());
    made.remove();
    frame = undefined;
    isReady = false;
  };
}

/**
 * Tell the frame, if it listens yet. Returns whether it does.
 *
 * @param {string} type
 * @param {object} data
 */
export function post(type, data) {
  if (isReady) send(type, data);
  return isReady;
}

/** Give the frame the keyboard. */
export function focus() {
  if (frame && isReady) frame.focus();
}

/** @param {string} type @param {object} data */
function send(type, data) {
  if (frame && frame.contentWindow) frame.contentWindow.postMessage({ unjam: 1, type, ...data }, origin);
}

/** @param {Message} size @param {boolean} isNarrow */
function shape({ state, width, height }, isNarrow) {
  if (state === "panel") return [CORNER, BOTTOM, PANEL, { height: px(height) }, ...(isNarrow ? [SHEET, tallest()] : [])];
  if (!(width > 0 && height > 0)) return [CORNER, BOTTOM, HIDDEN];
  return [
    CORNER,
    BOTTOM,
    { width: px(Math.min(width, MAX_PILL_WIDTH)), height: px(Math.min(height, MAX_PILL_HEIGHT)), "border-radius": "999px" },
  ];
}

function tallest() {
  // Not every browser knows dvh, the height that is left by the address bar.
  return { "max-height": CSS.supports("height", "1dvh") ? "92dvh" : "92vh" };
}

/** @param {number} length */
function px(length) {
  return `${Math.max(0, Math.ceil(Number(length) || 0))}px`;
}

/**
 * Through CSSOM, which no content security policy forbids; important, so that the shop's own sheet changes nothing.
 *
 * @param {HTMLElement} element
 * @param {...{[property: string]: string}} styles later ones win
 */
function style(element, ...styles) {
  const wanted = Object.assign({}, ...styles);
  element.style.cssText = "";
  for (const [property, value] of Object.entries(wanted)) element.style.setProperty(property, value, "important");
}
