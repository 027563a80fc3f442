/** Milliseconds since the page began. Unlike the time of day, nobody can set it. */
export function now() {
  return performance.now();
}
