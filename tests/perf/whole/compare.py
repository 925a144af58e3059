"""Trains with Flowrun and with a method's own public training code in turns, on the same photographs, from the files to the update.

    tools/bench whole --peer ../ijepa                   facebookresearch/ijepa, a checkout of which lies there
    tools/bench whole --peer ../mae --threads 1 2       facebookresearch/mae, with one and with two threads inside operations

Both sides have the same model, batch, crops, kind of masks, loss and optimizer, in float32 on the CPU; as many data threads as the
peer's DataLoader has worker processes; as many threads inside operations. Flowrun's side is the published pipeline of
pipelines/paper/baselines at this size, under flowrun profile; the peer's is peer.py, whose text lists what is replaced in the peer.
In a round each side starts, takes its first steps, which don't count, and then the measured ones. Both train equally many parameters,
or it is an error. The number to read is the median of the rounds' ratios. Memory is that of the process at its largest, and for the
peer also what its workers hold alone.
"""

import argparse
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
METHODS = {
    "ijepa": {
        "title": "I-JEPA", "repository": "https://github.com/facebookresearch/ijepa", "pipeline": "ijepa_s.json",
        "files": ["src/train.py", "src/models/vision_transformer.py"],
        "packages": ["torch", "torchvision", "yaml"],
        "shape": {"image": 224, "patch": 16, "width": 384, "depth": 12, "heads": 6, "narrow": 192, "narrow_depth": 6},
        "set": lambda n: {"let.blocks": [n["depth"]]},
        "heads": lambda n: n["heads"],  # its code gives the predictor as many heads as the encoder
    },
    "mae": {
        "title": "MAE", "repository": "https://github.com/facebookresearch/mae", "pipeline": "mae_s.json",
        "files": ["main_pretrain.py", "models_mae.py"],
        "packages": ["torch", "torchvision", "timm", "tensorboard"],
        "shape": {"image": 224, "patch": 16, "width": 384, "depth": 12, "heads": 6, "narrow": 256, "narrow_depth": 8},
        "set": lambda n: {"predictor.out": 3 * n["patch"] ** 2},
        "heads": lambda n: max(1, n["narrow"] // 32),
    },
}
WARM_UP = 3  # steps of both sides that don't count


def fail(text):
    sys.exit(f"bench: {text}")


def arguments():
    parser = argparse.ArgumentParser(prog="tools/bench whole", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", type=Path, required=True, metavar="DIR", help="a checkout of the method's own code")
    parser.add_argument("--method", choices=METHODS, help="without it, what DIR holds")
    parser.add_argument("--images", type=Path, default=ROOT.parent / "shared/data/imagenet-sample", metavar="DIR", help="a folder of JPEG files")
    parser.add_argument("--batch", type=int, default=16, help="photographs in a step")
    parser.add_argument("--threads", type=int, nargs="+", default=[2], help="inside operations; a table for each")
    parser.add_argument("--workers", type=int, default=1, help="data threads of Flowrun, processes of the peer")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=8, help="measured in a round, on each side")
    parser.add_argument("--shape", type=json.loads, default={}, help='other sizes of the model: {"width": 768, ...}')
    parser.add_argument("--flowrun", type=Path, default=ROOT / "build/release/bin/flowrun", metavar="FILE", help="the program, of a release build")
    parser.add_argument("--python", type=Path, metavar="FILE", help="that runs the peer; without it tools/setup --test's")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    for name in ("batch", "workers", "rounds", "steps"):
        if getattr(options, name) < 1:
            parser.error(f"--{name} must be at least 1")
    if min(options.threads) < 1:
        parser.error("--threads must be at least 1")
    return options


def find_method(folder, wanted):
    """Checks that the folder holds the code, before anything else."""
    lacking = {name: [file for file in METHODS[name]["files"] if not (folder / file).is_file()] for name in METHODS}
    name = wanted or next((name for name in METHODS if not lacking[name]), None)
    if name and not lacking[name]:
        return name
    what = "no such folder" if not folder.is_dir() else "" if name is None else f"it lacks {', '.join(lacking[name])}"
    wanted_by = METHODS[name]["title"] if name else " or ".join(method["title"] for method in METHODS.values())
    fetch = "\n".join(f"  git clone {METHODS[one]['repository']} {folder}" for one in ([name] if name else METHODS))
    fail(f"--peer {folder} is not a checkout of the code of {wanted_by}{': ' * bool(what)}{what}; fetch it into a new folder:\n{fetch}")


def photographs(folder, batch):
    if not folder.is_dir():
        fail(f"--images {folder}: no such folder; give one of JPEG files")
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg") and path.is_file())
    if len(found) < batch:
        fail(f"--images {folder} has {len(found)} JPEG files, and a batch needs {batch}: give another folder, or a smaller --batch")
    return found


def find_python(options, method):
    """The Python that runs the peer, with all packages that the peer imports."""
    if not options.python:
        done = subprocess.run([ROOT / "tools/setup", "--test"], text=True, stdout=subprocess.PIPE)
        if done.returncode != 0:
            fail("tools/setup --test failed")
        options.python = Path(done.stdout.strip()) / "bin/python"
    look = "import importlib.util, sys; print(*(name for name in sys.argv[1:] if importlib.util.find_spec(name) is None))"
    lacking = subprocess.run([options.python, "-c", look, *method["packages"]], text=True, stdout=subprocess.PIPE, check=True).stdout.split()
    if lacking:
        fail(f"{options.python} lacks {', '.join(lacking)}, which {method['title']}'s code imports; tools/setup --test installs all of them")


def link_photographs(found, count, folder):
    """A pass long enough for all steps of a round, so that neither side begins another one: repeated links, and one class, which the
    peers' dataset asks for. Every file is read once, so that all rounds find it in memory."""
    inside = folder / "train/photographs"
    inside.mkdir(parents=True)
    for path in found:
        path.read_bytes()
    for number, path in zip(range(count), itertools.cycle(found)):
        (inside / f"{number:06}.jpg").symlink_to(path.resolve())


def pipeline(method, shape, options, threads, data):
    """The published file at this size and on these files. Neither side writes checkpoints in the measured time; both report every loss."""
    return {"about": f"{method['title']}, for a benchmark", "extends": str(ROOT / "pipelines/paper/baselines" / method["pipeline"]),
            "drop": ["health", "save"],
            "set": {"let.size": shape["image"], "let.patch": shape["patch"], "files.path": str(data / "train"),
                    "student.width": shape["width"], "student.depth": shape["depth"], "student.heads": shape["heads"],
                    "predictor.width": shape["narrow"], "predictor.depth": shape["narrow_depth"], "predictor.heads": method["heads"](shape),
                    "batch.size": options.batch, "batch.group": options.batch, "metrics.every": "1 step",
                    "run.device": "cpu", "run.precision": "fp32", "run.intra_op": threads, "run.threads": options.workers, "run.memory_mib": 256,
                    **method["set"](shape)}}


class Flowrun:
    def __init__(self, options, path, environment):
        self.options, self.path, self.environment = options, path, environment

    def ask(self, *words):
        done = subprocess.run([self.options.flowrun, *words], text=True, capture_output=True, env=self.environment)
        if done.returncode != 0:
            fail(f"flowrun {words[0]} failed:\n{done.stderr}")
        return json.loads(done.stdout)

    def parameters(self):
        return sum(model["trained"] for model in self.ask("plan", self.path, "--json")["models"])

    def run(self):
        batch, steps = self.options.batch, self.options.steps
        return self.ask("profile", self.path, "--skip", str(WARM_UP * batch), "--images", str(steps * batch), "--json")


class Peer:
    def __init__(self, options, name, settings, environment):
        self.command = [options.python, HERE / "peer.py", name, options.peer.resolve(), json.dumps(settings)]
        self.name, self.environment = name, {**environment, "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": str(settings["threads"])}

    def run(self):
        done = subprocess.run(self.command, text=True, capture_output=True, env=self.environment)
        if done.returncode != 0 or not done.stdout:
            last = "\n".join(done.stderr.strip().splitlines()[-15:])
            fail(f"the code of {METHODS[self.name]['title']} failed with status {done.returncode}:\n{last}")
        return json.loads(done.stdout)


def measure(options, name, shape, threads, data, work):
    method = METHODS[name]
    environment = {"OMP_WAIT_POLICY": "passive", **os.environ}  # for both sides: other programs may want the cores
    path = work / f"{name}-{threads}.json"
    path.write_text(json.dumps(pipeline(method, shape, options, threads, data)))
    settings = {"data": str(data), "scratch": str(work), "shape": {**shape, "narrow_heads": method["heads"](shape)}, "batch": options.batch,
                "workers": options.workers, "threads": threads, "warm_up": WARM_UP, "steps": options.steps}
    flowrun, peer = Flowrun(options, path, environment), Peer(options, name, settings, environment)
    trained, rounds = flowrun.parameters(), {"Flowrun": [], f"{method['title']}'s own code": []}
    for turn in range(options.rounds):
        sides = list(zip(rounds, (flowrun, peer)))
        for side, contender in sides if turn % 2 == 0 else reversed(sides):
            if sys.stderr.isatty():
                print(f"\rbench: {threads} threads, round {turn + 1} of {options.rounds}, {side}".ljust(78), end="", file=sys.stderr)
            taken = contender.run()
            if taken.get("parameters", trained) != trained:
                fail(f"the models differ: Flowrun trains {trained} parameters, {side} {taken['parameters']}")
            rounds[side].append({"images_per_second": taken["images"] / taken["seconds"], "cpu_ms": 1e3 * taken["cpu_seconds"] / taken["images"],
                                 "peak_mib": taken["peak_mib"]})
    if sys.stderr.isatty():
        print("\r".ljust(79) + "\r", end="", file=sys.stderr)
    return trained, rounds


def median_and_range(values, digits):
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f}–{max(values):.{digits}f})"


