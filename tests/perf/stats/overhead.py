"""Measures the cost of the statistics that every run keeps: the same runs with a flowrun without them, in turns.

    python tests/perf/stats/overhead.py [--repeats 100] [--images 4000]

Builds that flowrun into build/bare. The pipelines are those where nodes are small, so that the cost shows: drawn pictures
of 32 pixels through source, crop, decode, resize, flip and stack, and the quickstart, whose model is tiny. Where a machine
is too noisy for that, the cost of one call shows more: the difference of perf_engine's chain in both builds.
"""
import argparse
import json
import os
import pathlib
import random
import statistics
import subprocess
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[3]

IMAGES = {
    "files": {"type": "source.synthetic", "images": 1000, "size": 32},
    "crop": {"type": "image.random_crop", "in": "files"},
    "decode": {"type": "image.decode", "in": {"bytes": "files", "region": "crop"}},
    "view": {"type": "image.resize", "in": {"image": "decode", "region": "crop"}, "size": 24},
    "flip": {"type": "image.random_flip", "in": "view"},
    "batch": {"type": "batch.stack", "in": "flip", "size": 50},
}


def pipelines(images):
    quickstart = json.loads((ROOT / "pipelines/quickstart.json").read_text())
    train = {key: node for key, node in quickstart["nodes"].items() if not key.startswith(("known", "unseen")) and not node["type"].startswith("eval.")}
    steps = images // 10 // train["batch"]["size"]
    run = {"device": "cpu", "threads": 1, "intra_op": 1}
    return {
        "data": {"run": {**run, "epochs": images // 1000}, "nodes": {**IMAGES, "end": {"type": "report.metrics", "in": {"image": "batch"}, "every": "1 epoch", "tensorboard": False}}},
        "training": {**quickstart, "run": {**run, "epochs": 100, "steps": steps}, "nodes": train},
    }


def per_image(binary, pipeline, folder):
    out = pathlib.Path(tempfile.mkdtemp(dir=folder)) / "run"
    subprocess.run([binary, pipeline, "--quiet", "--out", out], check=True, capture_output=True)
    result = json.loads((out / "result.json").read_text())
    calls = sum(node["count"] for node in json.loads((out / "stats.json").read_text())["nodes"].values())
    return result["seconds"] / result["images"], calls / result["images"]


def chain_ns(perf_engine):
    """Per message and node, one thread; perf_engine's own median of one turn."""
    turn = json.loads(subprocess.run([perf_engine, "100000", "1"], check=True, capture_output=True, text=True).stdout)
    return next(case for case in turn["chain"] if case["threads"] == 1)["flowrun_ns"]["median"]


def quiet(seconds):
    """The fifth fastest of twenty: other load on a machine only adds time."""
    return statistics.quantiles(seconds, n=4)[0]


def cost(seconds):
    return quiet(seconds["with"]) / quiet(seconds["without"]) - 1


def spread(seconds):
    draw = random.Random(0)
    costs = sorted(cost({side: draw.choices(values, k=len(values)) for side, values in seconds.items()}) for _ in range(1000))
    return costs[50], costs[949]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=100)
    parser.add_argument("--images", type=int, default=4_000)
    args = parser.parse_args()
    venv = subprocess.run([ROOT / "tools/setup"], check=True, text=True, stdout=subprocess.PIPE).stdout.strip()
    bare = ROOT / "build/bare"
    options = ["-DFLOWRUN_STATISTICS=OFF", f"-DFLOWRUN_VENV={venv}"]
    subprocess.run(["cmake", "-S", ROOT, "-B", bare, "-G", "Ninja", *options], check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["cmake", "--build", bare, "--target", "flowrun", "perf_engine"], check=True, stdout=subprocess.DEVNULL)
    binaries = {"with": pathlib.Path(os.environ.get("FLOWRUN_BIN", ROOT / "build/release/bin/flowrun")), "without": bare / "bin/flowrun"}
    chain = {side: [] for side in binaries}
    for repeat in range(args.repeats // 4):
        for side in binaries:
            chain[side].append(chain_ns(binaries[side].parents[1] / "tests/perf/engine/perf_engine"))
    call = quiet(chain["with"]) - quiet(chain["without"])
    print(f"a call: {quiet(chain['with']):.0f} ns with statistics, {quiet(chain['without']):.0f} without")
    with tempfile.TemporaryDirectory() as folder:
        for name, pipeline in pipelines(args.images).items():
            path = pathlib.Path(folder) / f"{name}.json"
            path.write_text(json.dumps(pipeline))
            seconds, calls = {side: [] for side in binaries}, 0
            for repeat in range(args.repeats):
                for side in list(binaries) if repeat % 2 == 0 else list(binaries)[::-1]:
                    took, called = per_image(binaries[side], path, folder)
                    seconds[side].append(took)
                    calls = max(calls, called)
            low, high = spread(seconds)
            print(f"{name}: {1e6 * quiet(seconds['with']):.1f} us an image with statistics, {1e6 * quiet(seconds['without']):.1f} without: "
                  f"{cost(seconds):+.1%} (nine of ten resamples between {low:+.1%} and {high:+.1%})")
            print(f"{name}: {calls:.1f} calls an image, {calls * call / 1e9 / quiet(seconds['without']):.2%} of its time")


if __name__ == "__main__":
    main()
