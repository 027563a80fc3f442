import { guard } from "./guard.js";

// A module has no `currentScript`.
const script = /** @type {HTMLScriptElement | null} */ (
  document.currentScript || document.querySelector("script[data-site]")
);

/** What the shop wrote on our tag. @type {{[name: string]: any}} */
export const tag = script ? script.dataset : {};

/** Where Unjam is, if the tag says so. @type {any} */
export const base = guard(() => new URL(/** @type {HTMLScriptElement} */ (script).src).origin)();
