#!/usr/bin/env python3
"""Do two builds of flowrun give the same numbers? For changes that must change none.

    same_numbers.py BEFORE AFTER [--only CASE…] [--before-tree DIR] [--resolved] [--speed N] [--keep]
    same_numbers.py BEFORE AFTER --self-test

BEFORE and AFTER are flowrun programs. Each case is a pipeline at tiny size that both run on the CPU: shipped ones, and
those of tests/cli/test_conformance.py, which use every type of node and model. Compared are, without times: every line of
the metrics (losses, ledgers, learning rates, health), the evaluations, the results, the hashes of the data, every file of
the last checkpoint, and pictures. Floats must be equal to their last bit.

A line for each case: `same` and how much was compared, or what differs first. The exit status is 1 where anything differs.
A difference of the resolved pipelines is shown, and counts with --resolved only. --before-tree names the source tree whose
shipped pipelines BEFORE reads, where those of this tree are written in a way that it doesn't know.

--speed N runs a longer quickstart N times with both programs in turns, and prints the ratio of their times per step; there
is no verdict. --self-test shows that this script can fail: AFTER runs with another seed, which must differ in every case, and
then single bits of a run are changed, which must be found.
"""
import argparse
import json
import pathlib
import random
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "cli")]
import compare_runs  # noqa: E402
import support  # noqa: E402
import test_conformance  # noqa: E402
import test_finetune  # noqa: E402
from PIL import Image  # noqa: E402

# One thread inside operations: the order of a float sum is theirs to choose with more.
ALWAYS = {"run.device": "cpu", "run.precision": "fp32", "run.intra_op": 1, "run.memory_mib": 256}
SYNTHETIC = {"type": "source.synthetic", "images": 64, "size": 64}


# Names of settings before pipelines had parts.
BEFORE_PARTS = {"select_images.batch": "select_batch.size", "unseen_images.batch": "unseen_batch.size"}


def has_parts(root):
    return (root / "pipelines/parts").exists()


def shipped(name, changes=None, **settings):
    """A case of a pipeline of a source tree: (root) -> pipeline. Dots in settings are written as two underlines."""
    sets = ALWAYS | {key.replace("__", "."): value for key, value in settings.items()}

    def pipeline(root):
        own = sets if has_parts(root) else {BEFORE_PARTS.get(key, key): value for key, value in sets.items()}
        return {"extends": str(root / "pipelines" / name), **(changes or {}), "set": own}
    return pipeline


def pretraining(name, **settings):
    """A case of a pipeline for ImageNet: small drawn pictures on a grid of 7 x 7 patches, a model of four narrow blocks."""
    return shipped(name, {"swap": {"files": SYNTHETIC}}, **({
        "let__size": 28, "let__patch": 4, "let__blocks": [1, 2, 4], "student__width": 24, "student__heads": 2, "student__depth": 4,
        "batch__size": 16, "batch__group": 8, "run__epochs": 3, "metrics__every": "1 step", "health__every": "2 steps"} | settings))


def own(make):
    """A case of test_conformance.py, on the CPU."""
    def pipeline(root):
        made = make()
        if "extends" in made:
            return made | {"set": made.get("set", {}) | {"run.device": "cpu", "run.precision": "fp32", "run.intra_op": 1}}
        made["run"] |= {"device": "cpu", "precision": "fp32", "intra_op": 1}
        for node in made["nodes"].values():
            if node["type"] == "loss.sum" and not has_parts(root):  # inputs were no lists then
                node["in"] = dict(zip(("first", "second", "third", "fourth"), node["in"]["losses"]))
        return made
    return pipeline


QUICKSTART = {"run__epochs": 2, "files__images": 320, "known__images": 200, "unseen__images": 200, "known_batch__size": 50, "unseen_batch__size": 50,
              "metrics__every": "1 step", "knn__at": ["start", "1 epoch", "end"], "save__every": "1 epoch"}
