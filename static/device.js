// Facts of widget/browsers.py about this device and browser that the frame can see as well as the shop's page.

/** Client hints, and what we call them. */
const HINTS = {
  architecture: "architecture",
  bitness: "bitness",
  model: "model",
  platformVersion: "platform_version",
  fullVersionList: "browser_versions",
  formFactors: "form_factors",
};

/** Interfaces of the browser by which wallets open: Apple Pay's own, and the one that Google Pay uses. */
const WALLETS = ["ApplePaySession", "PaymentRequest"];

/**
 * An allow-list of facts, and nothing that was typed. Unknown ones are left out.
 *
 * @returns {Promise<{[name: string]: string | number | boolean}>}
 */
export async function gather() {
  const { hardwareConcurrency, language, onLine, maxTouchPoints } = navigator;
  const { connection, deviceMemory } = /** @type {any} */ (navigator);
  const facts = {
    language,
    time_zone: Intl.DateTimeFormat().resolvedOptions().timeZone,
    screen: `${screen.width}x${screen.height}`,
    pixel_ratio: devicePixelRatio,
    touch: maxTouchPoints > 0,
    connection: connection && `${connection.effectiveType} ${connection.downlink}Mb/s ${connection.rtt}ms`,
    online: onLine,
    memory: deviceMemory,
    cores: hardwareConcurrency,
    ...(await hints()),
  };
  const known = Object.entries(facts).filter(([, value]) => value !== undefined && value !== "");
  // That there is none is worth telling, too.
  return { ...Object.fromEntries(known), wallets: WALLETS.filter((name) => name in window).join() };
}

/**
 * What this browser goes on doing while the shop's page is frozen, by engine and by how near our frame is to that page:
 * "own process" (the frame lives and can be used), "worker" (the freeze is reported at once), "server only" (the server
 * notices the silence).
 *
 * @param {string} relation the Sec-Fetch-Site of our frame, "" when the browser did not say
 * @param {boolean} hasWorker
 */
export function protection(relation, hasWorker) {
  const engine = engineOf(navigator.userAgent);
  if (engine === "webkit") return "server only";
  if (hasOwnProcess(engine, relation)) return "own process";
  return hasWorker ? "worker" : "server only";
}

/** @param {"chromium" | "firefox" | "webkit"} engine @param {string} relation */
function hasOwnProcess(engine, relation) {
  // On a phone, browsers isolate but some sites, to save memory: nothing to rely on.
  if (/Android|Mobile/.test(navigator.userAgent)) return false;
  if (relation === "cross-site") return true;
  if (engine !== "chromium") return false;
  // Our Origin-Agent-Cluster header, or the opaque origin of a sandbox.
  const { originAgentCluster } = /** @type {any} */ (window);
  return origin === "null" || (relation === "same-site" && originAgentCluster === true);
}

/** @param {string} agent @returns {"chromium" | "firefox" | "webkit"} every browser on iOS is WebKit */
function engineOf(agent) {
  if (/Firefox\//.test(agent)) return "firefox";
  return /Chrom(e|ium)\//.test(agent) ? "chromium" : "webkit";
}

/** @returns {Promise<{[name: string]: string}>} empty where the browser has none, or keeps them to itself */
async function hints() {
  const { userAgentData } = /** @type {any} */ (navigator);
  if (!userAgentData?.getHighEntropyValues) return {};
  try {
    const told = await userAgentData.getHighEntropyValues(Object.keys(HINTS));
    return Object.fromEntries(Object.entries(HINTS).map(([hint, fact]) => [fact, inWords(told[hint])]));
  } catch {
    return {};
  }
}

/** @param {unknown} hint a text, or a list of texts or of brands @returns {string} */
function inWords(hint) {
  if (!Array.isArray(hint)) return String(hint ?? "");
  return hint.map((each) => (each.brand ? `${each.brand} ${each.version}` : String(each))).join(", ");
}
