// The strip of demo controls: its headline says what will happen when Pay is pressed.

const headline = document.getElementById("demo-now");

/** @returns {string} the chosen scenario */
export function scenario() {
  return chosen()?.value ?? "ok";
}

/** @param {string} value */
export function choose(value) {
  const radio = /** @type {HTMLInputElement | null} */ (
    document.querySelector(`input[name="scenario"][value="${value}"]`)
  );
  if (radio) {
    radio.checked = true;
    show();
  }
}

function chosen() {
  return /** @type {HTMLInputElement | null} */ (document.querySelector('input[name="scenario"]:checked'));
}

function show() {
  if (headline) headline.textContent = chosen()?.labels?.[0].textContent?.trim() ?? "";
  // So that a reload plays the same scenario.
  const address = new URL(location.href);
  address.searchParams.set("scenario", scenario());
  history.replaceState(history.state, "", address);
}

for (const radio of document.querySelectorAll('input[name="scenario"]')) radio.addEventListener("change", show);
// A browser that restores forms may have checked another one than the page came with.
if (headline && chosen() && !chosen()?.defaultChecked) show();
