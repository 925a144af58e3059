"""Files as they are found in every real data set: one clear error each, which names the file; or, with a budget, a
replacement that is the same on every machine."""
import struct

import support
from PIL import Image


class BadInput(support.Folder):
    def setUp(self):
        super().setUp()
        self.data = self.folder / "data"
        for index in range(20):
            path = self.data / f"class{index % 2}" / f"{index:02d}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.radial_gradient("L").resize((40 + index, 30)).convert("RGB").save(path, quality=90)

    def pipeline(self, **run):
        pipeline = support.data_pipeline(**run)
        pipeline["nodes"]["files"] = {"type": "source.folder", "path": "data"}
        pipeline["nodes"]["batch"].update(size=20, group=10)
        return pipeline

    def bad_file(self, name, content):
        path = self.data / "class0" / name
        path.write_bytes(content)
        return path

    def jpeg(self):
        return (self.data / "class0/00.jpg").read_bytes()

    def fails(self, name, content, *reasons):
        path = self.bad_file(name, content)
        self.write(self.pipeline())
        done = self.flowrun("pipeline.json", "--out", "run", status=1)
        for text in (name, "epoch 0", *reasons):
            self.assertIn(text, done.stderr)
        self.assertEqual(done.stderr.count("error: "), 1, done.stderr)
        self.assertEqual(self.result("run")["status"], "failed")
        self.assertIn(str(path.relative_to(self.folder)), self.result("run")["error"])

    def test_empty(self):
        self.fails("empty.jpg", b"", "empty")

    def test_zeros(self):
        self.fails("zeros.jpg", bytes(1000), "not a JPEG")

    def test_text(self):
        self.fails("text.jpg", b"<html>404 not found</html>", "not a JPEG")

    def test_png_named_jpg(self):
        self.fails("picture.jpg", b"\x89PNG\r\n\x1a\n" + bytes(100), "PNG")

    def test_truncated(self):
        jpeg = self.jpeg()
        self.fails("half.jpg", jpeg[: len(jpeg) * 6 // 10])

    def test_truncated_header(self):
        self.fails("stub.jpg", self.jpeg()[:100])

    def test_huge_dimensions(self):
        jpeg = bytearray(self.jpeg())
        frame = jpeg.index(b"\xff\xc0")
        jpeg[frame + 5 : frame + 9] = struct.pack(">HH", 65000, 65000)
        self.fails("huge.jpg", bytes(jpeg), "65000x65000", "max_megapixels")

    def test_gray_and_cmyk_are_fine(self):
        Image.linear_gradient("L").resize((40, 40)).save(self.data / "class0/gray.jpg")
        Image.linear_gradient("L").resize((40, 40)).convert("CMYK").save(self.data / "class1/cmyk.jpg")
        pipeline = self.pipeline()
        pipeline["nodes"]["batch"].update(size=22, group=11)
        self.write(pipeline)
        self.flowrun("pipeline.json", "--out", "run")
        self.assertEqual(len(self.history("run")), 3)

    def test_unreadable(self):
        path = self.bad_file("link.jpg", b"")
        path.unlink()
        path.symlink_to("nowhere.jpg")
        pipeline = self.pipeline()
        pipeline["nodes"]["batch"].update(size=21, group=21)
        self.write(pipeline)
        done = self.flowrun("pipeline.json", "--out", "run", status=1)
        self.assertIn("link.jpg: No such file", done.stderr)

    def test_missing_folder(self):
        pipeline = self.pipeline()
        pipeline["nodes"]["files"]["path"] = "dta"
        self.write(pipeline)
        done = self.flowrun("pipeline.json", "--out", "run", status=1)
        self.assertIn("files: ", done.stderr)
        self.assertIn("dta", done.stderr)
        self.assertFalse((self.folder / "run").exists())

    def test_too_few_images(self):
        pipeline = self.pipeline()
        pipeline["nodes"]["batch"].update(size=32, group=16)
        self.write(pipeline)
        done = self.flowrun("pipeline.json", "--out", "run", status=2)
        self.assertIn("20 samples, fewer than the batch of 32", done.stderr)

    def test_replaced_within_the_budget(self):
        for index in range(3):
            self.bad_file(f"bad{index}.jpg", b"no picture")
        self.write(self.pipeline(epochs=5, max_bad=20))
        self.flowrun("pipeline.json", "--serial", "--out", "serial")
        listed = (self.folder / "serial/quarantine.jsonl").read_text()
        self.assertGreaterEqual(len(listed.splitlines()), 3)
        for threads, jitter in [(2, 1), (8, 2)]:
            out = f"threads-{threads}"
            self.flowrun("pipeline.json", "--threads", threads, "--jitter", jitter, "--out", out)
            self.assertEqual(self.history(out), self.history("serial"))
            self.assertEqual((self.folder / out / "quarantine.jsonl").read_text(), listed)

    def test_beyond_the_budget(self):
        for index in range(3):
            self.bad_file(f"bad{index}.jpg", b"no picture")
        self.write(self.pipeline(epochs=50, max_bad=2))
        err = self.flowrun("pipeline.json", "--out", "run", status=1).stderr
        self.assertIn("more than run.max_bad = 2", err)
        # Three bad files count as three in any number of epochs; the log names each once, and the list all places.
        err = self.flowrun("pipeline.json", "--out", "three", "--set", "run.max_bad=3").stderr
        self.assertEqual(err.count("replaced a sample that failed"), 3)
        self.assertGreater(len((self.folder / "three/quarantine.jsonl").read_text().splitlines()), 20)


if __name__ == "__main__":
    support.main()
