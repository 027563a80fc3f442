import { active, stall } from "./begin.js";
import { deadlineOf } from "./deadlines.js";
import { guard } from "./guard.js";
import { MAX_AWAKE_MS, OFFLINE_MS, TICK_MS } from "./limits.js";
import { beat, frame } from "./mount.js";
import { now } from "./now.js";
import { isPressed, tickPresses, tickShown } from "./press.js";
import { report } from "./report.js";
import { evidenceOf, unwatchResources, watchResources } from "./resources.js";
import { checkScripts, isScriptMissing } from "./scripts.js";

/** @typedef {import("./begin.js").Attempt} Attempt */

/** @type {number | undefined} */
let timer;
let tickedAt = 0;
/** Whether the page was seen at the last tick, so that a return does not count the time away. */
let wasSeen = false;

/** Tick while there is something to wait for, and only then; and tell the frame at once how it stands. */
export function pace() {
  const attempts = frame ? active() : [];
  const isBusy = frame && (attempts[0] || isPressed() || isScriptMissing());
  if (isBusy && !timer) {
    tickedAt = now();
    watchResources();
    timer = setInterval(guard(tick), TICK_MS);
  }
  if (!isBusy && timer) {
    clearInterval(timer);
    timer = undefined;
    unwatchResources();
  }
  beat({
    stages: Object.fromEntries(attempts.map((attempt) => [attempt.context.key, attempt.stage])),
    seen: !document.hidden,
  });
}

function tick() {
  const at = now();
  const isSeen = !document.hidden;
  const awakeMs = isSeen && wasSeen ? Math.min(at - tickedAt, MAX_AWAKE_MS) : 0;
  tickedAt = at;
  wasSeen = isSeen;
  guard(checkScripts)(awakeMs);
  for (const attempt of active()) guard(tickAttempt)(attempt, awakeMs);
  guard(tickPresses)(awakeMs);
  pace();
}

/** @param {Attempt} attempt @param {number} awakeMs */
function tickAttempt(attempt, awakeMs) {
  const { stage } = attempt;
  attempt.age += awakeMs;
  // A selector of the shop may be wrong.
  guard(tickShown)(attempt);
  if (attempt.popup?.closed) {
    attempt.popup = undefined;
    report(attempt, "popup", { state: "closed" });
    attempt.does.stage("confirming");
  }
  attempt.offlineMs = navigator.onLine ? 0 : attempt.offlineMs + awakeMs;
  if (attempt.offlineMs >= OFFLINE_MS) stall(attempt, "offline");
  // The evidence takes a chatty page long, so once is enough.
  if (!attempt.isStalled && attempt.age >= deadlineOf(stage, attempt.context.method)) {
    stall(attempt, stage === "sdk" ? stage : "no_answer", evidenceOf(attempt));
  }
}
