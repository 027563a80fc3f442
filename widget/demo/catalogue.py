"""What the demo shop is called, sells and takes."""

from dataclasses import dataclass

from widget.shops import Method

NAME = "Karoo Coffee Co."
LOCALE = "en-ZA"
CURRENCY = "ZAR"
SHIPPING = 8_000
DEFAULT_EMAIL = "sam@example.com"

METHODS = (
    Method(id="card", label="Card"),
    Method(id="eft", label="Instant EFT"),
    Method(id="apple_pay", label="Apple Pay"),
    Method(id="google_pay", label="Google Pay"),
    Method(id="samsung_pay", label="Samsung Pay"),
    Method(id="store_account", label="Store account"),
)


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the basket; `price` is that of one, in cents."""

    picture: str
    name: str
    detail: str
    quantity: int
    price: int


BASKET = (
    Line("beans", "Swartberg Sunrise", "Whole beans, 1 kg", 2, 28_900),
    Line("dripper", "Hand-thrown dripper", "Stoneware, 2 cups", 1, 49_600),
    Line("filters", "Paper filters", "Unbleached, box of 100", 1, 9_500),
)
TOTAL = sum(line.quantity * line.price for line in BASKET) + SHIPPING
