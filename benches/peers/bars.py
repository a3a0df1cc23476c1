"""Draws figures as small groups of bars, from what a benchmark or test printed.

    bars.py train ROWS.json OUT.svg    samples, loaders and packed runs, of `cargo xtask bench train`
    bars.py predict ROWS.json OUT.svg  pixels a second and memory, of `cargo xtask bench predict`
    bars.py alike SAID.txt OUT.svg     a model a cell beside one of all, of the `partitioned` test
"""

import json
import math
import re
import sys

from lines import COLOURS, GRID, INK, LEFT, TOP, WIDTH, Axis, page

HEIGHT, BOTTOM, GAP = 250, 44, 54
GREY = "#c9c9c9"


def panels(title, boxes, colours=(COLOURS[0], GREY, "#8f8f8f")):
    """A row of boxes, each with a scale of its own.

    A box is its head, its unit and its groups of bars: a label, and a name and a value a bar.
    """
    out = [f'<text x="{LEFT}" y="16" font-size="13">{title}</text>']
    wide = (WIDTH - LEFT - 12 - GAP * (len(boxes) - 1)) / len(boxes)
    for number, box in enumerate(boxes):
        out += drawn(box, (LEFT + number * (wide + GAP), wide), colours)
    return out


def drawn(box, span, colours):
    (head, unit, groups), (left, wide) = box, span
    base = HEIGHT - BOTTOM
    up = Axis([value for _, bars in groups for _, value in bars], (base, TOP + 12))
    out = [f'<text x="{left:.1f}" y="{TOP - 4}">{head}</text>']
    for tick in up.ticks():
        y = up(tick)
        out.append(f'<path d="M{left:.1f} {y:.1f}h{wide:.1f}" stroke="{GRID}"/>')
        out.append(f'<text x="{left - 5:.1f}" y="{y + 4:.1f}" text-anchor="end" font-size="9">'
                   f"{tick:g}</text>")
    step = wide / len(groups)
    for at, (label, bars) in enumerate(groups):
        each = step * 0.86 / len(bars)
        for place, (name, value) in enumerate(bars):
            x = left + step * (at + 0.07) + each * place
            y = up(value)
            out.append(f'<rect x="{x + each * 0.06:.1f}" y="{y:.1f}" width="{each * 0.88:.1f}" '
                       f'height="{base - y:.1f}" fill="{colours[place % len(colours)]}">'
                       f"<title>{name}: {value:g} {unit}</title></rect>")
            middle = x + each / 2
            out.append(f'<text x="{middle:.1f}" y="{y - 3:.1f}" text-anchor="middle" font-size="8">'
                       f"{short(value)}</text>")
            out.append(f'<text x="{middle:.1f}" y="{base + 12}" text-anchor="middle" font-size="8">'
                       f"{name}</text>")
        middle = left + step * (at + 0.5)
        out.append(f'<text x="{middle:.1f}" y="{base + 26}" text-anchor="middle">{label}</text>')
    out.append(f'<path d="M{left:.1f} {base}h{wide:.1f}" stroke="{INK}"/>')
    return out


def short(value):
    """A number of two or three digits, without an exponent."""
    if value >= 100:
        return f"{value:,.0f}"
    if value >= 0.1:
        return f"{value:.3g}"
    return f"{value:.{1 - math.floor(math.log10(value))}f}".rstrip("0") if value > 0 else "0"


def train(rows, target):
    """`ndvi-cnn, one job, reading included` and its like beside a peer; `88 small models …, packed`."""
    rates, reads, packed = {}, {}, []
    for row in rows["rows"]:
        recipe, _, what = row["what"].partition(", ")
        peer = row["peer"]
        if what.startswith("one job"):
            rates[recipe] = [("glebe", row["value"]), (peer["name"].split("+")[0], peer["value"])]
        elif what.startswith("reading"):
            bars = reads.setdefault(recipe, [("glebe", row["value"])])
            bars.append((peer["name"].replace("rasterio, ", ""), peer["value"]))
        elif what == "packed":
            packed = [(recipe, [("packed", row["value"]), (peer["name"], peer["value"])])]
    title = "Samples a second of one job, chips read included (more is better)"
    drawn = [panels(title, [(recipe, "samples/s", [("", bars)]) for recipe, bars in rates.items()])]
    title = "Seconds to read a job's chips, rasterio beside, and of small models (less is better)"
    boxes = [(f"chips of {recipe}", "s", [("", bars)]) for recipe, bars in reads.items()]
    boxes += [(what.replace(" of ndvi-cnn", ""), "s", [("", bars)]) for what, bars in packed]
    page(target, [*drawn, panels(title, boxes)], HEIGHT)


def predict(rows, target):
    """`ndvi-cnn, whole command, borders blended over 32 pixels`; `…, 32 pixels: held by …`."""
    rates, held = {}, {}
    for row in rows["rows"]:
        recipe, margin = row["what"].split(", ")[0], re.search(r"(\d+) pixels", row["what"])
        if margin:
            into = rates if row["unit"] == "Mpx/s" else held
            into.setdefault(recipe, []).append((f"{margin[1]} px", row["value"]))
    boxes = [("megapixels a second, whole command", "Mpx/s", list(rates.items()))]
    boxes.append(("MiB held by the worker", "MiB", list(held.items())))
    page(target, [panels("Maps of a scene, borders blended over so many pixels", boxes)], HEIGHT)


def alike(text, target):
    """`cells differ, gcpvj: test MSE partitioned 0.00242, global 0.00181, …`, a line a cell."""
    line = r"^(cells [a-z ]+), (\w+): test MSE partitioned ([\d.]+), global ([\d.]+)"
    worlds = {}
    for world, cell, own, whole in re.findall(line, text, re.MULTILINE):
        bars = [("own", float(own)), ("global", float(whole))]
        worlds.setdefault(world, []).append((cell, bars))
    boxes = [(world, "MSE", groups) for world, groups in worlds.items()]
    title = "Mean squared error of NDVI on test blocks: own model or one of all cells (scales differ)"
    page(target, [panels(title, boxes)], HEIGHT)


if __name__ == "__main__":
    kind, source, target = sys.argv[1:]
    text = open(source).read()
    if kind == "alike":
        alike(text, target)
    else:
        {"train": train, "predict": predict}[kind](json.loads(text), target)
