"""Two kinds of pictures as SVG text: bars and curves. Colours follow the reader's light or dark scheme; the background stays clear.

    bars("Title", [("bert-base b1s128", [1.21, 1.25])], ["1 thread", "2 threads"], "times as fast", mark=1)
    curves("Title", {"Tenon": [(1, 5.0), (2, 9.1)]}, "batch", "ms")
"""
import math

WIDTH, LABEL, RIGHT, TOP, LINE = 860, 250, 60, 60, 14
PLOT_HEIGHT = 260
STYLE = """<style>
text{font:12px system-ui,sans-serif;fill:#24292f}
.title{font-size:15px;font-weight:600}
.faint{fill:#6e7781}
.grid{stroke:#d0d7de;stroke-width:1}
.mark{stroke:#24292f;stroke-width:1.5;stroke-dasharray:4 3}
.c0{fill:#0969da;stroke:#0969da}.c1{fill:#8250df;stroke:#8250df}.c2{fill:#bf8700;stroke:#bf8700}
.c3{fill:#1a7f37;stroke:#1a7f37}.c4{fill:#cf222e;stroke:#cf222e}.c5{fill:#6e7781;stroke:#6e7781}
.bar{stroke:none}.curve{fill:none;stroke-width:2}
@media(prefers-color-scheme:dark){
text{fill:#e6edf3}.faint{fill:#8b949e}.grid{stroke:#30363d}.mark{stroke:#e6edf3}
.c0{fill:#58a6ff;stroke:#58a6ff}.c1{fill:#bc8cff;stroke:#bc8cff}.c2{fill:#e3b341;stroke:#e3b341}
.c3{fill:#56d364;stroke:#56d364}.c4{fill:#ff7b72;stroke:#ff7b72}.c5{fill:#8b949e;stroke:#8b949e}
.curve{fill:none}}
</style>"""
COLOURS = 6


def escape(text):
    return str(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def text(x, y, content, anchor="start", css=""):
    kind = f' class="{css}"' if css else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{kind}>{escape(content)}</text>'


def line(x1, y1, x2, y2, css):
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{css}"/>'


def picture(height, title, parts):
    return "\n".join([f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">',
                      f"<title>{escape(title)}</title>", STYLE, text(10, 22, title, css="title"), *parts, "</svg>"]) + "\n"


def legend(names, x, y):
    parts = []
    for i, name in enumerate(names):
        parts += [f'<rect x="{x:.1f}" y="{y - 9}" width="10" height="10" class="bar c{i % COLOURS}"/>', text(x + 15, y, name)]
        x += 40 + 7 * len(name)
    return parts


def number(value):
    """Three digits: 1.21, 12.1, 121."""
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def steps(most):
    """Round grid values from 0 to at least `most`, four to eight of them."""
    step = 10 ** math.floor(math.log10(most))
    while most / step < 4:
        step /= 2
    return [step * i for i in range(math.ceil(most / step) + 1)]


def bars(title, rows, series, unit, mark=None):
    """rows: (label, a value per series, None where there is none)."""
    grid = steps(max(v for _, values in rows for v in values if v is not None))
    scale = (WIDTH - LABEL - RIGHT) / grid[-1]
    row_height = LINE * len(series) + 8
    bottom = TOP + row_height * len(rows)
    parts = legend(series, LABEL, 44)
    for value in grid:
        x = LABEL + value * scale
        parts += [line(x, TOP - 4, x, bottom, "grid"), text(x, bottom + 16, f"{value:g}", "middle", "faint")]
    for i, (label, values) in enumerate(rows):
        y = TOP + i * row_height
        parts.append(text(LABEL - 8, y + row_height / 2, label, "end"))
        for k, value in enumerate(values):
            if value is not None:
                parts += [f'<rect x="{LABEL}" y="{y + k * LINE:.1f}" width="{value * scale:.1f}" height="{LINE - 2}" class="bar c{k % COLOURS}"/>',
                          text(LABEL + value * scale + 5, y + k * LINE + 10, number(value), css="faint")]
    if mark is not None:
        parts.append(line(LABEL + mark * scale, TOP - 4, LABEL + mark * scale, bottom, "mark"))
    parts.append(text(WIDTH - 10, 22, unit, "end", "faint"))
    return picture(bottom + 26, title, parts)


def powers(least, most, base):
    """Powers of the base around a range."""
    first, last = math.floor(math.log(least, base) + 1e-9), math.ceil(math.log(most, base) - 1e-9)
    return [base ** e for e in range(first, max(last, first + 1) + 1)]


def curves(title, series, x_name, y_name):
    """series: {name: [(x, y), ...]}, all positive; both axes logarithmic."""
    left, points = 70, [p for curve in series.values() for p in curve]
    xs, ys = sorted({x for x, _ in points}), powers(min(y for _, y in points), max(y for _, y in points), 10)
    bottom = TOP + PLOT_HEIGHT

    def at_x(x):
        low, high = math.log(xs[0]), math.log(xs[-1])
        return left + (math.log(x) - low) / ((high - low) or 1) * (WIDTH - left - RIGHT)

    def at_y(y):
        return bottom - math.log(y / ys[0]) / math.log(ys[-1] / ys[0]) * PLOT_HEIGHT

    parts = legend(series, left, 44)
    for y in ys:
        parts += [line(left, at_y(y), WIDTH - RIGHT, at_y(y), "grid"), text(left - 8, at_y(y) + 4, f"{y:g}", "end", "faint")]
    for x in xs:
        parts += [line(at_x(x), TOP, at_x(x), bottom, "grid"), text(at_x(x), bottom + 16, f"{x:g}", "middle", "faint")]
    for i, curve in enumerate(series.values()):
        path = " ".join(f"{at_x(x):.1f},{at_y(y):.1f}" for x, y in curve)
        parts.append(f'<polyline points="{path}" class="curve c{i % COLOURS}"/>')
        parts += [f'<circle cx="{at_x(x):.1f}" cy="{at_y(y):.1f}" r="3" class="c{i % COLOURS}"/>' for x, y in curve]
    parts += [text(WIDTH - RIGHT, bottom + 34, x_name, "end", "faint"), text(WIDTH - 10, 22, y_name, "end", "faint")]
    return picture(bottom + 44, title, parts)
