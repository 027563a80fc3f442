"""The attributes of the mode without code: which button is Pay, which address means paid, where errors stand."""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Page

from widget.doctor.checks import Check, broken, skipped, well
from widget.shops import origin_of

_FIND = """
(selector) => {
  const buttons = "button, input[type=submit], input[type=image], input[type=button], a, [role=button]";
  try {
    const found = [...document.querySelectorAll(selector)];
    return { number: found.length, others: found.filter((one) => !one.matches(buttons)).map((one) => one.localName) };
  } catch { return null; }
}
"""
# A guess at the shop's Pay button, to be named in a hint only.
_GUESS = """
() => {
  const words = /\\b(pay|place (the )?order|buy now|complete|checkout|bezahlen|kaufen|payer|pagar|betalen)\\b/i;
  const buttons = [...document.querySelectorAll("button, input[type=submit], [role=button]")];
  const likely = buttons.find((one) => words.test(one.textContent + " " + (one.value || ""))) || null;
  if (!likely) return "";
  if (likely.id) return "#" + CSS.escape(likely.id);
  if (likely.form?.id) return "#" + CSS.escape(likely.form.id) + " " + likely.localName;
  return likely.getAttribute("name") ? `${likely.localName}[name="${likely.getAttribute("name")}"]` : "";
}
"""


def pay_button(page: Page, data: Mapping[str, str]) -> Check:
    name, selector = "button", data.get("pay")
    guess = page.evaluate(_GUESS)
    offer = f'data-pay="{guess}"' if guess else 'data-pay="CSS SELECTOR OF THE PAY BUTTON"'
    if selector is None:
        return skipped(name, f"the tag has no data-pay; {offer} would let Unjam notice a dead Pay button")
    found: dict[str, Any] | None = page.evaluate(_FIND, selector)
    if found is None:
        return broken(name, f'data-pay="{selector}" is no CSS selector.', f"Write on the tag: {offer}")
    if not found["number"]:
        return broken(name, f'data-pay="{selector}" matches nothing on this page.', f"Write on the tag: {offer}")
    if found["others"]:
        words = f'data-pay="{selector}" matches <{found["others"][0]}>, which is no button.'
        return broken(name, words, f"Write on the tag: {offer}")
    return well(name, f'data-pay="{selector}" matches {found["number"]} button(s)')


def success_pattern(address: str, data: Mapping[str, str]) -> Check:
    """`address` is that of the checkout page, which must not itself look like success."""
    name, pattern = "success", data.get("success")
    if pattern is None:
        return skipped(name, "the tag has no data-success; the shop's code tells Unjam what was paid")
    offer = 'Write on the tag the address that is reached only when paid, e.g. data-success="/thank-you*"'
    if not pattern.strip("*/ "):
        return broken(name, f'data-success="{pattern}" matches every page.', offer)
    if matches(pattern, address):
        return broken(name, f'data-success="{pattern}" matches the checkout itself, so nothing could get stuck.', offer)
    if not pattern.startswith(("/", "*", "http://", "https://")):
        words = f'data-success="{pattern}" matches no address: a path begins with a slash.'
        return broken(name, words, f'Write on the tag: data-success="/{pattern}"')
    if pattern.startswith("http") and origin_of(pattern.split("*")[0]) != origin_of(address):
        words = (
            f'data-success="{pattern}" is on another origin than the checkout; Unjam remembers the attempt on its own.'
        )
        return broken(name, words, f"Lead the customer back to {origin_of(address)} first. {offer}")
    return well(name, f'data-success="{pattern}"')


def error_message(page: Page, data: Mapping[str, str]) -> Check:
    name, selector = "error", data.get("error")
    if selector is None:
        return skipped(name, "the tag has no data-error; errors are heard through the API only")
    if page.evaluate(_FIND, selector) is None:
        mend = 'Write on the tag: data-error="CSS SELECTOR OF YOUR ERROR MESSAGE"'
        return broken(name, f'data-error="{selector}" is no CSS selector.', mend)
    return well(name, f'data-error="{selector}"')


def matches(pattern: str, address: str) -> bool:
    """Whether an address is meant by a `data-success` pattern: its path, or all of it; `*` stands for anything."""
    expression = re.compile(".*".join(re.escape(part) for part in pattern.split("*")))
    return any(expression.fullmatch(each) for each in (urlsplit(address).path, address))
