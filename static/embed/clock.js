/** @type {number | undefined} */
let skewMs;

/**
 * Learn the server's clock from the frame.
 *
 * @param {unknown} serverMs Unix milliseconds
 */
export function setClock(serverMs) {
  if (Number.isFinite(serverMs)) skewMs = Date.now() - Number(serverMs);
}

/** Unix milliseconds by the server's clock, undefined until it is known. */
export function serverNow() {
  // Not performance.now(), which stands still while a phone sleeps: the server refuses beacons that look old.
  return skewMs === undefined ? undefined : Math.round(Date.now() - skewMs);
}

/** Seconds by which this browser's clock is ahead, undefined until it is known. */
export function clockSkew() {
  return skewMs === undefined ? undefined : Math.round(skewMs / 100) / 10;
}
