// Buttons that copy, on pages of our own; in the frame, static/frame.js does it. Without this script they are not seen,
// and what they would copy can be selected.

const COPIED_FOR_MS = 2000;

const said = document.createElement("p");
said.className = "sr-only";
said.setAttribute("role", "status");
document.body.append(said);
document.documentElement.classList.add("has-script");

document.body.addEventListener("click", ({ target }) => {
  const pressed = target instanceof Element ? target.closest("[data-copy]") : null;
  if (pressed instanceof HTMLElement) copy(pressed, pressed.dataset.copy || "");
});

/** @param {HTMLElement} button @param {string} text */
async function copy(button, text) {
  if (button.dataset.label !== undefined) return;
  const isCopied = await navigator.clipboard?.writeText(text).then(
    () => true,
    () => false,
  );
  if (!isCopied) return;
  button.dataset.label = button.textContent || "";
  button.textContent = said.textContent = button.dataset.copied || "";
  setTimeout(() => {
    button.textContent = button.dataset.label || "";
    delete button.dataset.label;
    said.textContent = "";
  }, COPIED_FOR_MS);
}
