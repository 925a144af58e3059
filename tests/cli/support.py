"""Shared by the tests of the command line: running flowrun on pipelines in a temporary folder."""
import fnmatch
import functools
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import tempfile
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
FLOWRUN = pathlib.Path(os.environ.get("FLOWRUN_BIN", ROOT / "build/release/bin/flowrun"))
SHARED = pathlib.Path(os.environ.get("FLOWRUN_SHARED", ROOT.parent / "shared"))
PHOTOGRAPHS = SHARED / "data/imagenet-sample"
CIFAR10 = SHARED / "data/cifar10-jpeg.tar.xz"

# Comparisons of measured times need an otherwise idle machine: set FLOWRUN_MEASURE there. Elsewhere such tests check
# only results that do not depend on time.
MEASURES = bool(os.environ.get("FLOWRUN_MEASURE"))

# Every pipeline, and on every number of ranks, where the suite takes one of each kind: .ci/nightly all.
EVERYTHING = bool(os.environ.get("FLOWRUN_ALL"))


def one_of_each(resolved):
    """Of {file: resolved form} the files that have a type, or a choice of a type's parameter, that no file before them has. All with
    EVERYTHING. So a new file takes time of the suite only if it has something new."""
    taken, seen = [], set()
    for file, pipeline in resolved.items():
        names = {*pipeline["nodes"], *pipeline["models"]}
        entries = [*pipeline["nodes"].values(), *pipeline["models"].values()]
        has = {(entry["type"], key, value) for entry in entries for key, value in entry.items() if is_choice(key, value, names)}
        if EVERYTHING or has - seen:
            taken.append(file)
        seen |= has
    return taken


def is_choice(key, value, names):
    """A word or a flag; not a path, a text, or the name of a node or model."""
    if isinstance(value, str):
        return key == "type" or value not in names and not set(" /") & set(value)
    return isinstance(value, bool)

needs_photographs = unittest.skipUnless(PHOTOGRAPHS.is_dir(), f"no photographs in {PHOTOGRAPHS}")
needs_cifar10 = unittest.skipUnless(CIFAR10.is_file(), f"no {CIFAR10}")


def unpack_cifar10(folder, count, classes=10):
    """The first `count` training images of each class, as class folders. Stops reading where it has them."""
    left = dict.fromkeys(range(classes), count)
    with tarfile.open(CIFAR10) as archive:
        names = []
        for member in archive:
            part = pathlib.PurePath(member.name).parts
            if not member.isfile() or part[0] != "train":
                continue
            if part[1] not in names:
                names.append(part[1])
            if names.index(part[1]) >= classes:
                break
            if left[names.index(part[1])] > 0:
                left[names.index(part[1])] -= 1
                archive.extract(member, folder)
    return pathlib.Path(folder) / "train"


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def images(count=64, size=48):
    """Source of drawn images, and the nodes up to the batch."""
    return {
        "files": {"type": "source.synthetic", "images": count, "size": size},
        "crop": {"type": "image.random_crop", "in": "files"},
        "decode": {"type": "image.decode", "in": {"bytes": "files", "region": "crop"}},
        "view": {"type": "image.resize", "in": {"image": "decode", "region": "crop"}, "size": 24},
        "flip": {"type": "image.random_flip", "in": "view"},
        "batch": {"type": "batch.stack", "in": "flip", "size": 16, "group": 8},
        "mask": {"type": "mask.rectangles", "in": "batch", "patch": 4, "min_keep": 2},
    }


def data_pipeline(**run):
    """Loads and masks, trains nothing: fast."""
    nodes = images()
    nodes["metrics"] = {"type": "report.metrics", "in": {"image": "batch"}, "every": "1 step", "tensorboard": False}
    nodes["sheet"] = {"type": "report.contact_sheet", "in": {"image": "batch", "mask": "mask"}}
    return {"seed": 3, "run": {"epochs": 3, "device": "cpu", "precision": "fp32", "intra_op": 1, **run}, "nodes": nodes}


