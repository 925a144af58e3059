"""What the statistics that every run keeps cost: the same runs by a flowrun that has them compiled out, in turns.

    python tests/perf/stats/overhead.py [--repeats 15] [--images 40000]

Builds that flowrun into build/bare. The pipelines are those where nodes are small, so that the cost shows: drawn pictures
of 32 pixels through source, crop, decode, resize, flip, stack and masks, and the same with a tiny model behind them.
"""
import argparse
import json
import os
import pathlib
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
    "mask": {"type": "mask.rectangles", "in": "batch", "patch": 4, "min_keep": 2},
}


def pipelines(images):
    quickstart = json.loads((ROOT / "pipelines/quickstart.json").read_text())
    train = {key: node for key, node in quickstart["nodes"].items() if not key.startswith(("known", "unseen")) and not node["type"].startswith("eval.")}
    steps = images // 20 // train["batch"]["size"]
    run = {"device": "cpu", "threads": 1, "intra_op": 1}
    return {
        "data": {"run": {**run, "epochs": images // 1000}, "nodes": {**IMAGES, "end": {"type": "report.metrics", "in": {"image": "batch"}, "every": "1 epoch", "tensorboard": False}}},
        "training": {**quickstart, "run": {**run, "epochs": 100, "steps": steps}, "nodes": train},
    }


def rate(binary, pipeline, folder):
    out = pathlib.Path(tempfile.mkdtemp(dir=folder)) / "run"
    subprocess.run([binary, pipeline, "--quiet", "--out", out], check=True, capture_output=True)
    result = json.loads((out / "result.json").read_text())
    return result["images"] / result["seconds"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--images", type=int, default=40_000)
    args = parser.parse_args()
    venv = subprocess.run([ROOT / "tools/setup"], check=True, text=True, stdout=subprocess.PIPE).stdout.strip()
    bare = ROOT / "build/bare"
    options = ["-DFLOWRUN_STATISTICS=OFF", "-DBUILD_TESTING=OFF", f"-DFLOWRUN_VENV={venv}"]
    subprocess.run(["cmake", "-S", ROOT, "-B", bare, "-G", "Ninja", *options], check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["cmake", "--build", bare, "--target", "flowrun"], check=True, stdout=subprocess.DEVNULL)
    binaries = {"with": pathlib.Path(os.environ.get("FLOWRUN_BIN", ROOT / "build/release/bin/flowrun")), "without": bare / "bin/flowrun"}
    with tempfile.TemporaryDirectory() as folder:
        for name, pipeline in pipelines(args.images).items():
            path = pathlib.Path(folder) / f"{name}.json"
            path.write_text(json.dumps(pipeline))
            ratios, rates = [], {side: [] for side in binaries}
            for repeat in range(args.repeats):
                order = list(binaries) if repeat % 2 == 0 else list(binaries)[::-1]
                for side in order:
                    rates[side].append(rate(binaries[side], path, folder))
                ratios.append(rates["without"][-1] / rates["with"][-1])
            middle = {side: statistics.median(values) for side, values in rates.items()}
            spread = sorted(ratios)
            print(f"{name}: {middle['with']:.0f} images/s with statistics, {middle['without']:.0f} without; ratio {statistics.median(ratios):.3f} "
                  f"(quartiles {spread[len(spread) // 4]:.3f} to {spread[-len(spread) // 4 - 1]:.3f})")


if __name__ == "__main__":
    main()
