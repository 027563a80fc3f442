/**
 * Seconds that a stage may last before the attempt counts as stalled: the shipped values of widget/deadlines.py.
 *
 * @type {{[name: string]: any}}
 */
export const SHIPPED = { sdk: 10, submitted: 10, authenticating: 120, confirming: 15 };
let deadlines = SHIPPED;

/** The shop's own come with the frame. @param {object} learned by stage, and under "methods" by method and stage */
export function setDeadlines(learned) {
  deadlines = { ...SHIPPED, ...learned };
}

/**
 * @param {string} stage
 * @param {any} [method]
 * @returns {number} milliseconds; NaN for a stage that may last
 */
export function deadlineOf(stage, method) {
  return (deadlines.methods?.[method]?.[stage] || deadlines[stage]) * 1000;
}
