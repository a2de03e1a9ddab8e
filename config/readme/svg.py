"""Makes the SVG elements of the two drawings in README.md.

It uses the standard library only. The same input always makes the same text. A drawing has its own light background, so
that it is legible on a light page and on a dark page.
"""

import html

INK, GREY, LINE, PAPER = "#1f2328", "#59636e", "#8c959f", "#ffffff"


def text(x, y, value, size=12, fill=INK, anchor="start", weight="normal"):
    style = f' text-anchor="{anchor}"' if anchor != "start" else ""
    style += f' font-weight="{weight}"' if weight != "normal" else ""
    return f'<text x="{x:g}" y="{y:g}" font-size="{size:g}" fill="{fill}"{style}>{html.escape(value, quote=False)}</text>'


def rect(x, y, width, height, fill, stroke="none", radius=3):
    return f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="{radius:g}" fill="{fill}" stroke="{stroke}"/>'


def arrow(*points, label=None, at=None, anchor="middle"):
    """Returns a line through the points with an arrowhead at the last point, and a label, if there is one, at `at`."""
    path = " L".join(f"{x:g} {y:g}" for x, y in points)
    line = f'<path d="M{path}" fill="none" stroke="{INK}" stroke-width="1.5" marker-end="url(#head)"/>'
    return line if label is None else line + "\n" + text(*at, label, 11, GREY, anchor)


def document(width, height, title, description, elements):
    head = (f'<marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="6" markerHeight="6" orient="auto">'
            f'<path d="M0 0 L8 4 L0 8 z" fill="{INK}"/></marker>')
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" '
        f'font-family="system-ui, -apple-system, Segoe UI, Helvetica, Arial, sans-serif">',
        f"<title>{html.escape(title)}</title>",
        f"<desc>{html.escape(description)}</desc>",
        f"<defs>{head}</defs>",
        rect(0.5, 0.5, width - 1, height - 1, PAPER, "#d1d9e0", 8),
        *elements,
        "</svg>",
    ]) + "\n"
