"""The event file, read with TensorBoard's own reader."""
import collections
import io
import random

import numpy
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import support


class TensorBoard(support.Folder):
    def events(self, out="run"):
        self.files = list((self.folder / out).glob("*tfevents*"))
        accumulator = EventAccumulator(str(self.folder / out), size_guidance={"scalars": 0, "images": 0})
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
        for kind, read in (("scalars", events.Scalars), ("images", events.Images)):
            for tag in events.Tags()[kind]:
                counts = collections.Counter(event.step for event in read(tag))
                self.assertEqual([step for step, count in counts.items() if count > 1], [], f"{tag}, {kind}")
        return events

    def test_a_resumed_run_has_each_step_once(self):
        pipeline = support.training_pipeline(epochs=60)
        pipeline["nodes"]["metrics"]["tensorboard"] = True
        pipeline["nodes"]["save"]["every"] = "20 steps"
        pipeline["nodes"]["sheet"] = {"type": "report.contact_sheet", "in": {"image": "batch", "mask": "mask"}, "step": 50}
        self.write(pipeline)
        chance = random.Random(1)
        for kill in range(1, 6):
            resume = ["--resume"] if (self.folder / "run/pipeline.resolved.json").exists() else []
            self.kill_behind(self.start("pipeline.json", "--out", "run", *resume), "run", 40 * kill - chance.randrange(20))
        self.flowrun("pipeline.json", "--out", "run", "--resume")
        events = self.assert_once("run")
        self.assertEqual([event.step for event in events.Scalars("loss")], list(range(1, 241)))
        self.assertEqual([event.step for event in events.Images("sheet")], [50])

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


if __name__ == "__main__":
    support.main()
