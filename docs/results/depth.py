#!/usr/bin/env python3
"""Draws hidden_layers.svg from hidden_layers.jsonl: kNN at the end by the depth of the encoder, for each target. Seeds are dots, means a line.

    python3 docs/results/depth.py
"""
import json
import pathlib
import statistics

FOLDER = pathlib.Path(__file__).resolve().parent
DEPTHS = [3, 6, 9, 12]
TARGETS = {"spaced": ("several hidden blocks", "#0969da"), "last": ("the last block", "#bc4c00"), "average": ("average of the blocks", "#8250df"),
           "pixels": ("pixels", "#1a7f37")}
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 720, 400, 60, 190, 24, 56


def cells():
    """{(target, depth): [(seed, kNN at first, kNN at the end)]} on textures."""
    out = {}
    for line in open(FOLDER / "hidden_layers.jsonl"):
        cell = json.loads(line)
        changed = dict(change.split("=", 1) for change in cell["set"])
        if changed.get("let.kind", "textures") != "textures":
            continue
        curve = cell["curves"]["knn"]
        out.setdefault((cell["pipeline"], int(changed["student.depth"])), []).append((cell["seed"], curve[0][1], curve[-1][1]))
    return out


def x_of(depth, shift=0.0):
    return LEFT + (WIDTH - LEFT - RIGHT) * ((depth - DEPTHS[0] + shift) / (DEPTHS[-1] - DEPTHS[0]) * 0.92 + 0.04)


def y_of(share):
    return TOP + (HEIGHT - TOP - BOTTOM) * (1 - (share - 0.35) / 0.65)


def text(x, y, words, more=""):
    return f'<text x="{x:.1f}" y="{y:.1f}"{more}>{words}</text>'


def apart(heights, least=16):
    """Heights of labels, moved down where they would collide."""
    placed = []
    for height in heights:
        placed.append(max(height, placed[-1] + least) if placed else height)
    return placed


def drawing(of):
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12" role="img">',
           "<title>kNN accuracy by the depth of the encoder, for each target</title>",
           "<style>text{fill:#1f2328}.grid{stroke:#d0d7de}@media(prefers-color-scheme:dark){text{fill:#e6edf3}.grid{stroke:#3d444d}.page{fill:#0d1117}}</style>",
           f'<rect class="page" width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>']
    for percent in range(40, 101, 10):
        y = y_of(percent / 100)
        out.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        out.append(text(LEFT - 8, y + 4, percent, ' text-anchor="end"'))
    out.append(text(LEFT - 40, (TOP + HEIGHT - BOTTOM) / 2, "kNN accuracy at the end, %",
                    f' text-anchor="middle" transform="rotate(-90 {LEFT - 40} {(TOP + HEIGHT - BOTTOM) / 2:.1f})"'))
    for depth in DEPTHS:
        out.append(text(x_of(depth), HEIGHT - BOTTOM + 20, depth, ' text-anchor="middle"'))
    out.append(text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - BOTTOM + 42, "blocks of the encoder", ' text-anchor="middle"'))
    labels = []
    for number, (target, (words, colour)) in enumerate(TARGETS.items()):
        depths = [depth for depth in DEPTHS if (target, depth) in of]
        means = {depth: statistics.mean(end for _, _, end in of[target, depth]) for depth in depths}
        for depth in depths:
            for _, _, end in of[target, depth]:
                out.append(f'<circle cx="{x_of(depth, (number - 1.5) * 0.12):.1f}" cy="{y_of(end):.1f}" r="3" fill="{colour}" fill-opacity="0.45"/>')
        points = " ".join(f"{x_of(depth, (number - 1.5) * 0.12):.1f},{y_of(means[depth]):.1f}" for depth in depths)
        out.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2.5"/>')
        labels.append((y_of(means[depths[-1]]), words, colour))
    first = {depth: statistics.mean(start for target in TARGETS for _, start, _ in of.get((target, depth), [])) for depth in DEPTHS
             if any((target, depth) in of for target in TARGETS)}
    points = " ".join(f"{x_of(depth):.1f},{y_of(mean):.1f}" for depth, mean in first.items())
    out.append(f'<polyline points="{points}" fill="none" stroke="#818b98" stroke-width="1.5" stroke-dasharray="5 4"/>')
    labels.append((y_of(list(first.values())[-1]), "before training", "#818b98"))
    labels.sort()
    for (_, words, colour), y in zip(labels, apart([y for y, _, _ in labels])):
        out.append(text(WIDTH - RIGHT + 8, y + 4, words, f' style="fill:{colour}"'))
    return "\n".join(out + ["</svg>"]) + "\n"


if __name__ == "__main__":
    (FOLDER / "hidden_layers.svg").write_text(drawing(cells()))
