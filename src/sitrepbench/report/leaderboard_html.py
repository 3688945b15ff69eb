"""A leaderboard as one HTML page: tables that sort by a click, figures inline, nothing fetched."""

from __future__ import annotations

from html import escape

from sitrepbench.comparison.leaderboard import Leaderboard
from sitrepbench.report.leaderboard_figures import draw_costs, draw_ranks
from sitrepbench.report.leaderboard_files import Cells, tables
from sitrepbench.report.leaderboard_words import counted, findings, statements, title_of

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem;
  color: #222; background: #fff; }
table { border-collapse: collapse; margin: 1rem 0; display: block; overflow-x: auto; }
th, td { padding: .25rem .6rem; text-align: left; border-bottom: 1px solid #ddd;
  white-space: nowrap; font-variant-numeric: tabular-nums; }
th button { all: unset; cursor: pointer; }
th button:focus-visible { outline: 2px solid #0072b2; }
th[aria-sort=ascending] button::after { content: " \\2191"; }
th[aria-sort=descending] button::after { content: " \\2193"; }
tr.unranked td { font-style: italic; color: #555; }
figure { margin: 1.5rem 0; }
svg { max-width: 100%; height: auto; }
small { color: #555; }
"""

# Sorts by number where a cell begins with one, blanks last; the unranked row stays below.
_SCRIPT = """
document.querySelectorAll("th button").forEach(button => button.addEventListener("click", () => {
  const head = button.parentElement, body = head.closest("table").tBodies[0];
  const at = head.cellIndex, down = head.getAttribute("aria-sort") === "ascending";
  head.parentElement.querySelectorAll("th").forEach(other => other.removeAttribute("aria-sort"));
  head.setAttribute("aria-sort", down ? "descending" : "ascending");
  const value = row => row.cells[at].textContent.trim().replaceAll(",", "");
  const rows = [...body.rows].filter(row => !row.classList.contains("unranked"));
  rows.sort((one, two) => {
    const a = value(one), b = value(two), x = parseFloat(a), y = parseFloat(b);
    if (a === "" || b === "") return (a === "") - (b === "");
    const order = isNaN(x) || isNaN(y) ? a.localeCompare(b) : x - y;
    return down ? -order : order;
  });
  const last = [...body.rows].filter(row => row.classList.contains("unranked"));
  body.append(...rows, ...last);
}));
"""


def board_html(board: Leaderboard) -> str:
    """Return a leaderboard as a page that stands alone."""
    ranking, behind = tables(board)
    unranked = board.annotators is not None
    question = f"<p><b>Question:</b> {escape(board.question)}</p>" if board.question else ""
    found = "".join(f"<li>{escape(line)}</li>\n" for line in findings(board))
    meant = "".join(f"<p><small>{escape(line)}</small></p>\n" for line in statements(board))
    figures = "".join(
        f"<figure>{_inline(drawn, prefix)}<figcaption>{caption}</figcaption></figure>\n"
        for drawn, prefix, caption in (
            (draw_ranks(board), "ranks", "Rank intervals"),
            (draw_costs(board), "costs", "Cost and quality"),
        )
        if drawn
    )
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title_of(board))}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        f"<h1>{escape(title_of(board))}</h1>\n{question}\n"
        f"<p>{escape(counted(board))}, {len(board.rows)} rows</p>\n"
        f"{_table(ranking, unranked)}<ul>\n{found}</ul>\n"
        f"<h2>Labels, conflicts, calibration, costs</h2>\n{_table(behind, unranked)}"
        f"{figures}{meant}<script>{_SCRIPT}</script>\n</body>\n</html>\n"
    )


def _table(cells: Cells, last_is_unranked: bool) -> str:
    heads, rows = cells
    head = "".join(f'<th scope="col"><button>{escape(name)}</button></th>' for name in heads)
    lines = []
    for number, row in enumerate(rows, start=1):
        kind = ' class="unranked"' if last_is_unranked and number == len(rows) else ""
        lines.append(f"<tr{kind}>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>\n")
    return f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{''.join(lines)}</tbody>\n</table>\n"


def _inline(drawn: str, prefix: str) -> str:
    """Return an SVG without its header, and with ids of its own: two stand on one page."""
    body = drawn[drawn.index("<svg") :]
    for before, after in (('id="', f'id="{prefix}-'), ('href="#', f'href="#{prefix}-'),
                          ("url(#", f"url(#{prefix}-")):  # fmt: skip
        body = body.replace(before, after)
    return body