def training_pipeline(**run):
    """The whole method on a model of a few thousand parameters."""
    return {
        "seed": 3,
        "run": {"epochs": 3, "device": "cpu", "precision": "fp32", "intra_op": 1, **run},
        "models": {
            "student": {"type": "model.vit", "image": 24, "patch": 4, "width": 24, "depth": 2, "heads": 2, "registers": 1},
            "teacher": {"type": "model.ema_copy", "of": "student"},
            "predictor": {"type": "model.predictor", "encoder": "student", "blocks": [1, 2], "depth": 1, "width": 16, "heads": 2},
        },
        "nodes": {
            **images(),
            "upload": {"type": "device.upload", "in": {"image": "batch", "mask": "mask"}},
            "targets": {"type": "mim.hidden_targets", "in": "upload.*", "model": "teacher", "blocks": [1, 2]},
            "encode": {"type": "mim.encode_visible", "in": "upload.*", "model": "student"},
            "predict": {"type": "mim.predict", "in": {"tokens": "encode", "mask": "upload"}, "model": "predictor"},
            "loss": {"type": "loss.mse", "in": {"prediction": "predict", "target": "targets"}},
            "update": {"type": "train.adamw", "in": "loss", "models": ["student", "predictor"], "lr": {"start": 1e-4, "max": 2e-3, "final": 1e-4}},
            "ema": {"type": "train.ema", "after": "update", "from": "student", "to": "teacher", "decay": 0.9},
            "metrics": {"type": "report.metrics", "in": "loss", "every": "1 step", "tensorboard": False},
            "save": {"type": "report.checkpoint", "after": "ema", "every": "2 steps", "keep": 2},
        },
    }


def frozen_streams(train=100, test=100, model="teacher"):
    """Two streams of drawn images with labels, seen by a frozen encoder of 24 pixels."""
    nodes = {}
    for name, split, count in (("known", "train", train), ("unseen", "test", test)):
        nodes[name] = {"type": "source.synthetic", "images": count, "split": split}
        nodes[f"{name}_decode"] = {"type": "image.decode", "in": name}
        nodes[f"{name}_batch"] = {"type": "batch.stack", "in": {"image": f"{name}_decode", "label": name}, "size": 25}
        nodes[f"{name}_upload"] = {"type": "device.upload", "in": f"{name}_batch.*"}
        nodes[f"{name}_features"] = {"type": "eval.features", "in": f"{name}_upload.*", "model": model}
    return nodes


def probe_pipeline(kind, **run):
    """Heads that train on drawn images under crops, on top of a random encoder; chosen on one stream, reported on another."""
    nodes = {key: node for key, node in images(320, 24).items() if key != "mask"}
    nodes["crop"]["area"] = [0.6, 1]
    nodes["batch"] = {"type": "batch.stack", "in": {"image": "flip", "label": "files"}, "size": 32, "group": 16}
    nodes["upload"] = {"type": "device.upload", "in": "batch.*"}
    seen = "features" if kind == "linear" else "tokens"
    nodes.update({name: node for name, node in frozen_streams(model="encoder").items() if node["type"] != "eval.features"})
    for prefix, upload in (("", "upload"), ("known_", "known_upload"), ("unseen_", "unseen_upload")):
        nodes[f"{prefix}{seen}"] = {"type": f"eval.{seen}", "in": f"{upload}.*", "model": "encoder"}
        if prefix:
            nodes[f"{prefix}named"] = {"type": "eval.predict", "in": {seen: f"{prefix}{seen}"}, "model": "probe"}
    nodes["known"]["seed"] = 7  # other pictures than the training pictures
    nodes["update"] = {"type": "train.probe", "in": {seen: seen}, "model": "probe"}
    nodes["metrics"] = {"type": "report.metrics", "every": "1 step", "tensorboard": False}
    nodes["save"] = {"type": "report.checkpoint", "after": "update", "every": "1 epoch", "keep": 2}
    nodes["heads"] = {"type": "eval.heads", "in": {"selection": "known_named", "test": "unseen_named"}, "model": "probe", "at": ["start", "end"]}
    encoder = {"type": "model.vit", "image": 24, "patch": 4, "width": 24, "depth": 2, "heads": 2, "registers": 1, "init": "mae"}
    probe = {"type": "model.probe", "encoder": "encoder", "kind": kind, "classes": 10, "lrs": [1e-2, 1e-6], "decays": [0, 0.01]}
    return {
        "seed": 3,
        "run": {"epochs": 3, "device": "cpu", "precision": "fp32", "intra_op": 1, **run},
        "models": {"encoder": encoder, "probe": probe},
        "nodes": nodes,
    }


@functools.cache
def declared_reports():
    """{type: the names of the numbers that it may report, as patterns} of evaluations."""
    types = json.loads(subprocess.run([FLOWRUN, "help", "--json"], check=True, capture_output=True, text=True).stdout)
    return {entry["type"]: entry["reports"] for entry in types if "reports" in entry}


def wait_until(happened, seconds=60):
    """Looks every 2 ms whether something has happened, for so long at most."""
    end = time.monotonic() + seconds
    while not happened() and time.monotonic() < end:
        time.sleep(0.002)


