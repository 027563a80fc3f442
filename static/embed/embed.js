// The script on the shop's page: it must never break, slow or block a checkout. The API is described in embed.d.ts.
import { begin, beginNothing, expect, forRunning, settle } from "./begin.js";
import { setClock } from "./clock.js";
import { emit, endAll, on } from "./emit.js";
import { guard } from "./guard.js";
import { mount, open } from "./mount.js";
import { observe } from "./observe.js";
import { replay } from "./replay.js";
import { flush, reportTo } from "./report.js";
import { track } from "./track.js";
import { setDeadlines, unwatch } from "./watch.js";

/** @typedef {ReturnType<typeof begin>} Act */

const METHODS = /** @type {const} */ (["stage", "paid", "failed", "left"]);

const script = /** @type {HTMLScriptElement | null} */ (
  document.currentScript || document.querySelector("script[data-site]")
);
const tag = script ? script.dataset : {};
const site = tag.site || "";
/** @type {(() => void)[]} */
let ends = [];
let isOpenWanted = false;
let isBegun = false;

/** What the frame may tell us. @type {{[type: string]: (message: any) => void}} */
const HEARD = {
  ready({ deadlines, now }) {
    setDeadlines(deadlines);
    setClock(now);
    forRunning((attempt) => expect(attempt));
    if (isOpenWanted) api.open();
  },
  paid({ order }) {
    settle(order);
    emit("paid", { order });
  },
  retry: () => emit("retry", {}),
  method: ({ method }) => emit("method", { method }),
};

/** @type {UnjamApi} */
const api = {
  track(promise, options) {
    trackFrom(promise, options);
    return promise;
  },
  attempt: (options) => handleOf(start(options)),
  open: guard(() => {
    isOpenWanted = !open();
  }),
  on: (event, callback) => (typeof callback === "function" ? on(event, callback) : () => {}),
  mount: guard(() => {
    if (!site || !script || ends.length) return;
    const base = new URL(script.src).origin;
    reportTo(base, site);
    if (!isBegun) beginNothing(tag);
    isBegun = true;
    ends = [mount(base, site, (message) => (HEARD[message.type] || Object)(message)), observe()];
    forRunning((attempt) => expect(attempt));
  }),
  unmount: guard(() => {
    for (const end of ends.splice(0)) end();
    forRunning(unwatch);
    endAll();
    flush();
  }),
};

const start = guard((/** @type {UnjamAttemptOptions | undefined} */ options, /** @type {number=} */ at) =>
  guard(begin(options || {}, tag, at)),
);

/** Watch a promise. What is none is not watched, as it says nothing about the payment. */
const trackFrom = guard((/** @type {any} */ promise, /** @type {any} */ options, /** @type {number=} */ at) => {
  const act = promise?.then && start(options, at);
  if (!act) return;
  act("stage", "submitted", at);
  track(promise, act);
});

/** @param {Act | undefined} act @returns {UnjamAttempt} */
function handleOf(act) {
  const pairs = METHODS.map((method) => [method, (/** @type {unknown} */ said) => act?.(method, said)]);
  return Object.fromEntries(pairs);
}

guard(() => {
  /** @type {any} */
  const stub = window.Unjam || {};
  // The tag is there twice: the first one goes on.
  if (stub.track && !stub.q) return;
  const queue = stub.q || [];
  delete stub.q;
  // The same object, as the shop may have kept it.
  window.Unjam = Object.assign(stub, api);
  if (!site) console.warn("Unjam: the script tag has no data-site.");
  api.mount();
  replay(queue, { api, start, trackFrom, handleOf });
})();
