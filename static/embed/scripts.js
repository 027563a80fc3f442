import { current, opening, stall } from "./begin.js";
import { deadlineOf } from "./deadlines.js";
import { hostOf } from "./describe.js";
import { listen } from "./listen.js";
import { pace } from "./tick.js";

/** Hosts of providers' scripts, and the globals these define. @type {{[host: string]: string}} */
let globals = {};
/** Why the script at an address cannot run. @type {{[address: string]: string}} */
const broken = {};
/** The watched script that is waited for, and for how long by now. @type {HTMLScriptElement | undefined} */
let missing;
let waitedMs = 0;

/** @param {[host: string, global: string][]} [sdks] */
export function watchScripts(sdks = []) {
  globals = Object.fromEntries(sdks);
  // No window hears of it.
  listen("load", () => missing && checkScripts(), document);
  checkScripts();
}

export function isScriptMissing() {
  // What has failed for good is looked at again when a script has loaded.
  return missing && opening.stage !== "sdk";
}

/** @param {string} address @param {string} why */
export function breakScript(address, why) {
  broken[address] ||= why;
  checkScripts();
}

/** See whether every watched script is there. What has failed for good is a stall at once. */
export function checkScripts(awakeMs = 0) {
  const gone = [...document.scripts].filter((script) => globalOf(script) != null && !isThere(script));
  missing = gone.find((script) => broken[script.src]) || gone[0];
  waitedMs = missing ? waitedMs + awakeMs : 0;
  if (missing) {
    const entry = entryOf(missing);
    const status = entry?.responseStatus;
    const why = broken[missing.src] || (status >= 400 && "error");
    if (why || waitedMs >= deadlineOf("sdk")) {
      opening.stage = "sdk";
      const evidence = { host: hostOf(missing.src), why: why || (entry ? "global" : "hang"), status };
      stall(current(), "sdk", evidence, "sdk");
    }
    pace();
  } else if (opening.stage === "sdk") opening.does.stage("started");
}

/** @param {HTMLScriptElement} script @returns {string | undefined} undefined if it is not watched */
function globalOf(script) {
  // What waits for the customer's consent is plain text so far.
  return script.type.includes("plain") ? undefined : (script.dataset.sdk ?? globals[hostOf(script.src)]);
}

/** @param {HTMLScriptElement} script */
function isThere(script) {
  const path = globalOf(script);
  if (!path) return entryOf(script) && !broken[script.src];
  return path.split(".").reduce((found, name) => found?.[name], /** @type {any} */ (window));
}

/** @param {HTMLScriptElement} script @returns {any} there once it has been loaded, well or not */
function entryOf(script) {
  return performance.getEntriesByName(script.src)[0];
}
