"""Measures a training step of two views or of multi-crop beside the same step in PyTorch.

    tools/bench step --method dino              a student's and a teacher's passes over 2 large and 4 small crops, prototypes, center
    tools/bench step --method simsiam           two views through a ResNet-18, projector and predictor with batch norms
    tools/bench step --method simclr            the same with NT-Xent over the whole batch, of both views in one pass
    tools/bench step --method barlow            the same with the correlations of a wide projector

Flowrun's side is the shipped pipeline of the method at a small size, with the groups of the first step replayed as input (`flowrun
profile --stub`); it uploads and normalises them each time. PyTorch's is eager_methods.py: the same models, loss and optimizer on the
same shapes. They take turns, some steps each, and the number to read is the median of the rounds' ratios: how many times as fast as
PyTorch Flowrun is. Both count their parameters first; other counts than Flowrun's are an error.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
PIPELINES = HERE.parents[2] / "pipelines/methods"
JUDGES = ["known", "known_images", "known_features", "unseen", "unseen_images", "unseen_features", "knn", "linear", "health", "save"]
METHODS = {
    "dino": {
        "file": "multi_crop/dino_vit_s.json", "batches": ["large_batch", "small_batch"], "batch": 16,
        "shape": {"image": 96, "small": 48, "crops": 4, "patch": 16, "width": 192, "depth": 12, "heads": 3, "hidden": 512, "prototypes": 4096},
        "set": lambda n: {"let.size": n["image"], "let.small": n["small"], "small.count": n["crops"], "student.patch": n["patch"],
                          "student.width": n["width"], "student.depth": n["depth"], "student.heads": n["heads"], "student.drop_path": 0,
                          "head.layers": [n["hidden"], n["hidden"], 256], "head.prototypes": n["prototypes"], "update.freeze": {"match": [], "epochs": 0}},
        "text": "ViT of width {width}, depth {depth}; 2 crops of {image} and {crops} of {small} pixels; {prototypes} prototypes",
    },
    "simsiam": {
        "file": "two_view/simsiam_group.json", "batches": ["batch"], "batch": 8,
        "shape": {"image": 128, "depth": 18, "hidden": 512, "narrow": 128},
        "set": lambda n: {"let.size": n["image"], "student.arch": n["depth"], "projector.layers": [n["hidden"]] * 3,
                          "predictor.layers": [n["narrow"], n["hidden"]]},
        "text": "ResNet-{depth}; 2 views of {image} pixels; projector of {hidden}",
    },
    # Losses over the whole batch, in one process and one group, so that both sides run the same passes.
    "simclr": {
        "file": "two_view/simclr.json", "batches": ["batch"], "batch": 32,
        "shape": {"image": 64, "depth": 18, "hidden": 512, "out": 128},
        "set": lambda n: {"let.size": n["image"], "student.arch": n["depth"], "projector.layers": [n["hidden"], n["out"]], "run.pass": "group"},
        "swap": {"update": {"type": "train.sgd", "in": "loss", "models": ["student", "projector"], "lr": {"max": 1e-3, "final": 1e-3}, "weight_decay": 1e-4}},
        "text": "ResNet-{depth}; 2 views of {image} pixels; projector of {hidden} and {out}",
    },
    "barlow": {
        "file": "two_view/barlow_twins.json", "batches": ["batch"], "batch": 32,
        "shape": {"image": 64, "depth": 18, "hidden": 2048},
        "set": lambda n: {"let.size": n["image"], "student.arch": n["depth"], "projector.layers": [n["hidden"]] * 3, "run.pass": "group"},
        "swap": {"update": {"type": "train.sgd", "in": "loss", "models": ["student", "projector"], "lr": {"max": 1e-3, "final": 1e-3}, "weight_decay": 1e-4}},
        "text": "ResNet-{depth}; 2 views of {image} pixels; projector of {hidden}",
    },
}


def pipeline(method, shape, batch, threads):
    """The method's file at this size, on drawn pictures."""
    return {"about": f"{method}, for a benchmark", "extends": str(PIPELINES / METHODS[method]["file"]), "drop": JUDGES,
            "swap": {"files": {"type": "source.synthetic", "kind": "shapes", "images": 64 * batch, "size": shape["image"]}, **METHODS[method].get("swap", {})},
            "set": {"let.batch": batch, "let.group": batch, "run.device": "cpu", "run.precision": "fp32", "run.intra_op": threads, "run.threads": 1,
                    "run.memory_mib": 1024, **METHODS[method]["set"](shape)}}


