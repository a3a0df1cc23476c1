"""Draws figures as lines, from what a benchmark or test printed.

    lines.py usage ROWS.json OUT.svg    cores busy over time, of `cargo xtask bench usage --json`
    lines.py memory ROWS.json OUT.svg   memory over time, of the same: by mode, and of a long run
    lines.py needs ROWS.ndjson OUT.svg  memory of a step, told and seen, of the `needs` tests
    lines.py transfer SAID.txt OUT.svg  epochs saved, seed by seed, as `bench transfer` says them
"""

import json
import math
import re
import sys

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 760, 330, 58, 170, 40, 46
COLOURS = ["#1b6ca8", "#c8553d", "#588b4c", "#8a6bbe", "#b08900", "#5f6b73"]
INK, GRID = "#222222", "#e4e4e4"


class Axis:
    """A scale from values to pixels, linear or logarithmic."""

    def __init__(self, values, pixels, log=False):
        self.log = log
        self.low, self.high = (min(values), max(values)) if log else (0, max(values) * 1.05)
        self.start, self.end = pixels

    def __call__(self, value):
        low, high, value = (map(math.log, (self.low, self.high, value)) if self.log
                            else (self.low, self.high, value))
        return self.start + (value - low) / ((high - low) or 1) * (self.end - self.start)

    def ticks(self):
        if self.log:
            first, last = math.ceil(math.log2(self.low)), math.floor(math.log2(self.high))
            return [2.0 ** i for i in range(first, last + 1)]
        step = next(s * 10 ** e for e in range(-6, 6) for s in (1, 2, 5)
                    if self.high / (s * 10 ** e) <= 6)
        return [i * step for i in range(int(self.high / step) + 1)]


def page(target, panels, height=HEIGHT):
    """Writes panels, each the parts of a drawing of that height, one below the other."""
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height * len(panels)}" '
        f'font-family="sans-serif" font-size="11" fill="{INK}">',
        f'<rect width="{WIDTH}" height="{height * len(panels)}" fill="white"/>',
    ]
    for number, parts in enumerate(panels):
        shift = f' transform="translate(0 {number * height})"' if number else ""
        out += [f"<g{shift}>", *parts, "</g>"]
    with open(target, "w") as file:
        file.write("\n".join([*out, "</svg>"]) + "\n")


