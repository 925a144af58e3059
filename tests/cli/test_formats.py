"""A folder of everything found in data sets: formats, orientations, wrong names, files that end too early."""
import io
import json
import random
import re
import struct

import support
from PIL import Image


def picture(seed, width, height, mode="RGB"):
    draw = random.Random(seed)
    bands = len(Image.new(mode, (1, 1)).getbands())
    return Image.frombytes(mode, (6, 5), bytes(draw.randrange(256) for _ in range(30 * bands))).resize((width, height), Image.Resampling.BICUBIC)


def exif(orientation):
    block = Image.Exif()
    block[274] = orientation
    return block


def all_kinds(data):
    """32 files in two classes, none of them at fault."""
    for name in "ab":
        (data / name).mkdir(parents=True)
    save = lambda name, image, **options: image.save(data / name, **options)
    save("a/plain.jpg", picture(1, 60, 44))
    save("a/progressive.JPEG", picture(2, 61, 45), progressive=True)
    save("a/444.jpg", picture(3, 50, 50), subsampling="4:4:4")
    save("a/422.jpg", picture(4, 51, 47), subsampling="4:2:2")
    save("a/gray.jpg", picture(5, 40, 60, "L"))
    save("a/cmyk.jpg", picture(6, 40, 60, "CMYK"))
    save("a/rgb.png", picture(7, 45, 52))
    save("a/alpha.png", picture(8, 45, 52, "RGBA"))
    save("a/palette.PNG", picture(9, 45, 52).convert("P"))
    save("a/bits.png", picture(10, 45, 52).convert("1"))
    Image.linear_gradient("L").resize((44, 44)).convert("I").point(lambda v: v * 257).convert("I;16").save(data / "a/deep.png")
    save("a/lossy.webp", picture(11, 64, 40), quality=70)
    save("b/lossless.webp", picture(12, 64, 41), lossless=True)
    save("b/alpha.WebP", picture(13, 33, 64, "RGBA"))
    save("b/animation.webp", picture(14, 48, 48), save_all=True, append_images=[picture(15, 48, 48)])
    save("b/is_a_png.jpg", picture(16, 48, 48), format="PNG")
    save("b/is_a_webp.jpg", picture(17, 48, 48), format="WebP")
    save("b/is_a_jpeg.png", picture(18, 48, 48), format="JPEG")
    for orientation in (3, 6, 8):
        save(f"b/turned{orientation}.jpg", picture(19, 70, 40), exif=exif(orientation))
    save("b/turned6.png", picture(20, 70, 40), exif=exif(6))
    save("b/turned6.webp", picture(21, 70, 40), exif=exif(6))
    save("b/tiny.png", picture(22, 1, 1))
    save("b/is_a_gif.jpg", picture(23, 48, 40), format="GIF")
    save("b/is_a_gray_gif.png", picture(24, 48, 40, "L"), format="GIF", interlace=1)
    save("b/is_a_tiff.jpg", picture(25, 48, 40), format="TIFF", compression="tiff_lzw")
    save("b/is_an_alpha_tiff.png", picture(26, 48, 40, "RGBA"), format="TIFF", compression="tiff_adobe_deflate")
    save("b/is_a_gray_tiff.png", picture(27, 48, 40, "L"), format="TIFF")
    save("b/is_a_jpeg_tiff.png", picture(28, 48, 40), format="TIFF", compression="jpeg")
    save("b/turned6_tiff.png", picture(29, 70, 40), format="TIFF", tiffinfo=exif(6))
    Image.linear_gradient("L").resize((44, 44)).convert("I").point(lambda v: v * 257).convert("I;16").save(data / "b/deep_tiff.png", "TIFF")