class Folder(unittest.TestCase):
    """Each test has a folder of its own, in which flowrun is started."""

    def wait_until(self, happened, process=None, what="it"):
        """For a minute at most. Fails where a process ends before."""
        wait_until(lambda: happened() or process is not None and process.poll() is not None)
        if happened():
            return
        self.fail(f"it ended before: {process.communicate()}" if process is not None and process.poll() is not None else f"waited a minute for {what} in vain")

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="flowrun-cli-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)

    def write(self, pipeline, name="pipeline.json"):
        (self.folder / name).write_text(json.dumps(pipeline, indent=2))
        return name

    def start(self, *args, **options):
        return subprocess.Popen([FLOWRUN, *map(str, args)], cwd=self.folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)

    def flowrun(self, *args, status=0, **options):
        """Runs to the end; fails with the output unless the exit status is `status`."""
        done = subprocess.run([FLOWRUN, *map(str, args)], cwd=self.folder, text=True, capture_output=True, timeout=600, **options)
        self.assertEqual(done.returncode, status, f"flowrun {' '.join(map(str, args))}\n{done.stdout}\n{done.stderr}")
        return done

    def kill_behind(self, process, out, lines, delay=0):
        """Kills the run `out` once its metrics have so many lines, and `delay` seconds have passed: wherever it stands then."""
        metrics = self.folder / out / "metrics.jsonl"
        while not metrics.exists() or metrics.read_bytes().count(b"\n") < lines:
            self.still_runs(process, 0.005)
        self.still_runs(process, delay)
        process.send_signal(signal.SIGKILL)
        process.communicate()

    def still_runs(self, process, seconds):
        try:
            _, err = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            return
        self.fail(f"the run was over before it was killed: {err}")

    def ranks(self, world, *args, environments=None):
        """Starts ranks as torchrun would; returns their processes."""
        port = self.port = free_port()
        out = []
        for rank in range(world):
            environment = {**os.environ, "RANK": str(rank), "WORLD_SIZE": str(world), "LOCAL_RANK": str(rank), "LOCAL_WORLD_SIZE": str(world),
                           "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "GLOO_SOCKET_IFNAME": "lo", **(environments or {}).get(rank, {})}
            out.append(self.start(*args, "--threads", 1, env=environment))
        self.addCleanup(lambda: [(process.kill(), process.communicate()) for process in out if process.poll() is None])
        return out

    def ended(self, processes, status=0, timeout=120):
        texts = []
        for rank, process in enumerate(processes):
            stdout, stderr = process.communicate(timeout=timeout)
            texts.append(stdout + stderr)
            if status is not None:
                self.assertEqual(process.returncode, status, f"rank {rank}: {texts[-1]}")
        return texts

    def preloaded(self, name):
        """A library of tests/support, for LD_PRELOAD."""
        library = self.folder / f"{name}.so"
        subprocess.run(["g++", "-O2", "-shared", "-fPIC", ROOT / f"tests/support/{name}.cpp", "-o", library], check=True)
        return library

    def metrics(self, out):
        return [json.loads(line) for line in (self.folder / out / "metrics.jsonl").read_text().splitlines()]

    def history(self, out):
        """The values that equal runs must share: per step the ledger, and the loss to its last bit."""
        return [(line["step"], line["ledger"], line.get("loss")) for line in self.metrics(out)]

    def result(self, out):
        """result.json of a run, whose evaluations report what their types declare."""
        result = json.loads((self.folder / out / "result.json").read_text())
        pipeline = self.folder / out / "pipeline.resolved.json"
        nodes = json.loads(pipeline.read_text())["nodes"] if pipeline.exists() else {}
        for name, found in result.items():
            declared = declared_reports().get(nodes[name]["type"]) if isinstance(found, dict) and "history" in found and name in nodes else None
            for metric, value in found.items() if declared is not None else ():
                if isinstance(value, (int, float)) and metric not in ("step", "epoch"):
                    self.assertTrue(any(fnmatch.fnmatch(metric, each) for each in declared), f"{nodes[name]['type']} reports {metric}, but declares {declared}")
        return result

    def last_checkpoint(self, out):
        """{file: bytes} of the newest checkpoint, without the manifest (it holds no more than their hashes)."""
        newest = max((self.folder / out / "checkpoints").glob("step-*"), key=lambda path: int(path.name[5:]))
        return newest.name, {path.name: path.read_bytes() for path in newest.glob("*.safetensors")}


def main():
    """Like unittest.main(); exit status 77 (ctest: skipped) when every test was skipped."""
    program = unittest.main(module="__main__", exit=False, verbosity=2)
    result = program.result
    if not result.wasSuccessful():
        sys.exit(1)
    sys.exit(77 if result.testsRun and len(result.skipped) == result.testsRun else 0)
