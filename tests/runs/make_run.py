#!/usr/bin/env python3
"""Makes the kept run of a version of flowrun, which later versions must go on with (tests/cli/test_older_runs.py).

    make_run.py FLOWRUN OUT

tests/runs/0.1.0 was made with version 0.1.0, once. It must not be made again: it is worth something because it is old, and
a new one would only show that a program reads its own files. A later version gets a folder of its own beside it.

OUT then holds

    pipeline.json         as a user would have written it
    run/                  the directory of a run that was stopped after 6 of 16 steps, with what a resume and the commands
                          that look at a run need
    encoder.safetensors   what `flowrun export` made of its teacher
    whole.json            what the uninterrupted run found: metrics and evaluations without times
    replay.json           what `flowrun replay` said of one sample, without times
    knn.json              kNN of an encoder that model.pretrained reads
    accuracies.json       its accuracy by file: of the export, and of the student in the checkpoint
"""
import json
import pathlib
import shutil
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import compare_runs  # noqa: E402

STOPPED_AFTER = 6
SAMPLE = 5
# What a run leaves that no later one reads, or that tells of the machine.
NOT_KEPT = ("log.txt", "report.html", "stats.json", "result.md", "process.json")


def streams(model):
    """Two streams of drawn images with labels, seen by a frozen encoder."""
    nodes = {}
    for name, split, count in (("known", "train", 60), ("unseen", "test", 50)):
        nodes[name] = {"type": "source.synthetic", "images": count, "split": split}
        nodes[f"{name}_decode"] = {"type": "image.decode", "in": name}
        nodes[f"{name}_batch"] = {"type": "batch.stack", "in": {"image": f"{name}_decode", "label": name}, "size": 30}
        nodes[f"{name}_upload"] = {"type": "device.upload", "in": f"{name}_batch.*"}
        nodes[f"{name}_features"] = {"type": "eval.features", "in": f"{name}_upload.*", "model": model}
    return nodes


PIPELINE = {
    "about": "A student of a few thousand parameters learns from drawn pictures, stopped in the middle of its second epoch",
    "seed": 11,
    "run": {"epochs": 4, "device": "cpu", "precision": "fp32", "intra_op": 1},
    "let": {"size": 24, "patch": 4, "blocks": [1, 2]},
    "models": {
        "student": {"type": "model.vit", "image": "$size", "patch": "$patch", "width": 8, "depth": 2, "heads": 2, "registers": 1, "init": "mae"},
        "teacher": {"type": "model.ema_copy", "of": "student"},
        "predictor": {"type": "model.predictor", "encoder": "student", "blocks": "$blocks", "depth": 1, "width": 8, "heads": 2, "init": "mae"},
    },
    "nodes": {
        "files": {"type": "source.synthetic", "images": 64, "size": 48},
        "crop": {"type": "image.random_crop", "in": "files"},
        "decode": {"type": "image.decode", "in": {"bytes": "files", "region": "crop"}},
        "view": {"type": "image.resize", "in": {"image": "decode", "region": "crop"}, "size": "$size"},
        "flip": {"type": "image.random_flip", "in": "view"},
        "batch": {"type": "batch.stack", "in": "flip", "size": 16, "group": 8},
        "mask": {"type": "mask.rectangles", "in": "batch", "patch": "$patch", "min_keep": 2},
        "upload": {"type": "device.upload", "in": {"image": "batch", "mask": "mask"}},
        "targets": {"type": "mim.hidden_targets", "in": "upload.*", "model": "teacher", "blocks": "$blocks"},
        "encode": {"type": "mim.encode_visible", "in": "upload.*", "model": "student"},
        "predict": {"type": "mim.predict", "in": {"tokens": "encode", "mask": "upload"}, "model": "predictor"},
        "loss": {"type": "loss.mse", "in": {"prediction": "predict", "target": "targets"}},
        "update": {"type": "train.adamw", "in": "loss", "models": ["student", "predictor"], "lr": {"start": 1e-4, "max": 2e-3, "final": 1e-4}},
        "ema": {"type": "train.ema", "after": "update", "from": "student", "to": "teacher", "decay": 0.9},
        "metrics": {"type": "report.metrics", "in": "loss", "every": "1 step"},
        "save": {"type": "report.checkpoint", "after": "ema", "every": "1 epoch", "keep": 1},
        **streams("teacher"),
        "knn": {"type": "eval.knn", "in": {"train": "known_features", "test": "unseen_features"}, "k": [5], "at": ["start", "1 epoch", "end"]},
    },
}


KNN = {
    "about": "kNN of an encoder from a file",
    "run": {"device": "cpu", "precision": "fp32", "intra_op": 1},
    "let": {"weights": "encoder.safetensors"},
    "models": {"encoder": {"type": "model.pretrained", "file": "$weights"}},
    "nodes": {**streams("encoder"), "knn": {"type": "eval.knn", "in": {"train": "known_features", "test": "unseen_features"}, "k": [5]}},
}


def replayed(text):
    """What `flowrun replay --json` says that must stay: the sample's place and ledger, and the outputs of each node."""
    found = json.loads(text)
    found["nodes"] = [{key: value for key, value in node.items() if key != "ms"} for node in found["nodes"]]
    return found


def make(flowrun, out):
    def call(*args):
        return subprocess.run([flowrun, *map(str, args)], cwd=out, check=True, capture_output=True, text=True).stdout

    def write(name, value):
        (out / name).write_text(json.dumps(value, indent=1) + "\n")

    write("pipeline.json", PIPELINE)
    call("pipeline.json", "--out", "whole")
    write("whole.json", {name: compare_runs.read_lines(out / f"whole/{name}.jsonl") for name in ("metrics", "evaluations")})
    shutil.rmtree(out / "whole")

    call("pipeline.json", "--out", "run", "--set", f"run.steps={STOPPED_AFTER}")
    for name in NOT_KEPT:
        (out / "run" / name).unlink(missing_ok=True)
    call("export", "run", "encoder.safetensors")
    write("replay.json", replayed(call("replay", "run", "--sample", SAMPLE, "--epoch", 0, "--json")))

    write("knn.json", KNN)
    accuracies = {}
    for file in ("encoder.safetensors", f"run/checkpoints/step-{STOPPED_AFTER}/student.safetensors"):
        call("knn.json", "--set", f"let.weights={file}", "--out", "knn")
        accuracies[file] = json.loads((out / "knn/result.json").read_text())["knn"]["accuracy"]
        shutil.rmtree(out / "knn")
    write("accuracies.json", accuracies)


if __name__ == "__main__":
    out = pathlib.Path(sys.argv[2]).resolve()
    out.mkdir(parents=True)  # fails where there is one: a kept run is not made again
    make(pathlib.Path(sys.argv[1]).resolve(), out)