class Formats(support.Folder):
    def setUp(self):
        super().setUp()
        self.data = self.folder / "data"
        all_kinds(self.data)

    def cut(self, name, part=0.7):
        """A file that ends too early, in the middle of its pixels."""
        Image.effect_noise((90, 80), 80).convert("RGB").save(self.data / name, **({"lossless": True} if name.endswith("webp") else {}))
        whole = (self.data / name).read_bytes()
        (self.data / name).write_bytes(whole[: int(len(whole) * part)])

    def pipeline(self, size, group, orientation="stored", **run):
        pipeline = support.data_pipeline(epochs=2, **run)
        nodes = pipeline["nodes"]
        nodes["files"] = {"type": "source.folder", "path": "data"}
        nodes["crop"]["orientation"] = nodes["decode"]["orientation"] = orientation
        nodes["batch"].update(size=size, group=group)
        return pipeline

    def quarantine(self, out):
        path = self.folder / out / "quarantine.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def runs_alike(self, pipeline, name=""):
        """Serial, and on one and four threads: the same ledgers and the same list of replaced and kept samples."""
        self.write(pipeline)
        serial = f"serial{name}"
        self.flowrun("pipeline.json", "--serial", "--out", serial)
        for threads in 1, 4:
            out = f"threads-{threads}{name}"
            self.flowrun("pipeline.json", "--threads", threads, "--jitter", threads, "--out", out)
            self.assertEqual(self.history(out), self.history(serial))
            self.assertEqual(self.quarantine(out), self.quarantine(serial))
        return self.history(serial)

    def test_all_kinds_in_one_folder(self):
        stored = self.runs_alike(self.pipeline(32, 16))
        self.assertEqual(self.quarantine("serial"), [])
        turned = self.runs_alike(self.pipeline(32, 16, "exif"), "-turned")
        self.assertEqual(len(stored), len(turned))
        self.assertNotEqual(stored, turned)

    def test_whole_and_by_region_are_the_same(self):
        for orientation in "stored", "exif":
            pipeline = self.pipeline(32, 16, orientation)
            self.write(pipeline)
            self.flowrun("pipeline.json", "--out", f"region-{orientation}")
            pipeline["nodes"]["decode"]["in"] = "files"
            self.write(pipeline)
            self.flowrun("pipeline.json", "--out", f"whole-{orientation}")
            self.assertEqual(self.history(f"region-{orientation}"), self.history(f"whole-{orientation}"))

    def test_orientations_that_differ_are_an_error(self):
        for here, there in ("stored", "exif"), ("exif", "stored"):
            pipeline = self.pipeline(32, 16)
            pipeline["nodes"]["crop"]["orientation"], pipeline["nodes"]["decode"]["orientation"] = here, there
            self.write(pipeline)
            err = self.flowrun("pipeline.json", "--out", f"run-{here}", status=1).stderr
            self.assertIn('give the node that chose the region and this one the same "orientation"', err)
            pipeline["nodes"]["decode"]["in"] = "files"
            self.write(pipeline)
            err = self.flowrun("pipeline.json", "--out", f"whole-{here}", status=1).stderr
            self.assertIn('view: the region and the picture differ in "orientation"', err)

    def test_jpeg_decode_takes_jpegs_alone(self):
        pipeline = self.pipeline(32, 16)
        pipeline["nodes"]["decode"] = {"type": "image.jpeg_decode", "in": {"bytes": "files", "region": "crop"}}
        self.write(pipeline)
        err = self.flowrun("pipeline.json", "--out", "run", status=1).stderr
        self.assertRegex(err, r"decode: not a JPEG but a (PNG|WebP|GIF|TIFF) image; image.decode reads JPEG, PNG, WebP, GIF and TIFF")

    def test_truncated_files_are_substituted(self):
        for name in ("a/cut.jpg", "a/cut.png", "b/cut.webp"):
            self.cut(name)
        pipeline = self.pipeline(35, 35)
        pipeline["nodes"]["decode"]["in"] = "files"
        self.write(pipeline)
        err = self.flowrun("pipeline.json", "--out", "refused", status=1).stderr
        self.assertRegex(err, r"error: decode: broken (JPEG|PNG|WebP) of \d+ bytes: truncated: ")
        self.assertRegex(err, r"sample \d+ of files: data/[ab]/cut\.")
        self.assertIn("set run.max_bad", err)
        pipeline["run"]["max_bad"] = 20
        self.runs_alike(pipeline)
        listed = self.quarantine("serial")
        self.assertEqual({line["key"] for line in listed}, {"data/a/cut.jpg", "data/a/cut.png", "data/b/cut.webp"})
        self.assertFalse(any("kept" in line for line in listed))

    def test_truncated_files_end_the_run(self):
        self.cut("a/cut.png")
        pipeline = self.pipeline(33, 11, max_bad=20)
        pipeline["nodes"]["decode"].update({"in": "files", "on_truncated": "error"})
        self.write(pipeline)
        texts = set()
        for options in ["--serial"], ["--threads", 1], ["--threads", 4]:
            err = self.flowrun("pipeline.json", *options, "--out", "run-" + "".join(map(str, options)), status=1).stderr
            self.assertEqual(err.count("error: "), 1, err)
            texts.add(re.sub(r"replay runs?\S*", "replay RUN", err[err.index("error: ") :]))
        self.assertEqual(len(texts), 1, texts)
        self.assertRegex(texts.pop(), r"(?s)error: decode: broken PNG of \d+ bytes: truncated: .*; repair or delete the file, or set on_truncated to "
                                      r"substitute or keep_decoded\n  sample \d+ of files: data/a/cut.png\n  epoch 0, step 1\n"
                                      r"  replay: flowrun replay RUN --sample \d+ --epoch 0 --node decode$")

    def test_corrupt_files_are_replaced_whatever_is_said_of_truncated_ones(self):
        jpeg = (self.data / "a/plain.jpg").read_bytes()
        (self.data / "a/corrupt.jpg").write_bytes(jpeg[: len(jpeg) - 200] + b"\xff\xd9" + bytes(100))
        (self.data / "a/text.png").write_text("no picture")
        for policy in "error", "keep_decoded":
            pipeline = self.pipeline(34, 17, max_bad=20)
            pipeline["nodes"]["decode"].update({"in": "files", "on_truncated": policy})
            self.write(pipeline)
            self.flowrun("pipeline.json", "--out", policy)
            self.assertEqual({line["key"] for line in self.quarantine(policy)}, {"data/a/corrupt.jpg", "data/a/text.png"})
            self.assertEqual({line.get("kept") for line in self.quarantine(policy)}, {None})

    def test_truncated_files_are_kept_and_listed(self):
        names = ("a/cut.jpg", "a/cut.png", "b/cut.webp")
        for name in names:
            self.cut(name)
        pipeline = self.pipeline(35, 35)
        pipeline["nodes"]["decode"].update({"in": "files", "on_truncated": "keep_decoded"})
        self.runs_alike(pipeline)
        listed = self.quarantine("serial")
        self.assertEqual(sorted(line["key"] for line in listed), sorted(f"data/{name}" for name in names for _ in range(2)))
        for line in listed:
            self.assertTrue(line["kept"])
            self.assertRegex(line["error"], r"^decode: truncated (JPEG|PNG|WebP) of \d+ bytes: what could be decoded was kept$")
        log = (self.folder / "serial/log.txt").read_text()
        self.assertEqual(log.count("kept a sample: data/a/cut.jpg"), 1, "once for two epochs")

    def test_scaled_decode_changes_pixels_a_little(self):
        for index in range(8):
            picture(index, 300, 220).save(self.data / f"a/large{index}.jpg", quality=92)
        sheets, histories = [], []
        for scaling in 0, 24:
            pipeline = self.pipeline(40, 20)
            pipeline["nodes"]["decode"]["dct_scaling"] = scaling
            histories.append(self.runs_alike(pipeline, f"-{scaling}"))
            sheets.append(Image.open(self.folder / f"serial-{scaling}/contact_sheet.png").convert("RGB").tobytes())
        self.assertNotEqual(*histories)
        mean = sum(abs(x - y) for x, y in zip(*sheets)) / len(sheets[0])
        self.assertGreater(mean, 0)
        self.assertLess(mean, 2)


