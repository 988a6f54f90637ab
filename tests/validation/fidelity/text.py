"""Markdown, and the bounds that the document states."""

import math


def count(value):
    return f"{value:,}"


def percent(value, digits=2):
    """A fraction; zero without a sign."""
    text = f"{100 * value:+.{digits}f} %"
    return f"{0:.{digits}f} %" if float(text[:-2]) == 0 else text


def share(value, digits=2):
    """A fraction that has no sign."""
    return f"{100 * value:.{digits}f} %"


def ratio(value):
    return f"{value:.3f}"


def figure(value, digits=4):
    return f"{value:.{digits}g}"


def geometric_mean(values):
    return math.exp(sum(math.log(value) for value in values) / len(values))


def table(heads, rows, left=1, text_last=False):
    """A Markdown table; the first `left` columns flush left, and the last one if it is text."""
    rule = ["---" if i < left else "---:" for i in range(len(heads))]
    if text_last:
        rule[-1] = "---"
    lines = [heads, rule, *rows]
    return "".join("| " + " | ".join(str(cell) for cell in line) + " |\n" for line in lines) + "\n"


def wrapped(text, width=110):
    """A paragraph in lines of bounded length, none of which looks like an item of a list."""
    lines, line = [], ""
    for word in text.split():
        if line and len(line) + 1 + len(word) > width and not word.startswith(("-", "+", "#", "=")):
            lines.append(line)
            line = word
        else:
            line = f"{line} {word}" if line else word
    return "\n".join([*lines, line]) + "\n\n"


def bullets(points, width=110):
    found = []
    for point in points:
        found.append("- " + wrapped(point, width - 2).strip().replace("\n", "\n  ") + "\n")
    return "".join(found) + "\n"


def command(*lines):
    """Lines of a call, joined as in a shell."""
    return "```\n" + " \\\n    ".join(lines) + "\n```\n\n"


def listed(rows, most=20):
    """Bullets of the first rows, and how many there are beyond them."""
    more = [f"and {len(rows) - most} more"] if len(rows) > most else []
    return bullets(rows[:most] + more)


class Document:
    """Sections, a line on each for the summary, and the rows that break their bound."""

    def __init__(self):
        self.parts = []
        self.summary = []
        self.broken = []

    def add(self, *parts):
        self.parts.extend(parts)

    def heading(self, text, level=2):
        self.parts.append("#" * level + " " + text + "\n\n")

    def summarize(self, what, errors, bound=None, broken=()):
        """Errors are fractions; `broken` says which rows are beyond the bound, if there is one."""
        mean = sum(errors) / len(errors) if errors else 0.0
        worst = max(errors, key=abs) if errors else 0.0
        self.summary.append(
            [
                what,
                count(len(errors)),
                percent(mean),
                percent(worst),
                bound or "-",
                f"**no** ({len(broken)})" if broken else "yes" if bound else "-",
            ]
        )
        self.broken += [f"{what}: {row}" for row in broken]
