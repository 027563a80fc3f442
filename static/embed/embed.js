// The script on the shop's page: it must never break, slow or block a checkout. The API is described in embed.d.ts.
import { active, begin, beginNothing, comeBack, isWallet, leave, settle } from "./begin.js";
import { setDeadlines } from "./deadlines.js";
import { emit, on } from "./emit.js";
import { guard } from "./guard.js";
import { endAll } from "./listen.js";
import { mount, open, post, unmount } from "./mount.js";
import { observe } from "./observe.js";
import { isAtSuccess, shownError } from "./press.js";
import { forget, recall } from "./remember.js";
import { replay } from "./replay.js";
import { watchScripts } from "./scripts.js";
import { base, tag } from "./tag.js";
import { pace } from "./tick.js";
import { follow, track } from "./track.js";

// Not while the page loads: to make a frame takes a slow device longer than all the rest.
const SHOWN_AFTER_MS = 200;

/** The timer that mounts the frame; undefined while nothing is mounted. @type {number | undefined} */
let mounting;

/** What the frame may tell us. @param {import("./mount.js").Message} message */
function hear({ type, deadlines, sdks, order, method }) {
  if (type === "ready") {
    setDeadlines(deadlines);
    watchScripts(sdks);
    // Not while the page loads: the first look at its storage takes a browser long.
    goOn();
    pace();
  }
  if (type === "paid") settle(order);
  if (type === "forget") forget();
  if ("paid retry method".includes(type)) emit(type, { order, method });
}

/** The times, by `now`, are not for the shop. @type {UnjamApi} */
const api = {
  track(promise, options, /** @type {number=} */ at) {
    trackFrom(promise, options, at);
    return promise;
  },
  attempt: (options, /** @type {number=} */ at) => begin(options, at).does,
  open: guard(open),
  on,
  mount: guard(() => {
    if (!tag.site || !base || mounting) return;
    observe();
    mounting = setTimeout(guard(show), SHOWN_AFTER_MS);
  }),
  unmount: guard(() => {
    // What runs goes on unseen. Its promise may still tell how it ended.
    leave();
    mounting = /** @type {any} */ (clearTimeout(mounting));
    unmount();
    endAll();
    pace();
  }),
};

function show() {
  beginNothing();
  mount(hear);
  // It may have been unmounted in the middle of a payment.
  comeBack();
  pace();
}

/** The page before this one may have begun to pay. */
const goOn = guard(() => {
  const key = recall();
  if (!key || active()[0]) return;
  const isPaid = isAtSuccess();
  // Without code, a form that was refused comes back with the shop's message.
  const error = tag.success && shownError();
  if (!isPaid && !error) return post("back", { key });
  const earlier = begin();
  // Whatever order this page is about, the server knows the attempt's own.
  Object.assign(earlier.context, { key, order: 0 });
  // No number that the lost page can have used.
  earlier.seq = 99999;
  earlier.does[isPaid ? "paid" : "failed"](error);
});

/** Watch a promise or a wallet's sheet. What is neither is not watched, as it says nothing about the payment. */
const trackFrom = guard((/** @type {any} */ promise, /** @type {any} */ options, /** @type {number=} */ at) => {
  const watch = promise?.then ? track : promise?.addEventListener && follow;
  if (!watch) return;
  const { method, stage } = options || {};
  const sheet = active().find(({ context }) => stage && context.method === method);
  // With a stage, it goes on with what that method has begun: the shop's own call after a wallet's sheet.
  const attempt = sheet || begin(options, at);
  attempt.does.stage(stage || (isWallet(method) ? "authenticating" : "submitted"), at);
  watch(promise, attempt);
});

guard(() => {
  /** @type {any} */
  const stub = window.Unjam || {};
  // The tag is there twice: the first one goes on.
  if (stub.track && !stub.q) return;
  const queue = stub.q || [];
  delete stub.q;
  // The same object, as the shop may have kept it.
  window.Unjam = Object.assign(stub, api);
  api.mount();
  replay(queue, api);
})();