def segments(data):
    """(marker, begin, end) of a JPEG's segments, the first scan's header being the last."""
    at, out = 2, []
    while not out or out[-1][0] != 0xDA:
        size = struct.unpack(">H", data[at + 2 : at + 4])[0]
        out.append((data[at + 1], at, at + 2 + size))
        at += 2 + size
    return out


class SmallFaults(support.Folder):
    """Files that every other program reads."""

    def run_on(self, files, out="run", **options):
        (self.folder / "data").mkdir(exist_ok=True)
        for name, data in files.items():
            (self.folder / "data" / name).write_bytes(data)
        self.write({
            "run": {"epochs": 1, "device": "cpu"},
            "nodes": {
                "files": {"type": "source.folder", "path": "data"},
                "decode": {"type": "image.decode", "in": "files"},
                "view": {"type": "image.resize", "in": "decode", "size": 24},
                "batch": {"type": "batch.stack", "in": "view", "size": len(list((self.folder / "data").iterdir()))},
                "metrics": {"type": "report.metrics", "in": {"image": "batch"}, "every": "1 step", "tensorboard": False},
            },
        })
        return self.flowrun("pipeline.json", "--out", out, **options)

    def test_jpegs_with_faults_that_lose_nothing(self):
        save = io.BytesIO()
        picture(1, 48, 40).save(save, "JPEG")
        whole = save.getvalue()
        parts = segments(whole)
        jfif, scan = parts[0], parts[-1]
        self.run_on({
            "whole.jpg": whole,
            "scan_header.jpg": whole[: scan[2] - 3] + bytes(3) + whole[scan[2] :],
            "adobe.jpg": whole[:2] + b"\xff\xee" + struct.pack(">H", 14) + b"Adobe" + struct.pack(">HHHB", 100, 0, 0, 9) + whole[jfif[2] :],
            "stray.jpg": whole[: scan[1]] + b"stray" + whole[scan[1] :],
            "version.jpg": whole[: jfif[1] + 9] + b"\3" + whole[jfif[1] + 10 :],
        })
        self.assertFalse((self.folder / "run/quarantine.jsonl").exists())

    def test_pngs_with_faults_that_lose_nothing(self):
        save = io.BytesIO()
        picture(1, 48, 40).save(save, "PNG")
        whole = save.getvalue()
        self.run_on({"whole.png": whole, "no_end.png": whole[:-12], "checksum.png": whole[:-13] + bytes([whole[-13] ^ 1]) + whole[-12:]})
        self.assertFalse((self.folder / "run/quarantine.jsonl").exists())

    def test_a_picture_of_another_kind_is_named_with_the_cure(self):
        save = io.BytesIO()
        picture(1, 48, 40).save(save, "BMP")
        err = self.run_on({"drawing.png": save.getvalue()}, status=1).stderr
        self.assertIn("decode: not a JPEG, PNG, WebP, GIF or TIFF image: it looks like a BMP image; convert it, to PNG for example", err)
        self.assertIn("data/drawing.png", err)


