// Watches the beats of the shop's page: as a worker of our frame or, where none can be had, inside the frame itself.

/**
 * One beat: the stage of each attempt that runs, by its key, and whether the page is visible. No keys: none runs any more.
 *
 * @typedef {{stages: {[key: string]: string}, seen: boolean}} Beat
 */
/**
 * `base` is Unjam's origin: a worker made from a blob has no address of its own.
 *
 * @typedef {{base: string, site: string, token: string, frozenSeconds: number, source: "worker" | "frame"}} Setup
 */
/** @typedef {{type: "alive" | "frozen" | "asleep" | "idle", [name: string]: any}} Told */

const TICK_MS = 250;
const PULSE_EVERY_MS = 4000;
// A tick of our own that comes later than this means that we did not run either: the machine slept or is overloaded.
const LATE_MS = 1000;
const ASLEEP_MS = 5000;
const GIVE_UP_MS = 8000;
const TRY_AGAIN_AFTER_MS = [1000, 4000];
const MAX_KEYS = 10;
// A page that is slow before Pay is pressed is no payment that is stuck.
const BEFORE_PAY = ["started", "sdk"];

/**
 * Returns what takes the frame's messages: `setup` with the port of the beats, `attempt` with the context of one, and
 * `facts` of this browser, to be reported for the attempt with this key.
 *
 * @param {(told: Told) => void} tell what the frame has to know
 * @returns {(message: any) => void}
 */
export function serve(tell) {
  /** What beacons say about each attempt. @type {Map<string, object>} */
  const contexts = new Map();
  /** @type {Setup} */
  let setup;
  let stop = () => {};

  /** @param {string} key @param {object} said */
  const beacon = (key, said) => {
    const attempt = contexts.get(key) || { key };
    const body = { v: 1, id: randomKey(), site: setup.site, source: setup.source, attempt, signals: [], ...said };
    send(address(setup, "beacons"), body, TRY_AGAIN_AFTER_MS);
  };

  return (message) => {
    if (message.type === "attempt") contexts.set(message.attempt.key, message.attempt);
    if (message.type === "facts") beacon(message.key, { source: "frame", facts: message.facts });
    if (message.type !== "setup") return;
    stop();
    setup = message.setup;
    stop = follow(message.port, setup, tell, (key, name, data) => {
      beacon(key, { signals: [{ seq: 0, name, data }] });
    });
  };
}

/**
 * Follow the beats that come through the port. No timer runs while no attempt does. Returns how to stop.
 *
 * @param {MessagePort} port
 * @param {Setup} setup
 * @param {(told: Told) => void} tell
 * @param {(key: string, name: string, data: object) => void} report a signal about one attempt
 * @returns {() => void}
 */
