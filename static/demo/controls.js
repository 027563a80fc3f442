// The strip of demo controls: its headline says what will happen when Pay is pressed.

const headline = document.getElementById("demo-now");
const expected = document.getElementById("demo-expected");
const finder = document.getElementById("demo-find");
const search = /** @type {HTMLInputElement | null} */ (document.getElementById("demo-search"));
const found = document.getElementById("demo-found");
const radios = /** @type {HTMLInputElement[]} */ ([...document.querySelectorAll('input[name="scenario"]')]);
const groups = /** @type {HTMLDetailsElement[]} */ ([...document.querySelectorAll(".demo-group")]);
/** How this page was set up; a scenario of another mode needs the page anew. */
const mode = chosen()?.dataset.mode;

/** @returns {string} the chosen scenario */
export function scenario() {
  return chosen()?.value ?? "ok";
}

/** @param {string} value */
export function choose(value) {
  const radio = radios.find((each) => each.value === value);
  if (radio) {
    radio.checked = true;
    show();
  }
}

function chosen() {
  return radios.find((each) => each.checked);
}

/** So that a reload plays the same scenario. */
function addressOf(radio) {
  const address = new URL(location.href);
  for (const name of ["problem", "embed", "method"]) address.searchParams.delete(name);
  address.searchParams.set("scenario", radio.value);
  return address;
}

function show() {
  const radio = chosen();
  if (!radio) return;
  if (headline) headline.textContent = radio.labels?.[0].textContent?.trim() ?? "";
  if (expected) expected.textContent = radio.dataset.expected ?? "";
  history.replaceState(history.state, "", addressOf(radio));
}

/** Some scenarios begin when the page loads. */
function change() {
  const radio = chosen();
  const isCheckout = radio?.form?.id === "checkout";
  const isAnew = radio?.dataset.mode !== "usual" || mode !== "usual";
  if (radio && isCheckout && isAnew) {
    location.assign(addressOf(radio));
    return;
  }
  show();
  document.dispatchEvent(new CustomEvent("demo:scenario", { detail: { method: radio?.dataset.method } }));
}

function find() {
  const words = search?.value.trim().toLowerCase() ?? "";
  let count = 0;
  for (const group of groups) {
    const options = /** @type {HTMLElement[]} */ ([...group.querySelectorAll(".demo-option")]);
    for (const option of options) option.hidden = !option.dataset.words?.includes(words);
    const left = options.filter((option) => !option.hidden).length;
    group.hidden = left === 0;
    if (words) group.open = true;
    count += left;
  }
  if (found) found.textContent = words ? `${count} found` : "";
}

for (const radio of radios) radio.addEventListener("change", change);
search?.addEventListener("input", find);
if (finder) finder.hidden = false;
// A browser that restores forms may have checked another one than the page came with.
if (headline && chosen() && !chosen()?.defaultChecked) show();
