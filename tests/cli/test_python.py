"""The Python door: batches of an input, runs, faults and what runs left, as the program has them."""
import json
import multiprocessing
import os
import pickle
import re
import shutil
import signal
import subprocess
import sys
import unittest

import support
from PIL import Image

PACKAGE = support.FLOWRUN.parents[1] / "python"
sys.path.insert(0, str(PACKAGE))
try:
    import flowrun
except ImportError:
    flowrun = None

needs_module = unittest.skipUnless(flowrun, f"no Python module in {PACKAGE}: it needs nanobind and Python's headers")


def everything(batches):
    """All that is left of an epoch, copied, as comparable values."""
    return [(batch.step, batch.group, {name: value.tolist() for name, value in flat(batch).items()}) for batch in batches]


def flat(batch):
    out = {}
    for name, value in batch.items():
        out.update({f"{name}.{part}": array for part, array in value.items()} if isinstance(value, dict) else {name: value})
    return out


def read_in_child(batches, answers):
    for ask in (lambda: next(iter(batches)), lambda: batches.epoch, lambda: batches.ledger, batches.state_dict, lambda: batches.load_state_dict({"groups": 0})):
        try:
            ask()
        except RuntimeError as error:
            answers.put(str(error))
    batches.close()


@needs_module
class Input(support.Folder):
    def setUp(self):
        super().setUp()
        before = os.getcwd()
        os.chdir(self.folder)
        self.addCleanup(os.chdir, before)

    def open(self, pipeline=None, *args, **options):
        batches = flowrun.open(self.write(pipeline or support.data_pipeline()), *args, **{"threads": 2, **options})
        self.addCleanup(batches.close)
        return batches

    def test_ledgers_are_the_program_s(self):
        for pipeline in (support.data_pipeline(), support.training_pipeline()):
            self.write(pipeline)
            out = f"run{len(pipeline)}"
            self.flowrun("pipeline.json", "--out", out)
            expected = {line["step"]: line["ledger"] for line in self.metrics(out)}
            self.assertEqual(flowrun.Run(out).ledgers, expected)
            for threads in (1, 3):
                batches, found = self.open(pipeline, threads=threads), {}
                for _ in range(batches.epochs):
                    for batch in batches:
                        if batch.group == 1:
                            found[batch.step] = batches.ledger
                self.assertEqual(found, expected)
                self.assertEqual(batches.epoch, 3)

    @support.needs_photographs
    def test_ledgers_of_photographs_are_the_program_s(self):
        pipeline = support.data_pipeline(epochs=1)
        pipeline["nodes"]["files"] = {"type": "source.folder", "path": str(support.PHOTOGRAPHS)}
        self.write(pipeline)
        self.flowrun("pipeline.json", "--out", "run")
        batches = self.open(pipeline)
        found = [batches.ledger for batch in batches if batch.group == 1]
        self.assertEqual(found, [line["ledger"] for line in self.metrics("run")])

    def test_what_a_batch_holds(self):
        pipeline = support.data_pipeline()
        pipeline["nodes"]["batch"]["in"] = {"image": "flip", "label": "files"}
        batches = self.open(pipeline)
        self.assertEqual((len(batches), batches.batch_size, batches.nodes), (8, 8, ["batch", "mask"]))
        batch = next(iter(batches))
        self.assertEqual((batch.step, batch.epoch, batch.group), (1, 0, 0))
        shapes = {name: (tuple(array.shape), str(array.dtype)) for name, array in flat(batch).items()}
        self.assertEqual(shapes["batch.image"], ((8, 24, 24, 3), "torch.uint8"))
        self.assertEqual(shapes["batch.label"], ((8,), "torch.int64"))
        self.assertEqual(shapes["mask.mask.visible"][1], "torch.int64")
        one = self.open(pipeline, "batch", arrays="numpy")
        numpy = next(iter(one))
        self.assertEqual(sorted(numpy), ["ids", "image", "label"])
        self.assertTrue((numpy["image"] == batch["batch.image"].numpy()).all())
        # Lent memory: not the array's own, and not changed by what comes later.
        self.assertFalse(numpy["image"].flags.owndata)
        before = numpy["image"].copy()
        self.assertGreater(sum(1 for _ in one), 5)
        one.close()
        del one
        self.assertTrue((numpy["image"] == before).all())
        numpy["image"][:] = 0  # yours as long as you keep it

    def test_views_have_an_axis(self):
        pipeline = support.data_pipeline()
        pipeline["nodes"]["crop"]["count"] = 2
        del pipeline["nodes"]["mask"], pipeline["nodes"]["sheet"]
        self.assertEqual(tuple(next(iter(self.open(pipeline, "batch")))["image"].shape), (8, 2, 24, 24, 3))

    def test_normalised_images(self):
        import torch

        pipeline = support.training_pipeline()
        bytes_of = next(iter(self.open(pipeline, "batch")))["image"]
        seen = next(iter(self.open(pipeline, "upload")))
        mean, std = (torch.tensor(values)[:, None, None] for values in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))
        expected = (bytes_of.permute(0, 3, 1, 2).float() / 255 - mean) / std
        self.assertLess((seen["image"] - expected).abs().max().item(), 1e-5)
        self.assertIn("visible", seen["mask"])

    def test_exact_resume(self):
        whole = everything(self.open(threads=3))
        for taken in (0, 1, 4, 7, 8):
            first = self.open(threads=1)
            seen = [batch.step for _, batch in zip(range(taken), first)]
            self.assertEqual(len(seen), taken)
            state = first.state_dict()
            self.assertEqual(state, {"groups": taken})
            again = self.open(threads=2)
            again.load_state_dict(state)
            if taken < 8:
                self.assertEqual(everything(again), whole[taken:])
            self.assertEqual(everything(again)[0][0], 5)  # the next epoch
            again.load_state_dict({"groups": 0})
            self.assertEqual(everything(again), whole)

    def test_ranks_share_each_step(self):
        pipeline = support.data_pipeline()
        whole = everything(self.open(pipeline))
        ranks = [self.open(pipeline, rank=rank, world=2) for rank in range(2)]
        self.assertEqual([len(rank) for rank in ranks], [4, 4])
        parts = [everything(rank) for rank in ranks]
        self.assertEqual(sorted(parts[0] + parts[1], key=lambda part: part[:2]), whole)
        state = ranks[0].state_dict()
        self.assertEqual(state, {"groups": 8})
        self.assertEqual(sum(int(rank.ledger, 16) for rank in ranks) % 2**64, self.ledger_after(pipeline, 8))
        alone = self.open(pipeline)
        alone.load_state_dict(state)
        self.assertEqual(everything(alone)[0][0], 5)
        pipeline["nodes"]["batch"]["group"] = 4  # two batches of a step on each rank
        rank = self.open(pipeline, rank=1, world=2)
        next(iter(rank))
        with self.assertRaisesRegex(flowrun.RunError, "inside a step of 4 batches, which several ranks share"):
            rank.state_dict()
        with self.assertRaisesRegex(flowrun.PipelineError, "lies inside a step of 4 groups, which 2 ranks share"):
            rank.load_state_dict({"groups": 6})
        with self.assertRaisesRegex(flowrun.PipelineError, "position 1000 is beyond the 12 steps of 4 groups"):
            rank.load_state_dict({"groups": 1000})

    def ledger_after(self, pipeline, groups):
        batches = self.open(pipeline)
        for _ in zip(range(groups), batches):
            pass
        return int(batches.ledger, 16)

    def test_epochs_end(self):
        batches = self.open(epochs=2)
        self.assertEqual([len(everything(batches)) for _ in range(2)], [8, 8])
        with self.assertRaisesRegex(flowrun.RunError, "all 2 epochs were read"):
            next(iter(batches))

    def test_a_data_loader_around_it(self):
        from torch.utils.data import DataLoader

        batches = self.open()
        expected = everything(self.open())
        self.assertEqual(everything(DataLoader(batches, batch_size=None)), expected)
        with self.assertRaisesRegex(RuntimeError, "give the DataLoader num_workers=0"):
            next(iter(DataLoader(batches, batch_size=None, num_workers=1)))
        with self.assertRaisesRegex(TypeError, "can't be sent to another process"):
            pickle.dumps(batches)

    def test_a_forked_process_is_refused(self):
        batches = self.open(arrays="numpy", epochs=20, ahead=1)
        context = multiprocessing.get_context("fork")
        answers = context.Queue()
        for _ in range(20):  # a thread that makes batches may hold a mutex at the moment of a fork
            next(iter(batches))  # here they go on
            child = context.Process(target=read_in_child, args=(batches, answers), daemon=True)
            child.start()
            for _ in range(5):
                self.assertIn("this is a forked one: open them here", answers.get(timeout=60))
            child.join()
            self.assertEqual(child.exitcode, 0)

    def test_faults_are_exceptions(self):
        with self.assertRaisesRegex(flowrun.PipelineError, r"no-such.json"):
            flowrun.open("no-such.json")
        self.write(support.data_pipeline())
        with self.assertRaisesRegex(flowrun.PipelineError, r'(?s)unknown parameter "sise".*did you mean "size"'):
            flowrun.open("pipeline.json", set={"batch.sise": 4})
        with self.assertRaisesRegex(flowrun.PipelineError, r'until: no node "bach"; did you mean "batch"'):
            flowrun.open("pipeline.json", until="bach")
        with self.assertRaisesRegex(flowrun.PipelineError, r"until: view is a sample node; batches come from batch nodes"):
            flowrun.open("pipeline.json", until=["view"])
        self.write(support.training_pipeline())
        with self.assertRaisesRegex(flowrun.PipelineError, r"until: encode is a device node; batches come from batch nodes, and from device nodes that use no model"):
            flowrun.open("pipeline.json", until="encode")
        for wrong, text in (({"ahead": 0}, "ahead must be at least 1, not 0"), ({"world": 0}, "world must be at least 1, not 0"),
                            ({"rank": 2, "world": 2}, "rank must be at least 0 and less than world, not 2"), ({"threads": -1}, "threads must be at least 0"),
                            ({"epochs": 0}, "epochs must be at least 1, not 0")):
            with self.assertRaisesRegex(ValueError, text):
                flowrun.open("pipeline.json", **wrong)
        with self.assertRaisesRegex(ValueError, 'arrays must be "torch" or "numpy"'):
            flowrun.open("pipeline.json", arrays="jax")

    def test_a_bad_sample_ends_it_for_good(self):
        data = self.folder / "data/a"
        data.mkdir(parents=True)
        for index in range(32):
            Image.effect_noise((40, 40), 60).convert("RGB").save(data / f"{index:02d}.jpg")
        (data / "07.jpg").write_bytes(b"no picture")
        pipeline = support.data_pipeline()
        pipeline["nodes"]["files"] = {"type": "source.folder", "path": "data"}
        batches = self.open(pipeline)
        for _ in range(2):
            with self.assertRaisesRegex(flowrun.RunError, "07.jpg"):
                for _ in batches:
                    pass
        pipeline["run"]["max_bad"] = 1
        self.assertEqual(len(everything(self.open(pipeline))), 4)

    def test_closed(self):
        with self.open() as batches:
            next(iter(batches))
        with self.assertRaisesRegex(flowrun.RunError, "closed"):
            next(iter(batches))


