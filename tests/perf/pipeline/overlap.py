#!/usr/bin/env python3
"""Does the whole run as fast as its slowest half alone? And does memory stay within its budget?

    overlap.py FLOWRUN CIFAR10_FOLDER [--repeats 3] [--steps 20] [--set PATH=VALUE]…

CIFAR10_FOLDER is what tools/unpack_cifar10 made. Three runs in turn, `repeats` times: the whole of
pipelines/cifar10.json; its input alone (files to masks, nothing trained); its training alone (the same models on drawn
8x8 pictures, whose input costs next to nothing). Prints images per second and whole / slower half, which is 1 when
everything overlaps. Then the input alone under two memory budgets: bytes of the batches in flight, and peak memory of
the process.
"""
import argparse
import json
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[3]
INPUT = ["files", "crop", "decode", "view", "flip", "batch", "mask", "sheet"]
TRAINING = [*INPUT, "upload", "targets", "encode", "predict", "loss", "update", "ema"]


def pipelines(folder, steps):
    base = json.loads((ROOT / "pipelines/cifar10.json").read_text())
    base["let"]["path"] = str(folder)
    base["run"].update(epochs=1, steps=steps)
    metrics = {"type": "report.metrics", "in": "loss", "every": f"{steps // 4} steps", "tensorboard": False}
    nodes = base["nodes"]
    whole = {**base, "nodes": {name: nodes[name] for name in TRAINING} | {"metrics": metrics}}
    # Input is much faster: it runs all steps of the epoch, so that the start weighs little.
    count = {**metrics, "in": {"image": "batch"}, "every": "40 steps"}
    half_input = {**base, "models": {}, "run": {"epochs": 1}, "nodes": {name: nodes[name] for name in INPUT} | {"metrics": count}}
    half_training = {**whole, "nodes": {**whole["nodes"], "files": {"type": "source.synthetic", "images": 50000, "size": 8}}}
    return {"whole": whole, "input": half_input, "training": half_training}


def run(flowrun, pipeline, folder, name, sets):
    path = folder / f"{name}.json"
    path.write_text(json.dumps(pipeline))
    out = folder / name
    arguments = [part for value in sets for part in ("--set", value)]
    done = subprocess.run([flowrun, path, "--out", out, "--quiet", *arguments], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{name} failed:\n{done.stderr}")
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    stats = json.loads((out / "stats.json").read_text())
    # The first stretch holds the start.
    rates = [line["images_per_second"] for line in lines[1:]]
    return len(rates) / sum(1 / rate for rate in rates), stats


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("flowrun")
    parser.add_argument("folder")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--set", action="append", default=[])
    args = parser.parse_args()
    rates = {name: [] for name in ("whole", "input", "training")}
    ratios = []
    for repeat in range(args.repeats):
        with tempfile.TemporaryDirectory() as folder:
            for name, pipeline in pipelines(pathlib.Path(args.folder).resolve(), args.steps).items():
                sets = [value for value in args.set if not (name == "input" and value.startswith(("update.", "student.")))]
                rates[name].append(run(args.flowrun, pipeline, pathlib.Path(folder), name, sets)[0])
        ratios.append(rates["whole"][-1] / min(rates["input"][-1], rates["training"][-1]))
        print("  ".join(f"{name} {values[-1]:7.0f}/s" for name, values in rates.items()), f"  whole / slower half {ratios[-1]:.3f}", flush=True)
    print(f"whole / slower half: median {statistics.median(ratios):.3f}, from {min(ratios):.3f} to {max(ratios):.3f}")

    for budget in (2, 64):
        with tempfile.TemporaryDirectory() as folder:
            pipeline = pipelines(pathlib.Path(args.folder).resolve(), args.steps)["input"]
            before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
            _, stats = run(args.flowrun, pipeline, pathlib.Path(folder), "input", [f"run.memory_mib={budget}"])
            buffers = stats["buffers"]
            print(f"run.memory_mib {budget}: {buffers['groups']} groups in flight, {buffers['bytes'] / 2**20:.2f} MiB "
                  f"(largest process so far {max(before, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss) / 1024:.0f} MiB)")
            if buffers["bytes"] > budget * 2**20:
                sys.exit("the budget was exceeded")


if __name__ == "__main__":
    main()