def table(rounds, threads, workers):
    rows = [f"| {threads} thread{'s' * (threads > 1)}, {workers} for data | images/s, median (range) | processor ms an image | peak MiB |", "|---|---|---|---|"]
    for side, taken in rounds.items():
        column = lambda name: [one[name] for one in taken]
        rows.append(f"| {side} | {median_and_range(column('images_per_second'), 2)} | {median_and_range(column('cpu_ms'), 0)} | {max(column('peak_mib')):.0f} |")
    return "\n".join(rows)


def ratios(rounds):
    """Of each round: how many times as many images a second, how many times the processor time of the peer's, how much of its memory."""
    ours, theirs = rounds.values()
    pairs = list(zip(ours, theirs))
    return {"images_per_second": [a["images_per_second"] / b["images_per_second"] for a, b in pairs],
            "processor": [b["cpu_ms"] / a["cpu_ms"] for a, b in pairs], "memory": [a["peak_mib"] / b["peak_mib"] for a, b in pairs]}


def main():
    options = arguments()
    name = find_method(options.peer, options.method)
    found = photographs(options.images, options.batch)
    if not options.flowrun.is_file():
        fail(f"there is no {options.flowrun}; build first: tools/test builds everything (or cmake --build build/release)")
    method = METHODS[name]
    if unknown := set(options.shape) - set(method["shape"]):
        fail(f"--shape: {method['title']} has no {', '.join(sorted(unknown))}; it has {', '.join(method['shape'])}")
    shape = method["shape"] | options.shape
    find_python(options, method)
    with tempfile.TemporaryDirectory(prefix="flowrun-bench-") as folder:
        work = Path(folder)
        # The workers read ahead of the last step.
        link_photographs(found, options.batch * (WARM_UP + options.steps + 2 * options.workers + 2), work / "data")
        for threads in options.threads:
            trained, rounds = measure(options, name, shape, threads, work / "data", work)
            compared = ratios(rounds)
            if options.json:
                print(json.dumps({"method": name, "shape": shape, "batch": options.batch, "threads": threads, "workers": options.workers,
                                  "parameters": trained, "rounds": rounds, "ratios": compared}), flush=True)
                continue
            print(f"{method['title']}: ViT of width {shape['width']}, depth {shape['depth']}, {shape['image']} pixels, {trained / 1e6:.1f} million parameters; "
                  f"{options.batch} of {len(found)} photographs a step, {options.rounds} rounds of {options.steps} steps\n\n{table(rounds, threads, options.workers)}\n\n"
                  f"Flowrun is {median_and_range(compared['images_per_second'], 2)} times as fast, in processor time "
                  f"{median_and_range(compared['processor'], 2)} times, with {statistics.median(compared['memory']):.2f} of the memory\n", flush=True)


if __name__ == "__main__":
    main()
