/**
 * The same function, except that it never throws into the shop's page: it then returns undefined.
 *
 * @template {unknown[]} A
 * @template R
 * @param {(...args: A) => R} run
 * @returns {(...args: A) => R | undefined}
 */
export function guard(run) {
  return (...args) => {
    try {
      return run(...args);
    } catch {
      return undefined;
    }
  };
}