PROBE = {"run__epochs": 3, "let__path": "data", "let__weights": "encoder.safetensors", "let__classes": 3, "let__size": 24, "let__resize": 24,
         "batch__size": 32, "batch__group": 16, "select_images__batch": 25, "unseen_images__batch": 25, "crop__area": [0.3, 1], "metrics__every": "1 step",
         "result__at": ["start", "end"]}

CASES = {
    "quickstart": shipped("quickstart.json", **QUICKSTART),
    "pretrain": pretraining("pretrain.json", predictor__width=16, predictor__heads=2, predictor__depth=2),
    "data2vec": pretraining("paper/baselines/data2vec2_s.json", predictor__out=24, predictor__depth=2, predictor__groups=4, mask__repeats=3,
                            update__warmup_epochs=1),
    "views": shipped("views.json", files__images=64, files__size=96, let__batch=16),
    "linear_patch": shipped("eval/linear_patch.json", **PROBE),
    **{make.__name__: own(make) for make in test_conformance.OWN},
}


class Programs:
    """Runs both programs in one folder, so that paths are the same to both."""

    def __init__(self, options, work):
        self.programs = {"BEFORE": options.before.resolve(), "AFTER": options.after.resolve()}
        self.roots = {"BEFORE": (options.before_tree or support.ROOT).resolve(), "AFTER": support.ROOT}
        self.work = work

    def call(self, side, *args):
        """Its first error if it failed, else None."""
        done = subprocess.run([self.programs[side], *map(str, args)], cwd=self.work, capture_output=True, text=True)
        if done.returncode == 0:
            return None
        said = [line for line in done.stderr.splitlines() if "error" in line] or done.stderr.splitlines() or ["nothing"]
        return f"{side} ended with status {done.returncode}: {said[0]}"

    def run(self, side, name, out, seed=None):
        pipeline = CASES[name](self.roots[side])
        file = self.work / f"{name}-{side}.json"
        file.write_text(json.dumps(pipeline))
        return self.call(side, file.name, "--out", out, "--quiet", *(["--set", f"seed={seed}"] if seed is not None else []))

    def prepare(self):
        """What linear_patch reads: a class folder of small files, and an encoder, BEFORE's for both."""
        draw = random.Random(5)
        for part, count in (("train", 40), ("val", 20)):
            for kind in test_finetune.CLASSES:
                folder = self.work / "data" / part / kind
                folder.mkdir(parents=True)
                for i in range(count):
                    test_finetune.picture(kind, 32, draw).save(folder / f"{i:02}.jpg", quality=95)
        pipeline = support.training_pipeline(epochs=1)
        pipeline["models"]["student"]["init"] = "mae"
        (self.work / "encoder.json").write_text(json.dumps(pipeline))
        failed = self.call("BEFORE", "encoder.json", "--out", "encoder", "--quiet") or self.call("BEFORE", "export", "encoder", "encoder.safetensors")
        if failed:
            sys.exit(failed)


def exported(programs, outs):
    """Differences of the encoders that each program exports of its own run."""
    files = []
    for side, out in outs.items():
        files.append(programs.work / f"{out}.safetensors".replace("/", "-"))
        if failed := programs.call(side, "export", out, files[-1]):
            return [failed]
    return list(compare_runs.tensor_differences(*(file.read_bytes() for file in files)))


def compare(programs, name, after_seed=None):
    """({part: differences}, differences of the resolved pipelines, the two runs)."""
    outs = {side: f"{side.lower()}/{name}" for side in ("BEFORE", "AFTER")}
    for side, out in outs.items():
        if failed := programs.run(side, name, out, after_seed if side == "AFTER" else None):
            return {"run": [failed]}, [], None
    runs = [programs.work / out for out in outs.values()]
    found = compare_runs.run_differences(*runs)
    if name == "quickstart":
        found["export"] = exported(programs, outs)
    if "metrics" not in found:
        found["metrics"] = ["there is none, so nothing can be compared"]
    return found, compare_runs.resolved_differences(*runs), runs


def how_much(run, found):
    steps = len(compare_runs.read_lines(run / "metrics.jsonl"))
    return f"{steps} steps; {', '.join(found)}"


