import { listen } from "./listen.js";
import { base, tag } from "./tag.js";

/** @typedef {{type: string, [name: string]: any}} Message */

const RIGHTS =
  "allow-scripts allow-forms allow-popups allow-popups-to-escape-sandbox allow-top-navigation-by-user-activation";
// At the bottom of the window, as a lazy frame that is far away is not loaded.
const UNSEEN = "all:initial;position:fixed;bottom:0;visibility:hidden;";

/** @type {HTMLIFrameElement | undefined} */
export let frame;
/** Open from when the frame says that it is ready; one that is refused or blocked never does. @type {MessagePort | undefined} */
let talk;
/** @type {MessagePort | undefined} */
let pulse;
/** What a frame that loads late, or again, still has to hear. @type {Message[]} */
const log = [];

/**
 * Mount the frame, unseen until it says how it wants to look. It has to be there before anything is stuck: a frozen page
 * can mount nothing any more.
 *
 * @param {(message: Message) => void} heard called with every message of our frame
 */
export function mount(heard) {
  const isOurs = base === origin;
  frame = document.createElement("iframe");
  frame.title = "Payment help";
  // On the shop's own origin only a sandbox gives the frame a life of its own.
  if (isOurs) frame.sandbox.value = RIGHTS;
  // A lazy frame does not hold up the load event of the shop's page, even when our server hangs.
  frame.loading = "lazy";
  frame.src = `${base}/frame/${tag.site}`;
  style(UNSEEN);
  listen("load", () => greet(heard, isOurs ? "*" : base), frame);
  // The body may not be there yet, and some shops replace it.
  document.documentElement.append(frame);
}

/**
 * Give what is in the frame, if it is ours, a line for words and one for beats.
 *
 * @param {(message: Message) => void} heard
 * @param {string} target
 */
function greet(heard, target) {
  const words = new MessageChannel();
  const beats = new MessageChannel();
  listen(
    "message",
    ({ data }) => {
      if (data.type === "resize") style(data.css);
      if (data.type === "ready") {
        talk = words.port1;
        pulse = beats.port1;
        for (const message of log) talk.postMessage(message);
      }
      heard(data);
    },
    words.port1,
  );
  words.port1.start();
  /** @type {any} */ (frame).contentWindow.postMessage({ unjam: 1, type: "hello" }, target, [words.port2, beats.port2]);
}

export function unmount() {
  frame?.remove();
  frame = undefined;
}

/**
 * Tell the frame, now and whenever it loads again.
 *
 * @param {string} type
 * @param {object} [data]
 */
export function post(type, data) {
  const message = { type, ...data };
  log.push(message);
  talk?.postMessage(message);
}

/** @param {object} beat */
export function beat(beat) {
  pulse?.postMessage(beat);
}

/** Open the panel, now or when it is there, and give it the keyboard. */
export function open() {
  post("open");
  // Guarded by who calls it.
  /** @type {HTMLIFrameElement} */ (frame).focus();
}

/**
 * Through CSSOM, which no content security policy forbids; important, so that the shop's own sheet changes nothing.
 *
 * @param {string} css
 */
function style(css) {
  if (frame) frame.style.cssText = css.replace(/;/g, "!important;");
}