export function follow(port, setup, tell, report) {
  /** The last beat, and the attempts of it that are watched. @type {Beat & {keys: string[]}} */
  let beat = { keys: [], stages: {}, seen: true };
  let beatAt = 0;
  let tickAt = 0;
  let tickDate = 0;
  let pulsedAt = Number.NEGATIVE_INFINITY;
  // Since when a visible page has not beaten while we ran, and how often we looked.
  let silentSince = 0;
  let missed = 0;
  let isFrozen = false;
  /** @type {ReturnType<typeof setInterval> | undefined} */
  let timer;

  port.onmessage = ({ data }) => hear(data);

  /** @param {Beat} next */
  function hear(next) {
    const before = beat;
    if (isFrozen) thaw();
    const paying = Object.keys(next.stages).filter((key) => !BEFORE_PAY.includes(next.stages[key]));
    beat = { ...next, keys: paying.slice(0, MAX_KEYS) };
    beatAt = now();
    listenAnew();
    if (!beat.keys.length) return rest(before.keys.length > 0);
    const isNews = beat.seen !== before.seen || beat.keys.some((key) => !before.keys.includes(key));
    if (!timer) begin();
    // By beats, not by a timer: what beats no more must not look alive to the server.
    if (isNews || beatAt - pulsedAt >= PULSE_EVERY_MS) pulse();
  }

  function begin() {
    tickAt = now();
    tickDate = Date.now();
    timer = setInterval(tick, TICK_MS);
    tell({ type: "alive", keys: beat.keys });
  }

  /** @param {boolean} wasRunning */
  function rest(wasRunning) {
    halt();
    pulsedAt = Number.NEGATIVE_INFINITY;
    if (wasRunning) tell({ type: "idle" });
  }

  function halt() {
    clearInterval(timer);
    timer = undefined;
  }

  function tick() {
    // The steady clock may stand still while the machine sleeps; the other one may be set at any time.
    const sinceMs = Math.max(now() - tickAt, Date.now() - tickDate);
    tickAt = now();
    tickDate = Date.now();
    if (sinceMs > LATE_MS || !beat.seen) listenAnew();
    else missed += 1;
    if (sinceMs > ASLEEP_MS) sleep(sinceMs);
    // Looked at half of the time at least: on an overloaded machine nobody can tell slow from frozen.
    const frozenMs = setup.frozenSeconds * 1000;
    if (now() - silentSince >= frozenMs && missed * TICK_MS * 2 >= frozenMs) freeze();
  }

  function listenAnew() {
    silentSince = now();
    missed = 0;
  }

  /** @param {number} ms */
  function sleep(ms) {
    const seconds = Math.round(ms / 1000);
    tell({ type: "asleep", seconds });
    // Inside a frame that shares the page's process, a frozen page looks the same.
    if (setup.source === "worker") reportAll("asleep", () => ({ seconds }));
  }

  function freeze() {
    const silent_ms = Math.round(now() - beatAt);
    isFrozen = true;
    halt();
    tell({ type: "frozen", keys: beat.keys });
    reportAll("stall", (stage) => ({ kind: "frozen", stage, seen_by: setup.source, evidence: { silent_ms } }));
  }

  function thaw() {
    const frozen_ms = Math.round(now() - beatAt);
    isFrozen = false;
    reportAll("thawed", () => ({ frozen_ms }));
  }

  /** @param {string} name @param {(stage: string) => object} dataIn */
  function reportAll(name, dataIn) {
    for (const key of beat.keys) report(key, name, dataIn(beat.stages[key]));
  }

  function pulse() {
    pulsedAt = beatAt;
    const presence = beat.seen ? "seen" : "hidden";
    send(address(setup, "pulses"), { site: setup.site, keys: beat.keys, presence }, []);
  }

  return () => {
    halt();
    port.close();
  };
}

/** @param {Setup} setup @param {string} name */
function address({ base, token }, name) {
  return `${base}/api/v1/${name}?frame=${encodeURIComponent(token)}`;
}

/**
 * Send as plain text, which needs no preflight from the opaque origin of a sandboxed frame.
 *
 * @param {string} url
 * @param {object} body
 * @param {number[]} pauses before each further try
 */
async function send(url, body, [pause, ...pauses]) {
  const abort = new AbortController();
  const timer = setTimeout(() => abort.abort(), GIVE_UP_MS);
  const sent = { method: "POST", body: JSON.stringify(body), signal: abort.signal, keepalive: true };
  const isTaken = await fetch(url, { ...sent, mode: "no-cors", credentials: "omit" }).then(
    ({ status }) => status < 500,
    () => false,
  );
  clearTimeout(timer);
  if (!isTaken && pause) setTimeout(() => send(url, body, pauses), pause);
}

function now() {
  return performance.now();
}

function randomKey() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** @type {any} */
const scope = globalThis;
if (scope.WorkerGlobalScope && scope instanceof scope.WorkerGlobalScope) {
  const hear = serve((told) => scope.postMessage(told));
  scope.onmessage = (/** @type {MessageEvent} */ { data }) => hear(data);
  scope.postMessage({ type: "up" });
}
