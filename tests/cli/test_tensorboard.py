"""The event file, read with TensorBoard's own reader."""
import collections
import io
import random

import numpy
from PIL import Image
from tensorboard.backend.event_processing import data_provider, plugin_event_multiplexer
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.context import RequestContext
from tensorboard.plugins.base_plugin import TBContext
from tensorboard.plugins.hparams import api_pb2, backend_context, list_session_groups

import support


class TensorBoard(support.Folder):
    def events(self, out="run"):
        self.files = list((self.folder / out).glob("*tfevents*"))
        accumulator = EventAccumulator(str(self.folder / out), size_guidance={"scalars": 0, "images": 0, "histograms": 0})
        accumulator.Reload()
        return accumulator

    def pipeline(self, metrics=True, sheet=True):
        pipeline = support.data_pipeline()
        pipeline["nodes"]["metrics"]["tensorboard"] = metrics
        pipeline["nodes"]["sheet"] |= {"tensorboard": sheet, "step": 3}
        pipeline["nodes"]["crops"] = {"type": "report.contact_sheet", "in": {"image": "batch"}, "file": "crops.png"}
        if not sheet:
            pipeline["nodes"]["crops"]["tensorboard"] = False
        return pipeline

    def test_scalars_and_images_share_one_file(self):
        self.write(self.pipeline())
        self.flowrun("pipeline.json", "--out", "run")
        events = self.events()
        self.assertEqual(len(self.files), 1, "TensorBoard follows only the newest file of a directory")
        self.assertEqual([event.step for event in events.Scalars("images_per_second")], list(range(1, 13)))
        for tag, step, file in ("sheet", 3, "contact_sheet.png"), ("crops", 1, "crops.png"):
            image, = events.Images(tag)
            self.assertEqual(image.step, step)
            seen = Image.open(io.BytesIO(image.encoded_image_string))
            kept = Image.open(self.folder / "run" / file)
            self.assertEqual((image.width, image.height), kept.size)
            numpy.testing.assert_array_equal(numpy.asarray(seen), numpy.asarray(kept))
            self.assertGreater(numpy.asarray(seen).std(), 10)

    def test_each_can_be_left_out(self):
        for metrics, sheet in (True, False), (False, True), (False, False):
            out = f"run-{metrics}-{sheet}"
            self.write(self.pipeline(metrics, sheet))
            self.flowrun("pipeline.json", "--out", out)
            tags = self.events(out).Tags()
            self.assertEqual("images_per_second" in tags["scalars"], metrics)
            self.assertEqual(sorted(tags["images"]), ["crops", "sheet"] if sheet else [])
            self.assertEqual(len(self.files), 1 if metrics or sheet else 0)

    def assert_once(self, out):
        """Every tag at every step stands once, over all files."""
        events = self.events(out)
        for kind, read in (("scalars", events.Scalars), ("images", events.Images), ("histograms", events.Histograms)):
            for tag in events.Tags()[kind]:
                counts = collections.Counter(event.step for event in read(tag))
                self.assertEqual([step for step, count in counts.items() if count > 1], [], f"{tag}, {kind}")
        return events

    def test_a_resumed_run_has_each_step_once(self):
        pipeline = support.training_pipeline(epochs=60)
        pipeline["nodes"]["metrics"]["tensorboard"] = True
        pipeline["nodes"]["save"]["every"] = "20 steps"
        pipeline["nodes"]["sheet"] = {"type": "report.contact_sheet", "in": {"image": "batch", "mask": "mask"}, "step": 50}
        pipeline["nodes"]["health"] = {"type": "report.health", "in": {"tokens": "encode"}, "every": "8 steps", "histograms": True}
        self.write(pipeline)
        chance = random.Random(1)
        for kill in range(1, 6):
            resume = ["--resume"] if (self.folder / "run/pipeline.resolved.json").exists() else []
            self.kill_behind(self.start("pipeline.json", "--out", "run", *resume), "run", 40 * kill - chance.randrange(20))
        self.flowrun("pipeline.json", "--out", "run", "--resume")
        events = self.assert_once("run")
        self.assertEqual([event.step for event in events.Scalars("loss")], list(range(1, 241)))
        self.assertEqual([event.step for event in events.Images("sheet")], [50])
        self.assertEqual([event.step for event in events.Histograms("health_features")], list(range(8, 241, 8)))

    def test_a_sheet_that_was_drawn_ahead_of_a_stop(self):
        """Batches are made ahead of the steps: a run that stops before the sheet's step may have drawn it already."""
        pipeline = support.training_pipeline(epochs=3)
        pipeline["nodes"]["metrics"]["tensorboard"] = True
        for step in range(1, 13):
            pipeline["nodes"][f"sheet{step}"] = {"type": "report.contact_sheet", "in": {"image": "batch"}, "step": step, "file": f"sheet{step}.png"}
        self.write(pipeline)
        for steps in (4, 5, 9):
            self.flowrun("pipeline.json", "--out", "run", "--set", f"run.steps={steps}", *(["--resume"] if steps > 4 else []))
        self.flowrun("pipeline.json", "--out", "run", "--resume")
        events = self.assert_once("run")
        for step in range(1, 13):
            self.assertEqual([event.step for event in events.Images(f"sheet{step}")], [step])

    def test_histograms_of_what_is_watched(self):
        """Rows of vectors have length sqrt(24); targets are standardised, so their mean over patches is within their range."""
        pipeline = support.training_pipeline(epochs=1)
        pipeline["nodes"] |= {"vectors": {"type": "encode.images", "in": "upload.image", "model": "teacher", "pool": "mean"},
                              "seen": {"type": "report.health", "in": {"vectors": "vectors", "target": "targets"}, "every": "2 steps", "histograms": True},
                              "plain": {"type": "report.health", "in": {"vectors": "vectors"}, "every": "1 step"}}
        self.flowrun(self.write(pipeline), "--out", "run")
        histograms = self.events().Tags()["histograms"]
        self.assertEqual(histograms, ["seen_features", "seen_targets"])
        read = lambda out: {tag: [(event.step, event.histogram_value) for event in self.events(out).Histograms(tag)] for tag in histograms}  # noqa: E731
        found = read("run")
        for tag, width in (("seen_features", 24), ("seen_targets", 48)):
            self.assertEqual([step for step, _ in found[tag]], [2, 4])
            for _, value in found[tag]:
                self.assertEqual((value.num, len(value.bucket_limit), len(value.bucket)), (16 * width, 30, 30))
                self.assertEqual(sum(value.bucket), value.num)
                self.assertLess(value.min, value.bucket_limit[0])
                self.assertAlmostEqual(value.bucket_limit[-1], value.max)
                if tag == "seen_features":
                    self.assertAlmostEqual(value.sum_squares / value.num, 1, places=5)
                else:
                    self.assertGreater(value.min, -7)
                    self.assertLess(value.max, 7)
        self.ended(self.ranks(2, "pipeline.json", "--out", "ranks"))
        self.assertEqual(read("ranks"), found)

    def table(self, folder):
        """TensorBoard's table of hyperparameters: {run: (hyperparameters, {tag: value}, status)}."""
        multiplexer = plugin_event_multiplexer.EventMultiplexer().AddRunsFromDirectory(str(self.folder / folder))
        multiplexer.Reload()
        context = backend_context.Context(TBContext(logdir=str(self.folder / folder), multiplexer=multiplexer,
                                                    data_provider=data_provider.MultiplexerDataProvider(multiplexer, str(self.folder / folder))))
        request = api_pb2.ListSessionGroupsRequest(start_index=0, slice_size=100, allowed_statuses=[1, 2, 3, 0])
        groups = list_session_groups.Handler(RequestContext(), context, "", request).run().session_groups
        rows = {}
        for group in groups:
            session, = group.sessions
            chosen = {name: getattr(value, value.WhichOneof("kind")) for name, value in group.hparams.items()}
            rows[session.name] = chosen, {value.name.tag: (value.training_step, value.value) for value in session.metric_values}, session.status
        return rows

    def test_a_sweep_is_a_table_of_hyperparameters(self):
        base = support.training_pipeline(epochs=1)
        base["nodes"]["metrics"]["tensorboard"] = True
        base["nodes"] |= support.frozen_streams(60, 40)
        base["nodes"]["knn"] = {"type": "eval.knn", "in": {"train": "known_features", "test": "unseen_features"}, "k": [5], "at": ["end"]}
        self.write(base, "base.json")
        self.write(base | {"seed": 4}, "other.json")
        variants = {"long": {"run.epochs": 2, "update.betas": [0.9, 0.99]}, "wide": {"student.width": 32, "student.class_token": False}, "file": "other.json",
                    "broken": {"update.lr.max": 1e30, "update.lr.start": 1e30}}
        self.write({"base": "base.json", "set": {"seed": 5}, "variants": variants}, "sweep.json")
        self.flowrun("sweep", "sweep.json", "--out", "out", status=1)
        rows = self.table("out")
        self.assertEqual(sorted(rows), ["file", "long", "wide"], "variants that are done")
        paths = {"pipeline": "base.json", "run.epochs": 1, "update.betas": "[0.9,0.95]", "student.width": 24, "student.class_token": True}
        broken = {"update.lr.max": 2e-3, "update.lr.start": 1e-4}
        expected = {"long": {"run.epochs": 2, "update.betas": "[0.9,0.99]"}, "wide": {"student.width": 32, "student.class_token": False},
                    "file": {"pipeline": "other.json"}}
        for name, (chosen, values, status) in rows.items():
            self.assertEqual(chosen, paths | broken | expected[name], name)
            steps = 8 if name == "long" else 4
            self.assertEqual(values["knn/accuracy"], (steps, numpy.float32(self.result(f"out/{name}")["knn"]["accuracy"])))
            self.assertEqual(values["loss"], (steps, numpy.float32(self.metrics(f"out/{name}")[-1]["loss"])))
            self.assertEqual(status, api_pb2.STATUS_SUCCESS)
        before = {path: path.read_bytes() for path in (self.folder / "out").rglob("*tfevents*") if "broken" not in path.parts}
        self.flowrun("sweep", "sweep.json", "--out", "out", status=1)
        self.assertEqual({path: path.read_bytes() for path in before}, before, "a row is written once")


if __name__ == "__main__":
    support.main()
