"""Draws the rows of `cargo xtask bench partition --json FILE` as S001's Fig. 2.

    plot.py ROWS.json OUT.svg

One group of bars a dataset, one pair of bars a precision: glebe, and rasterio beside it.
"""

import json
import sys

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 760, 330, 58, 12, 44, 62
OURS, PEER, INK, GRID = "#1b6ca8", "#c9c9c9", "#222222", "#e4e4e4"


def parse(row):
    """Sentinel-2 L2A JP2, 2196 px, geohash 5: 36 cells"""
    head, cells = row["what"].rsplit(": ", 1)
    dataset, _, precision = [part.strip() for part in head.split(",")]
    name = dataset.replace(" GeoTIFF", "").replace(" L2A JP2", "")
    return name, precision.removeprefix("geohash "), cells, row["value"], row["peer"]["value"]


def ticks(most):
    step = next(s for s in (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500) if most / s <= 6)
    return [i * step for i in range(int(most / step) + 1)]


def main(source, target):
    report = json.load(open(source))
    rows = [parse(row) for row in report["rows"]]
    most = max(max(row[3], row[4]) for row in rows) * 1.05
    scale = (HEIGHT - TOP - BOTTOM) / most
    base = HEIGHT - BOTTOM
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'font-family="sans-serif" font-size="11" fill="{INK}">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        f'<text x="{LEFT}" y="18" font-size="13">Seconds to partition one scene, '
        "by dataset and geohash precision</text>",
        f'<rect x="{LEFT}" y="25" width="10" height="10" fill="{OURS}"/>'
        f'<text x="{LEFT + 14}" y="34">glebe, all metadata, fsynced</text>',
        f'<rect x="{LEFT + 180}" y="25" width="10" height="10" fill="{PEER}"/>'
        f'<text x="{LEFT + 194}" y="34">rasterio WarpedVRT, two processes, pixels only</text>',
    ]
    for tick in ticks(most):
        y = base - tick * scale
        out.append(f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" stroke="{GRID}"/>')
        out.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{tick:g} s</text>')
    names = list(dict.fromkeys(row[0] for row in rows))
    group = (WIDTH - LEFT - RIGHT) / len(names)
    for number, name in enumerate(names):
        own = [row for row in rows if row[0] == name]
        step = group * 0.9 / len(own)
        for place, (_, precision, cells, ours, peer) in enumerate(own):
            x = LEFT + number * group + group * 0.05 + place * step
            for shift, value, colour in ((0, ours, OURS), (1, peer, PEER)):
                left, wide = x + step * (0.1 + 0.4 * shift), step * 0.38
                out.append(
                    f'<rect x="{left:.1f}" y="{base - value * scale:.1f}" width="{wide:.1f}" '
                    f'height="{value * scale:.1f}" fill="{colour}"><title>{value:.2f} s</title></rect>'
                )
            middle = x + step / 2
            out.append(f'<text x="{middle:.1f}" y="{base + 15}" text-anchor="middle">{precision}</text>')
            out.append(
                f'<text x="{middle:.1f}" y="{base + 28}" text-anchor="middle" font-size="9" '
                f'fill="#666666">{cells}</text>'
            )
        middle = LEFT + (number + 0.5) * group
        out.append(
            f'<text x="{middle:.1f}" y="{base + 48}" text-anchor="middle" font-size="12">{name}</text>'
        )
    out.append(f'<path d="M{LEFT} {base}H{WIDTH - RIGHT}" stroke="{INK}"/></svg>')
    with open(target, "w") as file:
        file.write("\n".join(out) + "\n")


main(*sys.argv[1:])
