"""Formats the table."""

import textwrap

COLUMNS = [("what", 34), ("promised", 34), ("measured", 40), ("probe p99", 9), ("failed", 6), ("lost", 5), ("", 12)]


def line_of(cells):
    """Returns one row as text of several lines, with its cells wrapped to their columns."""
    wrapped = [textwrap.wrap(str(cell), width) or [""] for cell, (_, width) in zip(cells, COLUMNS, strict=True)]
    lines = []
    for at in range(max(map(len, wrapped))):
        parts = [(cell[at] if at < len(cell) else "").ljust(width) for cell, (_, width) in zip(wrapped, COLUMNS, strict=True)]
        lines.append(" | ".join(parts).rstrip())
    return "\n".join(lines)


def rule():
    return "-+-".join("-" * width for _, width in COLUMNS)


def heading():
    return line_of([name for name, _ in COLUMNS])
