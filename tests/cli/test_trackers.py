"""python -m flowrun.log: the real trackers, writing to the disk alone, get what a run wrote."""
import json
import os
import pathlib
import sqlite3
import subprocess
import sys
import unittest

import support

PACKAGE = support.FLOWRUN.parents[1] / "python"
TRACKERS = pathlib.Path(os.environ.get("FLOWRUN_VENV", sys.prefix)) / "trackers"

needs_trackers = unittest.skipUnless(TRACKERS.is_dir() and list((PACKAGE / "flowrun").glob("_core.*")), f"no Python module in {PACKAGE}, or no {TRACKERS}: tools/setup --test")


def records_of(content):
    """Of a .wandb file: LevelDB's log format behind a head of 7 bytes, blocks of 32 KiB, records with check sum (4), length (2) and kind (1)."""
    at, whole = 7, b""
    while at + 7 <= len(content):
        if 32768 - at % 32768 < 7:
            at += 32768 - at % 32768
            continue
        length, kind = int.from_bytes(content[at + 4:at + 6], "little"), content[at + 6]
        whole += content[at + 7:at + 7 + length]
        at += 7 + length
        if kind in (1, 4):  # whole, or the last part
            yield whole
            whole = b""


@needs_trackers
class Trackers(support.Folder):
    def environment(self, **more):
        return {**os.environ, "PYTHONPATH": f"{PACKAGE}:{TRACKERS}", "HOME": str(self.folder), **more}

    def hand_on(self, *args, status=0, **environment):
        done = subprocess.run([sys.executable, "-m", "flowrun.log", *map(str, args)], cwd=self.folder, env=self.environment(**environment), text=True,
                              capture_output=True, timeout=300)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        return done.stdout + done.stderr

    def train(self, **run):
        pipeline = support.training_pipeline(epochs=1, **run)
        pipeline["nodes"].update(support.frozen_streams(60, 40))
        pipeline["nodes"]["knn"] = {"type": "eval.knn", "in": {"train": "known_features", "test": "unseen_features"}, "k": [5], "at": ["start", "end"]}
        pipeline["nodes"]["sheet"] = {"type": "report.contact_sheet", "in": {"image": "batch", "mask": "mask"}, "tensorboard": False}
        self.flowrun(self.write(pipeline), "--out", "run")
        losses = {line["step"]: line["loss"] for line in self.metrics("run")}
        accuracies = {entry["step"]: entry["accuracy"] for entry in self.result("run")["knn"]["history"]}
        return losses, accuracies

    def wandb_history(self):
        """{step: {name: value}} of all offline runs, and the pictures' paths."""
        script = (
            "import json, sys\n"
            "from wandb.proto import wandb_internal_pb2\n"
            "rows = []\n"
            "for data in json.load(sys.stdin):\n"
            "    record = wandb_internal_pb2.Record()\n"
            "    record.ParseFromString(bytes.fromhex(data))\n"
            "    if record.WhichOneof('record_type') == 'history':\n"
            "        rows.append({item.key or '/'.join(item.nested_key): json.loads(item.value_json) for item in record.history.item})\n"
            "print(json.dumps(rows))\n")
        records = [data.hex() for path in sorted(self.folder.glob("run/wandb/offline-run-*/*.wandb")) for data in records_of(path.read_bytes())]
        done = subprocess.run([sys.executable, "-c", script], env=self.environment(), input=json.dumps(records), text=True, capture_output=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        out = {}
        for row in json.loads(done.stdout):
            out.setdefault(row["_step"], {}).update(row)
        return out

    def test_wandb(self):
        losses, accuracies = self.train()
        self.assertIn("6 lines of run handed to wandb", self.hand_on("wandb", "run", WANDB_MODE="offline"))
        history = self.wandb_history()
        self.assertEqual({step: row["loss"] for step, row in history.items() if "loss" in row}, losses)
        self.assertEqual({step: row["knn/accuracy"] for step, row in history.items() if "knn/accuracy" in row}, accuracies)
        self.assertEqual([step for step, row in history.items() if any(name.startswith("contact_sheet") for name in row)], [4])
        # Called again, it hands on nothing twice, and goes on in the same run of the tracker.
        first = json.loads((self.folder / "run/log-wandb.json").read_text())
        self.assertIn("0 lines of run", self.hand_on("wandb", "run", WANDB_MODE="offline"))
        self.assertEqual(json.loads((self.folder / "run/log-wandb.json").read_text()), first)
        self.assertEqual({step: row["loss"] for step, row in self.wandb_history().items() if "loss" in row}, losses)

    def test_wandb_while_the_run_goes_on(self):
        pipeline = support.training_pipeline(epochs=400)
        self.write(pipeline)
        process = self.start("pipeline.json", "--out", "run")
        self.addCleanup(lambda: (process.kill(), process.communicate()))
        self.wait_until(lambda: (self.folder / "run/metrics.jsonl").exists() and (self.folder / "run/metrics.jsonl").stat().st_size > 0, process)
        self.hand_on("wandb", "run", WANDB_MODE="offline")
        self.assertEqual(process.wait(60), 0, "the follower ends behind the run")
        losses = {line["step"]: line["loss"] for line in self.metrics("run")}
        self.assertEqual({step: row["loss"] for step, row in self.wandb_history().items() if "loss" in row}, losses)

    def test_mlflow(self):
        losses, accuracies = self.train()
        store = self.folder / "store"
        where = {"MLFLOW_TRACKING_URI": f"file:{store}", "MLFLOW_ALLOW_FILE_STORE": "true"}
        self.hand_on("mlflow", "run", "--project", "tests", "--name", "first", **where)
        self.assertIn("0 lines of run", self.hand_on("mlflow", "run", "--project", "tests", **where))
        script = (
            "import json, mlflow\n"
            "client = mlflow.MlflowClient()\n"
            "experiment = client.get_experiment_by_name('tests')\n"
            "runs = client.search_runs([experiment.experiment_id])\n"
            "run = runs[0]\n"
            "get = lambda name: {entry.step: entry.value for entry in client.get_metric_history(run.info.run_id, name)}\n"
            "print(json.dumps([len(runs), run.info.run_name, run.info.status, run.data.params['nodes.batch.size'], get('loss'), get('knn/accuracy'),\n"
            "                  [file.path for file in client.list_artifacts(run.info.run_id, 'step-4')]]))\n")
        done = subprocess.run([sys.executable, "-c", script], cwd=self.folder, env=self.environment(**where), text=True, capture_output=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        count, name, status, size, loss, accuracy, files = json.loads(done.stdout.splitlines()[-1])
        self.assertEqual((count, name, status, size, files), (1, "first", "FINISHED", "16", ["step-4/contact_sheet.png"]))
        self.assertEqual({int(step): value for step, value in loss.items()}, losses)
        self.assertEqual({int(step): value for step, value in accuracy.items()}, accuracies)

    def test_trackio(self):
        losses, accuracies = self.train()
        self.hand_on("trackio", "run", "--project", "tests", TRACKIO_DIR=str(self.folder / "trackio"))
        [database] = (self.folder / "trackio").rglob("*.db")
        rows = sqlite3.connect(database).execute("SELECT step, metrics FROM metrics ORDER BY step").fetchall()
        found = [(step, json.loads(values)) for step, values in rows]
        self.assertEqual({step: values["loss"] for step, values in found if "loss" in values}, losses)
        self.assertEqual({step: values["knn/accuracy"] for step, values in found if "knn/accuracy" in values}, accuracies)

    def test_what_is_missing_is_said(self):
        self.train()
        self.assertIn("wandb is not installed: pip install wandb", self.hand_on("wandb", "run", status=1, PYTHONPATH=str(PACKAGE)))
        self.assertIn("nowhere holds no run", self.hand_on("wandb", "nowhere", status=1))


if __name__ == "__main__":
    support.main()