@needs_module
class Runs(support.Folder):
    def setUp(self):
        super().setUp()
        before = os.getcwd()
        os.chdir(self.folder)
        self.addCleanup(os.chdir, before)

    def test_a_run_is_the_program_s(self):
        path = self.write(support.training_pipeline())
        self.flowrun(path, "--out", "program")
        steps, lines = [], []
        run = flowrun.run(path, out="python", on_step=steps.append, log=lines.append)
        self.assertEqual(self.history("python"), self.history("program"))
        self.assertEqual(self.last_checkpoint("python"), self.last_checkpoint("program"))
        self.assertEqual([step["step"] for step in steps], list(range(1, 13)))
        self.assertEqual([step["loss"] for step in steps], run.metrics["loss"].tolist())
        self.assertEqual(run.status, "done")
        self.assertIn("done: python", lines)
        self.assertEqual(run.metrics["step"].tolist(), list(range(1, 13)))
        self.assertEqual(run.ledgers[12], self.metrics("program")[-1]["ledger"])
        self.assertEqual([found.step for found in run.checkpoints], [10, 12])
        self.assertEqual(run.checkpoints[0].names, ["@engine", "predictor", "student", "teacher", "update"])
        state = run.state_dict("student")
        self.assertEqual(tuple(state["patch_embed.proj.weight"].shape), (24, 3, 4, 4))
        with self.assertRaisesRegex(KeyError, "no state of 'tutor'; it has"):
            run.state_dict("tutor")
        with self.assertRaisesRegex(KeyError, "no checkpoint of step 3; there are 10, 12"):
            run.state_dict("student", step=3)
        self.assertEqual(run.pipeline["nodes"]["batch"]["size"], 16)

    def test_models_are_timm_s(self):
        import torch

        self.flowrun(self.write(support.training_pipeline(epochs=1)), "--out", "run")
        run = flowrun.Run("run")
        teacher = run.model()
        self.assertEqual(tuple(teacher(torch.zeros(2, 3, 24, 24)).shape), (2, 24))
        self.assertTrue(torch.equal(teacher.blocks[0].attn.qkv.weight, run.state_dict("teacher")["blocks.0.attn.qkv.weight"]))
        student = run.model("student", step=2)
        self.assertTrue(torch.equal(student.blocks[0].attn.qkv.weight, run.state_dict("student", step=2)["blocks.0.attn.qkv.weight"]))
        exported = flowrun.export(run, "hub", licence="mit", pt2=True)
        card = (self.folder / "hub/README.md").read_text()
        self.assertIn("license: mit", card)
        self.assertIn("`model.pt2` is a program of torch.export", card)
        images = torch.randn(2, 3, 24, 24)
        torch.testing.assert_close(torch.export.load("hub/model.pt2").module()(images), exported(images))
        with self.assertRaisesRegex(flowrun.RunError, "holds no model \"tutor\""):
            run.model("tutor")
        self.assertIsNone(run.best)
        with self.assertRaisesRegex(KeyError, "keeps no best checkpoint"):
            run.model(best=True)
        shutil.copytree(run.path / "checkpoints/step-2", run.path / "best/step-2")
        for name, value in run.model("student", best=True).state_dict().items():
            self.assertTrue(torch.equal(value, student.state_dict()[name]), name)

    def test_features_of_pictures(self):
        import numpy as np

        self.flowrun(self.write(support.training_pipeline(epochs=1)), "--out", "run")
        for i in range(5):
            (self.folder / f"data/{'ab'[i % 2]}").mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (30 + i, 28), (40 * i, 99, 0)).save(self.folder / f"data/{'ab'[i % 2]}/{i}.png")
        (self.folder / "data/b/3.png").write_bytes(b"nothing")
        said = []
        found = flowrun.embed(flowrun.Run("run"), "data", "x.npy", set={"run.intra_op": 1}, log=said.append)
        self.assertEqual((found.features.shape, found.keys, found.classes), ((5, 24), [f"data/{name}.png" for name in ("a/0", "a/2", "a/4", "b/1", "b/3")], ["a", "b"]))
        self.assertEqual(found.labels.tolist(), [0, 0, 0, 1, 1])
        self.assertEqual(list(found.bad), [4])
        self.assertEqual(np.isnan(found.features).any(1).tolist(), [False] * 4 + [True])
        self.assertTrue(any("x.npy: 5 x 24 float32" in line for line in said))
        self.flowrun("embed", "run", "data", "y.npy", "--set", "run.intra_op=1")
        self.assertEqual((self.folder / "y.npy").read_bytes(), (self.folder / "x.npy").read_bytes())
        again = flowrun.embed("run", "data", "x.npy", set={"run.intra_op": 1}, log=False)
        self.assertTrue(np.array_equal(again.features, found.features, equal_nan=True))
        with self.assertRaisesRegex(flowrun.PipelineError, "x.npy.json was begun with other options"):
            flowrun.embed("run", "data", "x.npy", what="cls", log=False)

    def test_changes(self):
        path = self.write(support.training_pipeline())
        run = flowrun.run(path, out="a", set={"run.steps": 2, "update.lr.max": 1e-3, "metrics.every": "2 steps"}, log=False)
        self.assertEqual(run.metrics["step"].tolist(), [2])
        self.assertEqual(flowrun.expand(path, set={"update.lr.max": 1e-3})["nodes"]["update"]["lr"]["max"], 1e-3)

    def test_an_exception_saves_and_stops(self):
        path = self.write(support.training_pipeline())
        self.flowrun(path, "--out", "whole")

        def stop(values):
            if values["step"] == 5:
                raise LookupError("enough")

        with self.assertRaisesRegex(LookupError, "enough"):
            flowrun.run(path, out="run", on_step=stop, log=False)
        self.assertEqual((flowrun.Run("run").status, flowrun.Run("run").checkpoints[-1].step), ("stopped", 5))
        flowrun.run(path, out="run", resume=True, log=False)
        self.assertEqual(self.history("run"), self.history("whole"))

    def test_ctrl_c_saves_and_stops(self):
        self.write(support.training_pipeline(epochs=5000))
        script = ("import flowrun, sys\n"
                  "try:\n"
                  "    flowrun.run('pipeline.json', out='run', log=False, on_step=lambda values: print(values['step'], flush=True))\n"
                  "except KeyboardInterrupt:\n"
                  "    sys.exit(3)\n")
        process = subprocess.Popen([sys.executable, "-c", script], env={**os.environ, "PYTHONPATH": str(PACKAGE)}, stdout=subprocess.PIPE, text=True)
        self.addCleanup(process.stdout.close)
        for line in process.stdout:
            if int(line) == 3:
                process.send_signal(signal.SIGINT)
                break
        process.stdout.read()
        self.assertEqual(process.wait(60), 3)
        run = flowrun.Run("run")
        self.assertEqual(run.status, "stopped")
        self.assertEqual(run.checkpoints[-1].step, run.result["steps"])

    def test_faults(self):
        pipeline = support.training_pipeline()
        pipeline["nodes"]["batch"]["sise"] = 4
        del pipeline["nodes"]["ema"]["decay"]
        faults = flowrun.check(self.write(pipeline))
        self.assertEqual([fault.node for fault in faults if "sise" in fault.message], ["batch"])
        self.assertTrue(all(fault.line > 0 and fault.file.endswith("pipeline.json") for fault in faults), faults)
        self.assertRegex(str(faults[0]), r"pipeline.json:\d+:\d+: ")
        self.assertEqual(flowrun.check(self.write(support.training_pipeline())), [])
        with self.assertRaisesRegex(flowrun.PipelineError, "sise"):
            flowrun.expand(self.write(pipeline))
        with self.assertRaisesRegex(flowrun.PipelineError, "sise"):
            flowrun.run(self.write(pipeline))
        with self.assertRaisesRegex(flowrun.PipelineError, "holds no run"):
            flowrun.Run("nowhere")

    def test_a_run_that_fails(self):
        pipeline = support.training_pipeline()
        pipeline["nodes"]["files"] = {"type": "source.folder", "path": "nowhere"}
        with self.assertRaisesRegex(flowrun.RunError, "there is no folder nowhere"):
            flowrun.run(self.write(pipeline), out="run", log=False)
        flowrun.run(self.write(support.training_pipeline()), out="run", log=False)
        with self.assertRaisesRegex(flowrun.RunError, "holds a run already"):
            flowrun.run("pipeline.json", out="run", log=False)

    def test_a_killed_run_is_known(self):
        self.write(support.training_pipeline(epochs=5000))
        process = self.start("pipeline.json", "--out", "run")
        self.addCleanup(lambda: (process.kill(), process.communicate()))
        metrics = self.folder / "run/metrics.jsonl"
        self.wait_until(lambda: metrics.exists() and metrics.stat().st_size > 0, process)
        self.assertEqual(flowrun.Run("run").status, "running")
        process.kill()
        process.wait()
        self.assertEqual(flowrun.Run("run").status, "killed")

    def test_a_plug_in(self):
        plugin = os.environ.get("FLOWRUN_FAULT_NODES")
        if not plugin:
            self.skipTest("no plug-in: ctest names it")
        pipeline = support.data_pipeline()
        pipeline["plugins"] = [plugin]
        pipeline["nodes"]["fault"] = {"type": "fault.sample", "in": "flip", "ms": 0}
        pipeline["nodes"]["batch"]["in"] = "fault"
        self.write(pipeline)
        batches = flowrun.open("pipeline.json")
        self.assertEqual(len(list(batches)), 8)
        batches.close()