def first_difference(found):
    lines = [f"{part}: {text}" for part, texts in found.items() for text in texts]
    return lines[0] + (f" (and {len(lines) - 1} more)" if len(lines) > 1 else "")


def same(programs, names, resolved_counts):
    """Prints a line for each case. Whether all are the same."""
    good = True
    for name in names:
        found, resolved, runs = compare(programs, name)
        differs = any(found.values())
        text = f"{'differs' if runs else 'failed'}: {first_difference(found)}" if differs else f"same ({how_much(runs[0], found)})"
        if resolved:
            text += f"; resolved pipeline: {resolved[0]}" + (f" (and {len(resolved) - 1} more)" if len(resolved) > 1 else "")
        good = good and not differs and not (resolved and resolved_counts)
        print(f"{name:16} {text}", flush=True)
    return good


# Parts that another seed must change wherever they are; of the others, a small run may have the same by chance.
SEEDED = ("metrics", "evaluations", "checkpoint", "export")


def other_seed_differs(programs, names):
    good = True
    for name in names:
        found, resolved, runs = compare(programs, name, after_seed=1)
        equal = [part for part in SEEDED if part in found and not found[part]] + ([] if resolved else ["resolved pipeline"])
        failed = runs is None or equal
        good = good and not failed
        print(f"{name:16} {'FAILED' if failed else 'differs, as it must'}: {'equal in ' + ', '.join(equal) if equal else first_difference(found)}", flush=True)
    return good


def change_tensor(run):
    """The last bit of the last value of a model."""
    path = sorted(compare_runs.last_checkpoint(run).glob("[a-z]*.safetensors"))[0]
    data = bytearray(path.read_bytes())
    data[-4] ^= 1
    path.write_bytes(data)


def change_header(run):
    """A space within the header."""
    path = sorted(compare_runs.last_checkpoint(run).glob("[a-z]*.safetensors"))[0]
    data = path.read_bytes()
    size = int.from_bytes(data[:8], "little")
    path.write_bytes((size + 1).to_bytes(8, "little") + data[8 : 8 + size] + b" " + data[8 + size :])


def change_line(file, key):
    """A number or a hash of the last line that has it."""
    def change(run):
        lines = [json.loads(line) for line in (run / file).read_text().splitlines()]
        last = [line for line in lines if key in line][-1]
        last[key] = last[key][::-1] if isinstance(last[key], str) else last[key] * (1 + 2**-52)
        (run / file).write_text("".join(json.dumps(line) + "\n" for line in lines))
    return change


def change_result(run):
    result = json.loads((run / "result.json").read_text())
    result["knn"]["history"][0]["accuracy"] += 1e-9
    (run / "result.json").write_text(json.dumps(result))


def change_times(run):
    change_line("metrics.jsonl", "images_per_second")(run)
    result = json.loads((run / "result.json").read_text())
    (run / "result.json").write_text(json.dumps(result | {"seconds": 1.5}))


def change_picture(run):
    picture = Image.open(run / "contact_sheet.png").convert("RGB")
    red, *rest = picture.getpixel((20, 20))
    picture.putpixel((20, 20), (red ^ 1, *rest))
    picture.save(run / "contact_sheet.png")


PLANTED = {  # what is changed: (the change, where it must be found; None: nowhere)
    "last bit of a tensor": (change_tensor, r"checkpoint: \S+: \S+ differs in 1 of \d+ values, by \S+ at most"),
    "space in a header": (change_header, r"checkpoint: \S+: the header alone differs, all \d+ tensors are equal"),
    "last bit of a loss": (change_line("metrics.jsonl", "loss"), r"metrics: step 20: loss: "),
    "a ledger": (change_line("metrics.jsonl", "ledger"), r"metrics: step 20: ledger: "),
    "an accuracy": (change_result, r"result: knn.history\[0\].accuracy: "),
    "one pixel": (change_picture, r"pictures: contact_sheet.png: 1 of \d+ pixels differ"),
    "times": (change_times, None),
}


