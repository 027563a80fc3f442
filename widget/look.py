"""A shop's colour, used only where people can read it (WCAG 2.2 contrast)."""

MIN_CONTRAST = 4.5
_LIGHT_SURFACE, _DARK_SURFACE = "#ffffff", "#181c22"
_STEP = 0.06


def stylesheet(colour: str) -> str:
    """The accent of both schemes: the shop's colour, darkened or lightened until it contrasts with the page."""
    light, dark = readable_on(colour, _LIGHT_SURFACE), readable_on(colour, _DARK_SURFACE)
    return (
        f":root{{--accent:{light};--on-accent:{ink_on(light)}}}\n"
        f"@media (prefers-color-scheme:dark){{:root{{--accent:{dark};--on-accent:{ink_on(dark)}}}}}\n"
    )


def readable_on(colour: str, surface: str) -> str:
    """The nearest shade of a #rrggbb colour that reaches MIN_CONTRAST on the surface."""
    towards = "#000000" if _luminance(surface) > 0.5 else "#ffffff"
    share = 0.0
    shade = colour
    while contrast(shade, surface) < MIN_CONTRAST and share < 1:
        share = min(1.0, share + _STEP)
        shade = _mix(colour, towards, share)
    return shade


def ink_on(colour: str) -> str:
    """White or near-black, whichever reads better on the colour."""
    return max(("#ffffff", "#0b1020"), key=lambda ink: contrast(ink, colour))


def contrast(one: str, other: str) -> float:
    bright, dim = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (bright + 0.05) / (dim + 0.05)


def _luminance(colour: str) -> float:
    red, green, blue = (_linear(channel / 255) for channel in _channels(colour))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _linear(share: float) -> float:
    return share / 12.92 if share <= 0.04045 else float(((share + 0.055) / 1.055) ** 2.4)


def _mix(colour: str, towards: str, share: float) -> str:
    mixed = (round(a + (b - a) * share) for a, b in zip(_channels(colour), _channels(towards), strict=True))
    return "#" + "".join(f"{channel:02x}" for channel in mixed)


def _channels(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)
