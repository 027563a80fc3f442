import { listen } from "./listen.js";

/** @typedef {{type: string, [name: string]: any}} Message */

const NARROW = "(max-width: 480px)";
const MAX_LOG = 50;

// Chromium paints an opaque sheet behind a frame whose colour scheme differs from its element's: hence both schemes.
const FIXED =
  "all:initial;position:fixed;z-index:2147483647;border:0;color-scheme:light dark;" +
  "right:calc(8px + env(safe-area-inset-right,0px));bottom:calc(8px + env(safe-area-inset-bottom,0px));";
const HIDDEN = "visibility:hidden;";
// A shadow of the pill's own would be cut off at the edge of the frame.
const PILL = "max-width:100vw;filter:drop-shadow(0 2px 6px rgb(20 24 31/22%));";
const PANEL =
  "right:16px;bottom:16px;width:400px;max-height:min(680px,100vh - 32px);border-radius:16px;" +
  "box-shadow:0 1px 2px rgb(20 24 31/12%),0 8px 28px rgb(20 24 31/18%);";
// dvh is the height that the address bar leaves; a browser that does not know it keeps the line before.
const SHEET = "right:0;bottom:0;width:100%;max-height:92vh;max-height:92dvh;border-radius:16px 16px 0 0;";

/** @type {HTMLIFrameElement | undefined} */
let frame;
let origin = "";
// A frame that is refused or blocked never says that it is ready.
let isReady = false;
/** What a frame that loads late, or again, still has to hear. @type {[type: string, data: object][]} */
let log = [];

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
  const narrow = matchMedia(NARROW);
  let shape = HIDDEN;
  const layOut = () => style(made, FIXED + shape + (narrow.matches && shape.includes(PANEL) ? SHEET : ""));
  const ends = [
    listen(window, "message", ({ source, origin: from, data }) => {
      if (source !== made.contentWindow || from !== base || data.unjam !== 1) return;
      if (data.type === "resize") {
        shape = shapeOf(data);
        layOut();
      }
      if (data.type === "ready") {
        isReady = true;
        for (const message of log) send(...message);
      }
      heard(data);
    }),
    listen(made, "load", () => isReady || send("hello", {})),
    listen(narrow, "change", layOut),
  ];
  frame = made;
  origin = base;
  made.title = "Payment help";
  made.allow = "clipboard-write";
  made.referrerPolicy = "origin";
  // A lazy frame does not hold up the load event of the shop's page, even when our server hangs.
  made.setAttribute("loading", "lazy");
  made.src = `${base}/frame/${encodeURIComponent(site)}`;
  layOut();
  // The body may not be there yet.
  (document.body || document.documentElement).append(made);
  return () => {
    for (const end of ends) end();
    made.remove();
    frame = undefined;
    isReady = false;
  };
}

/**
 * Tell the frame, now and whenever it loads again.
 *
 * @param {string} type
 * @param {object} data
 */
export function post(type, data) {
  log = [...log, /** @type {[string, object]} */ ([type, data])].slice(-MAX_LOG);
  if (isReady) send(type, data);
}

/** Open the panel and give it the keyboard. Returns whether there is one to open. */
export function open() {
  if (isReady && frame) {
    send("open", {});
    frame.focus();
  }
  return isReady;
}

/** @param {string} type @param {object} data */
function send(type, data) {
  if (frame?.contentWindow) frame.contentWindow.postMessage({ unjam: 1, type, ...data }, origin);
}

/** @param {Message} size */
function shapeOf({ state, width, height }) {
  if (state === "panel") return `${PANEL}height:${+height}px;`;
  return width && height ? `${PILL}width:${+width}px;height:${+height}px;` : HIDDEN;
}

/**
 * Through CSSOM, which no content security policy forbids; important, so that the shop's own sheet changes nothing.
 *
 * @param {HTMLElement} element
 * @param {string} css
 */
function style(element, css) {
  element.style.cssText = css.replace(/;/g, "!important;");
}
