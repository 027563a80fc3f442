"""Codes as pictures that a strict content security policy lets through: no style attribute, no script."""

import segno

# Level M is what the standards ask for; a higher one would make a denser code for nothing.
_LEVEL = "m"
_CROSS_MM, _CODE_MM = 7.0, 46.0
# The Swiss cross on a black square with a white rim, in nineteenths of its width.
_CROSS = (
    '<g transform="translate({at} {at}) scale({scale})">'
    '<path fill="#fff" d="M0 0h20v20H0z"/><path fill="#000" d="M1 1h18v18H1z"/>'
    '<path fill="#fff" d="M8.3 4h3.4v4.3H16v3.4h-4.3V16H8.3v-4.3H4V8.3h4.3z"/></g></svg>'
)


def code_of(payload: str, *, has_cross: bool = False) -> str:
    """An inline SVG of a QR code with its quiet zone, black on white whatever the page's colours are."""
    made = segno.make_qr(payload, error=_LEVEL, encoding="utf-8", boost_error=False)
    svg = made.svg_inline(border=4, svgclass="qr", lineclass=None, light="#fff", omitsize=True)
    if not has_cross:
        return svg
    modules, border = made.symbol_size(border=0)[0], 4
    width = modules * _CROSS_MM / _CODE_MM
    cross = _CROSS.format(at=round(border + (modules - width) / 2, 3), scale=round(width / 20, 4))
    return svg.removesuffix("</svg>") + cross


def png_of(payload: str) -> str:
    """A data address of the same code, to be kept as a picture; banking apps on a phone read it from there."""
    made = segno.make_qr(payload, error=_LEVEL, encoding="utf-8", boost_error=False)
    return str(made.png_data_uri(border=4, scale=8))
