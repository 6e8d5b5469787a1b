"""Scores as text: Markdown tables for cards and comparisons, aligned columns for a terminal.

A score is `{value, low, high}` (a 95 % interval), a number, a list of numbers, or a word.
"""

from collections.abc import Mapping, Sequence
from typing import Any

SMALL = 0.01  # numbers of a list below are not shown


def format_score(value: Any, digits: int = 3) -> str:
    """A score with its interval, or a plain number; blank if there is none."""
    if value is None or value == {}:
        return ""
    if isinstance(value, Mapping):
        return "{value:.{d}f} [{low:.{d}f}, {high:.{d}f}]".format(d=digits, **value)
    if isinstance(value, list):
        large = sorted((number for number in value if number >= SMALL), reverse=True)
        texts = [f"{number:.2f}" for number in large]
        left = len(value) - len(large)
        return ", ".join([*texts, f"{left} below {SMALL}"] if left else texts)
    return f"{value:.{digits}f}" if isinstance(value, float) else str(value)


def markdown(rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; the first row holds the heads."""
    heads, *others = rows
    lines = [heads, ["---"] * len(heads), *others]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Rows of cells as text, each column as wide as its widest cell."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = (
        "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True))
        for row in rows
    )
    return "\n".join(line.rstrip() for line in lines)


def score_table(where: str, scores: Mapping[str, Any], meanings: Mapping[str, str]) -> str:
    """One entry of metrics.json as Markdown: single scores line by line, then rows of scores side
    by side, a column for each."""
    rows = {name: value for name, value in scores.items() if is_row(value)}
    single = {name: value for name, value in scores.items() if name not in rows}
    parts = [f"\n**{where}**"]
    if single:
        lines = [[meanings.get(name, name), format_score(v)] for name, v in single.items()]
        parts.append(markdown([["what", "value [95 % interval]"], *lines]))
    if rows:
        parts.append(markdown(side_by_side(rows, meanings)))
    return "\n\n".join(parts) + "\n"


def side_by_side(
    rows: Mapping[str, Mapping[str, Any]], meanings: Mapping[str, str], corner: str = "what"
) -> list[list[str]]:
    """Cells of a table with a column for each of some rows of scores, and a line for each score."""
    names = dict.fromkeys(name for row in rows.values() for name in row)
    lines = [
        [meanings.get(name, name), *(format_score(row.get(name)) for row in rows.values())]
        for name in names
    ]
    return [[corner, *(meanings.get(row, row) for row in rows)], *lines]


def comparison(found: Mapping[str, Mapping[str, Any]], meanings: Mapping[str, str]) -> str:
    """Scores of several checkpoints as one Markdown table, a column for each.

    A row of scores becomes lines of its own, `row: score`.
    """
    flat: dict[str, dict[str, Any]] = {}
    for checkpoint, scores in found.items():
        columns = flat.setdefault(checkpoint, {})
        for name, value in scores.items():
            nested = value if is_row(value) else {name: value}
            prefix = f"{meanings.get(name, name)}: " if is_row(value) else ""
            columns |= {f"{prefix}{meanings.get(key, key)}": one for key, one in nested.items()}
    return markdown(side_by_side(flat, {}))


def is_row(value: Any) -> bool:
    """Whether an entry of metrics.json holds several scores rather than one."""
    return isinstance(value, Mapping) and bool(value) and "value" not in value
