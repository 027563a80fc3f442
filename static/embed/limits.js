// Of the modules that import one another: from here, the build writes each figure where it is used.

export const TICK_MS = 250;
// A page that was asleep or blocked gets no more than this counted for the whole time.
export const MAX_AWAKE_MS = 1000;
export const OFFLINE_MS = 3000;
export const RAGE_PRESSES = 4;
export const RAGE_WITHIN_MS = 3000;
export const RAGE_AFTER_MS = 1000;
// Of an attempt, errors and failed requests together.
export const MAX_TROUBLES = 10;