def planted_changes_are_found(programs):
    run = programs.work / "before/quickstart"
    if not run.exists() and (failed := programs.run("BEFORE", "quickstart", "before/quickstart")):
        sys.exit(failed)
    good = True
    for name, (change, expected) in PLANTED.items():
        changed = programs.work / "changed"
        shutil.rmtree(changed, ignore_errors=True)
        shutil.copytree(run, changed)
        change(changed)
        lines = [f"{part}: {text}" for part, texts in compare_runs.run_differences(run, changed).items() for text in texts]
        right = lines == [] if expected is None else len(lines) == 1 and re.match(expected, lines[0])
        good = good and bool(right)
        print(f"{name:20} {'' if right else 'FAILED: '}{lines[0] if lines else 'no difference'}", flush=True)
    return good


def cpu_seconds():
    """Of all programs that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def speed(programs, repeats, steps=150):
    """Time per step of the quickstart without its evaluations: both programs in turns, the first of a pair alternating."""
    def pipeline(root):
        return shipped("quickstart.json", {"drop": [*evaluating(root), "save", "sheet"]}, run__steps=steps, metrics__every="10 steps")(root)

    def evaluating(root):
        nodes = json.loads((root / "pipelines/quickstart.json").read_text())["nodes"]
        return [name for name, node in nodes.items() if node["type"].startswith("eval.") or name.startswith(("known", "unseen"))]

    CASES["speed"] = pipeline
    wall, cpu = ({"BEFORE": [], "AFTER": []} for _ in range(2))
    for turn in range(repeats):
        for side in list(wall)[:: 1 if turn % 2 == 0 else -1]:
            out = f"speed/{side}-{turn}"
            began = cpu_seconds()
            if failed := programs.run(side, "speed", out):
                sys.exit(failed)
            cpu[side].append(1e3 * (cpu_seconds() - began) / steps)
            rates = [line["images_per_second"] for line in compare_runs.read_lines(programs.work / out / "metrics.jsonl", times=True)[1:]]
            wall[side].append(32e3 / max(rates))
    # Other work on the machine only adds time, so the fastest say most.
    for what, found in ((f"the fastest 10 steps of {repeats} runs", wall), ("CPU time, start included", cpu)):
        before, after = (min(times) for times in found.values())
        pairs = ", ".join(f"{b / a:.3f}" for a, b in zip(*found.values()))
        print(f"{'speed':16} AFTER/BEFORE {after / before:.3f} of the time per step ({before:.2f} ms / {after:.2f} ms, {what}; pairs: {pairs})", flush=True)


def main():
    parser = argparse.ArgumentParser(description="Do two builds of flowrun give the same numbers?")
    parser.add_argument("before", type=pathlib.Path)
    parser.add_argument("after", type=pathlib.Path)
    parser.add_argument("--only", nargs="+", choices=[*CASES], metavar="CASE", help=", ".join(CASES))
    parser.add_argument("--before-tree", type=pathlib.Path, help="source tree whose pipelines BEFORE reads")
    parser.add_argument("--resolved", action="store_true", help="a difference of the resolved pipelines counts")
    parser.add_argument("--speed", type=int, default=0, metavar="N", help="pairs of longer runs whose time per step is compared")
    parser.add_argument("--self-test", action="store_true", help="AFTER runs with another seed: every case must differ")
    parser.add_argument("--keep", action="store_true", help="the runs stay, and their folder is printed")
    options = parser.parse_args()
    work = pathlib.Path(tempfile.mkdtemp(prefix="flowrun-same-"))
    try:
        programs = Programs(options, work)
        names = options.only or [*CASES]
        if "linear_patch" in names:
            programs.prepare()
        if options.self_test:
            good = all([other_seed_differs(programs, names), planted_changes_are_found(programs)])
        else:
            good = same(programs, names, options.resolved)
        if options.speed:
            speed(programs, options.speed)
    finally:
        if options.keep:
            print(work)
        else:
            shutil.rmtree(work, ignore_errors=True)
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
