"""The event file, read with TensorBoard's own reader."""
import io

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


if __name__ == "__main__":
    support.main()