@needs_module
class Pages(support.Folder):
    def python(self, *args):
        done = subprocess.run([sys.executable, *map(str, args)], cwd=self.folder, env={**os.environ, "PYTHONPATH": str(PACKAGE)}, text=True, capture_output=True)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout

    def test_the_page_s_code_runs(self):
        (self.folder / "pipelines").symlink_to(support.ROOT / "pipelines")
        blocks = re.findall(r"^```python\n(.*?)^```", (support.ROOT / "docs/python.md").read_text(), re.M | re.S)
        self.assertGreater(len(blocks), 5)
        (self.folder / "page.py").write_text("\n".join(blocks))
        out = self.python("page.py")
        self.assertIn("3 0 (32, 24, 24, 3) ", out)
        self.assertIn("(1, 48) VisionTransformer", out)
        self.assertIn("batch batch: unknown parameter", out)

    def test_a_plain_loop_goes_on_as_if_it_had_never_stopped(self):
        script = support.ROOT / "examples/python/train_loop.py"
        whole = self.python(script, 100, "whole.pt")
        parts = self.python(script, 50, "parts.pt") + self.python(script, 100, "parts.pt")
        self.assertEqual(parts, whole)
        losses = [float(found) for found in re.findall(r"loss ([0-9.]+)", whole)]
        self.assertEqual(len(losses), 2)
        self.assertLess(losses[1], losses[0])

    def notebook(self, name, **values):
        """Runs the cells from top to bottom with other values of its constants, as a script."""
        (self.folder / "pipelines").symlink_to(support.ROOT / "pipelines")
        cells = json.loads((support.ROOT / f"examples/python/{name}.ipynb").read_text())["cells"]
        code = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
        for constant, value in values.items():
            code, count = re.subn(rf"^{constant} = .*$", f"{constant} = {value!r}", code, flags=re.M)
            self.assertEqual(count, 1, constant)
        (self.folder / "notebook.py").write_text('import matplotlib\nmatplotlib.use("agg")\n' + code)
        return self.python("notebook.py")

    def test_notebook_quickstart(self):
        out = self.notebook("quickstart", STEPS=20)
        self.assertIn('unknown parameter "sise"', out)
        self.assertRegex(out, r"knn +\[0.\d+, 0.\d+\]")

    def test_notebook_own_pictures(self):
        for index in range(32):
            path = self.folder / f"data/class{index % 2}/{index:02d}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.effect_noise((120 + index, 110), 60).convert("RGB").save(path)
        out = self.notebook("own_pictures", FOLDER="data", STEPS=4)
        self.assertIn("2 batches an epoch", out)
        self.assertEqual(len(self.metrics("runs/own")), 4)

    def test_notebook_features(self):
        self.assertRegex(self.notebook("features", STEPS=20), r"the nearest picture has the same texture in \d+ % of ")

    def test_lightning(self):
        out = self.python(support.ROOT / "examples/python/lightning.py", 2)
        self.assertRegex(out, r"loss [0-9.]+ after 64 steps of 32 an epoch")


if __name__ == "__main__":
    support.main()