class DeepSamples(support.Folder):
    """16 bits and floating point."""

    def setUp(self):
        super().setUp()
        (self.folder / "data").mkdir()

    def pipeline(self, files, **decode):
        self.write({
            "run": {"epochs": 3, "device": "cpu"},
            "nodes": {
                "files": {"type": "source.folder", "path": "data"},
                "decode": {"type": "image.decode", "in": "files", **decode},
                "view": {"type": "image.resize", "in": "decode", "size": 24},
                "batch": {"type": "batch.stack", "in": "view", "size": files},
                "metrics": {"type": "report.metrics", "in": {"image": "batch"}, "every": "1 step", "tensorboard": False},
                "sheet": {"type": "report.contact_sheet", "in": {"image": "batch"}},
            },
        })

    def deep(self, name, low, high, kind="PNG"):
        Image.linear_gradient("L").resize((24, 24)).convert("I").point(lambda v: v * ((high - low) / 255) + low).convert("I;16").save(self.folder / "data" / name, kind)

    def test_16_bits_are_said_once(self):
        for index, kind in enumerate(("PNG", "TIFF", "PNG", "TIFF")):
            self.deep(f"{index}.png", 100, 4095, kind)
        self.pipeline(4)
        err = self.flowrun("pipeline.json", "--quiet", "--out", "run").stderr
        lines = [line for line in err.splitlines() if line.startswith("warning:")]
        self.assertEqual(len(lines), 1, err)
        self.assertRegex(lines[0], r"^warning: decode: data/\d\.png is a (PNG|TIFF) of 16 bits a sample, here from \d+ to 4\d\d\d of 65535, and the "
                                   r"upper 8 bits are taken; \"range\": \[\d+, 4\d\d\d\] would make its values 0 to 255")
        self.assertFalse((self.folder / "run/quarantine.jsonl").exists())

    def test_a_range_is_used_and_nothing_is_said(self):
        self.deep("0.png", 100, 4095)
        self.pipeline(1)
        self.flowrun("pipeline.json", "--quiet", "--out", "without")
        self.pipeline(1, range=[100, 4095])
        self.assertNotIn("warning:", self.flowrun("pipeline.json", "--quiet", "--out", "with").stderr)
        dark, bright = (Image.open(self.folder / out / "contact_sheet.png").convert("L").getextrema() for out in ("without", "with"))
        self.assertLess(dark[0], 16)
        self.assertGreater(bright[1], 250)

    def test_a_range_must_make_sense(self):
        self.deep("0.png", 100, 4095)
        for value in [5], [5, 5], [9, 2], [1, 2, 3]:
            self.pipeline(1, range=value)
            self.assertIn("range must be two numbers, the smaller first", self.flowrun("check", "pipeline.json", status=2).stderr)

    def test_floating_point_needs_a_range(self):
        Image.linear_gradient("L").resize((24, 24)).convert("F").save(self.folder / "data/height.png", "TIFF")
        self.pipeline(1)
        err = self.flowrun("pipeline.json", "--out", "without", status=1).stderr
        self.assertRegex(err, r"decode: the TIFF has samples of 32 bits, floating point, here from [\d.]+ to [\d.]+: say with \"range\": \[low, high\] which "
                              r"values become 0 and 255")
        self.pipeline(1, range=[0, 255])
        self.flowrun("pipeline.json", "--out", "with")


