import { guard } from "./guard.js";

// All that is ever stored: the key of an attempt, in this tab, from Pay until it is over.

export const remember = guard((/** @type {string} */ key) => {
  sessionStorage.unjam = key;
});

/** Looking at it stores nothing; a browser that forbids storage throws. */
export const storage = guard(() => localStorage);

/** The attempt that this tab is in, or an earlier page of it was. @type {() => string | undefined} */
export const recall = guard(() => sessionStorage.unjam);

export const forget = guard(() => {
  delete sessionStorage.unjam;
});