def panel(title, labels, lines, dots=(), log=False):
    points = [p for _, line in lines for p in line] + [p for _, dot in dots for p in dot]
    across = Axis([p[0] for p in points], (LEFT, WIDTH - RIGHT), log)
    up = Axis([p[1] for p in points], (HEIGHT - BOTTOM, TOP), log)
    out = [f'<text x="{LEFT}" y="20" font-size="13">{title}</text>']
    for tick in up.ticks():
        out.append(f'<path d="M{LEFT} {up(tick):.1f}H{WIDTH - RIGHT}" stroke="{GRID}"/>')
        out.append(f'<text x="{LEFT - 6}" y="{up(tick) + 4:.1f}" text-anchor="end">{tick:g}</text>')
    for tick in across.ticks():
        x = across(tick)
        out.append(f'<path d="M{x:.1f} {HEIGHT - BOTTOM}v4" stroke="{INK}"/>')
        out.append(f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">{tick:g}</text>')
    middle = (LEFT + WIDTH - RIGHT) / 2
    out.append(f'<text x="{middle:.1f}" y="{HEIGHT - 10}" text-anchor="middle">{labels[0]}</text>')
    out.append(f'<text x="{LEFT - 6}" y="{TOP - 6}" text-anchor="end">{labels[1]}</text>')
    for number, (name, line) in enumerate(lines):
        colour = COLOURS[number % len(COLOURS)]
        path = "L".join(f"{across(x):.1f} {up(y):.1f}" for x, y in line)
        out.append(f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
        y = TOP + 14 + 16 * number
        out.append(f'<rect x="{WIDTH - RIGHT + 12}" y="{y - 9}" width="10" height="10" fill="{colour}"/>')
        out.append(f'<text x="{WIDTH - RIGHT + 27}" y="{y}">{name}</text>')
    for number, (name, dot) in enumerate(dots):
        colour = COLOURS[number % len(COLOURS)]
        for x, y in dot:
            out.append(f'<circle cx="{across(x):.1f}" cy="{up(y):.1f}" r="3.5" fill="{colour}" '
                       f'stroke="white"><title>{name}: {y:g}</title></circle>')
    out.append(f'<path d="M{LEFT} {HEIGHT - BOTTOM}H{WIDTH - RIGHT}" stroke="{INK}"/>')
    return out


def usage(rows, target):
    models, lines = few(rows, ", cores busy")
    page(target, [panel(f"Cores busy while {models} come to be, one worker on two cores",
                        ("seconds", "cores"), lines)])


def memory(rows, target):
    models, lines = few(rows, ", memory")
    drawn = [panel(f"Memory while {models} come to be, one worker on two cores",
                   ("seconds", "MiB"), lines)]
    models, lines = many(rows)
    if lines:
        drawn.append(panel(f"Memory over one run of {models}, packed", ("seconds", "MiB"), lines))
    page(target, drawn)


def few(rows, measured):
    """Of `88 small models, packed: glebe, memory`: the models, and a line a mode and program."""
    models, lines = "", []
    for row in rows["rows"]:
        head, _, program = row["what"].removesuffix(measured).partition(": ")
        if row["what"].endswith(measured) and ", " in head:
            models, mode = head.split(", ")
            lines.append((f"{mode}: {program}", row["series"]))
    return models, lines


def many(rows):
    """Of `1105 small models: glebe, memory`: the models, and a line a program."""
    models, lines = "", []
    for row in rows["rows"]:
        head, _, rest = row["what"].partition(": ")
        if rest.endswith(", memory") and ", " not in head:
            models = head
            lines.append((rest.removesuffix(", memory"), row["series"]))
    return models, lines


def needs(rows, target):
    lines, dots = {}, {}
    for row in rows:
        name = f"{row['recipe']}, batch {row['batch']}"
        lines.setdefault(name, []).append((row["chip_px"], row["told_mib"]))
        dots.setdefault(name, []).append((row["chip_px"], row["seen_mib"]))
    page(target, [panel("Memory of a step: told before (lines) and seen (dots)",
                        ("side of a chip, pixels", "MiB"), list(lines.items()),
                        list(dots.items()), log=True)])


def transfer(text, target):
    """Of each seed two lines: own group, another; of each seed twice: synthetic cells, real ones."""
    names = ["synthetic, own group", "synthetic, another", "real, own group", "real, another"]
    worlds, lines = {}, {name: [] for name in names}
    said = re.findall(r"seed (\d+): Beside { speed_up: ([\d.]+).*?heirs: (\d+)", text)
    for seed, ratio, heirs in said:
        world = worlds.setdefault(int(heirs), {})
        world.setdefault(int(seed), []).append(float(ratio))
    for place, heirs in enumerate(sorted(worlds, reverse=True)):
        for seed, ratios in sorted(worlds[heirs].items()):
            for arm, ratio in enumerate(ratios):
                lines[names[2 * place + arm]].append((seed, ratio))
    page(target, [panel("Epochs to what a cold start ends with, cold over heir",
                        ("seed", "times"), list(lines.items()), list(lines.items()))])


if __name__ == "__main__":
    kind, source, target = sys.argv[1:]
    text = open(source).read()
    if kind in ("usage", "memory"):
        {"usage": usage, "memory": memory}[kind](json.loads(text), target)
    elif kind == "transfer":
        transfer(text, target)
    else:
        needs([json.loads(line) for line in text.splitlines() if line.strip().startswith("{")], target)