class Pairs(support.Folder):
    def test_label_maps_in_the_images_folder_are_no_images(self):
        (self.folder / "data").mkdir()
        for index in range(4):
            picture(index, 40, 40).save(self.folder / f"data/{index}.jpg")
            Image.new("L", (40, 40), index).save(self.folder / f"data/{index}.png")
        self.write({
            "run": {"epochs": 2, "device": "cpu"},
            "nodes": {
                "files": {"type": "source.pairs", "images": "data", "labels": "data"},
                "decode": {"type": "image.decode", "in": {"bytes": "files.bytes"}},
                "batch": {"type": "batch.stack", "in": {"image": "decode"}, "size": 4},
                "metrics": {"type": "report.metrics", "in": {"image": "batch"}, "every": "1 step", "tensorboard": False},
            },
        })
        self.flowrun("pipeline.json", "--out", "run")
        self.assertEqual(len(self.history("run")), 2)


class Photographs(support.Folder):
    @support.needs_photographs
    def test_formats_of_the_same_pixels_give_the_same_images(self):
        """Photographs as PNG and lossless WebP have the pixels, and so the ledger, of the JPEGs that they come from."""
        histories = []
        for kind, options in {"jpg": None, "png": {}, "webp": {"lossless": True, "exact": True, "quality": 10}}.items():
            folder = self.folder / kind / "data"
            folder.mkdir(parents=True)
            for index, path in enumerate(sorted(support.PHOTOGRAPHS.iterdir())[:8]):
                if options is None:
                    (folder / f"{index}.jpg").write_bytes(path.read_bytes())
                else:
                    Image.open(path).convert("RGB").save(folder / f"{index}.{kind}", **options)
            pipeline = support.data_pipeline(epochs=2)
            pipeline["nodes"]["files"] = {"type": "source.folder", "path": f"{kind}/data"}
            pipeline["nodes"]["batch"].update(size=8, group=4)
            self.write(pipeline)
            self.flowrun("pipeline.json", "--out", f"run-{kind}")
            histories.append(self.history(f"run-{kind}"))
        self.assertEqual(histories[0], histories[1])
        self.assertEqual(histories[0], histories[2])


if __name__ == "__main__":
    support.main()