class Flowrun:
    def __init__(self, options, path):
        self.program, self.path, self.options = options.program, path, options

    def parameters(self):
        planned = json.loads(self.ask("plan", self.path, "--json"))
        return sum(model["trained"] for model in planned["models"])

    def run(self, steps):
        """Milliseconds a step, of the clock and of the processor."""
        stubs = [word for batch in METHODS[self.options.method]["batches"] for word in ("--stub", f"{batch}=record")]
        measured = json.loads(self.ask("profile", self.path, *stubs, "--steps", str(steps), "--json"))
        return 1e3 * self.options.batch / measured["images_per_second"], 1e3 * measured["cpu_seconds"] / measured["steps"]

    def ask(self, *words):
        done = subprocess.run([self.program, *words], text=True, capture_output=True)
        if done.returncode != 0:
            sys.exit(f"flowrun {words[0]} failed:\n{done.stderr}")
        return done.stdout


class Eager:
    def __init__(self, options, shape):
        words = [options.method, json.dumps(shape), options.batch, options.threads]
        self.process = subprocess.Popen([sys.executable, HERE / "eager_methods.py", *map(str, words)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, line):
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            sys.exit(f"eager_methods.py ended with status {self.process.wait()}")
        return tuple(map(float, answer.split()))

    def parameters(self):
        return int(self.ask("parameters")[0])

    def run(self, steps):
        return self.ask(steps)

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def measure(options, shape, path):
    flowrun, eager = Flowrun(options, path), Eager(options, shape)
    counts = flowrun.parameters(), eager.parameters()
    if counts[0] != counts[1]:
        sys.exit(f"the models differ: Flowrun trains {counts[0]} parameters, PyTorch {counts[1]}")
    times = {"Flowrun": [], "PyTorch": []}
    for turn in range(options.rounds + 1):
        sides = [("Flowrun", flowrun), ("PyTorch", eager)]
        for name, side in sides if turn % 2 else reversed(sides):
            taken = side.run(options.steps)
            if turn > 0:  # the first round warms up
                times[name].append(taken)
    eager.close()
    return counts[0], times


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", help="flowrun, of a release build")
    parser.add_argument("--method", choices=METHODS, required=True)
    parser.add_argument("--batch", type=int, help="pictures in a step; 16 of dino, 8 of simsiam")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=4, help="in a round, on each side")
    parser.add_argument("--shape", type=json.loads, default={}, help='other sizes: {"image": 32, ...}')
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    options.batch = options.batch or METHODS[options.method]["batch"]
    shape = METHODS[options.method]["shape"] | options.shape
    with tempfile.TemporaryDirectory(prefix="flowrun-bench-") as folder:
        path = Path(folder) / f"{options.method}.json"
        path.write_text(json.dumps(pipeline(options.method, shape, options.batch, options.threads)))
        parameters, times = measure(options, shape, path)
    ratios, work = ([theirs[i] / ours[i] for ours, theirs in zip(times["Flowrun"], times["PyTorch"])] for i in range(2))
    if options.json:
        print(json.dumps({"method": options.method, "shape": shape, "batch": options.batch, "threads": options.threads, "parameters": parameters,
                          "ms": times, "ratio": statistics.median(ratios), "ratio_of_processor_time": statistics.median(work)}))
        return
    print(f"{options.method}: {METHODS[options.method]['text'].format(**shape)}; {options.batch} pictures a step, {parameters / 1e6:.1f} million "
          f"parameters, {options.threads} threads\n\n| | ms a step, median (range) | of processor time |\n|---|---|---|")
    for name, rounds in times.items():
        taken, busy = zip(*rounds)
        print(f"| {name} | {statistics.median(taken):.0f} ({min(taken):.0f}–{max(taken):.0f}) | {statistics.median(busy):.0f} |")
    print(f"\nFlowrun is {statistics.median(ratios):.2f} times as fast ({min(ratios):.2f}–{max(ratios):.2f} over {len(ratios)} rounds); "
          f"in processor time {statistics.median(work):.2f} times")


if __name__ == "__main__":
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # for both sides: other programs may want the cores
    main()
