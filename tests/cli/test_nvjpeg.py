"""image.nvjpeg_decode around a decoder that takes nvJPEG's place (tests/support/jpeg_device.cpp): what goes to the device,
what to image.decode's decoder, and what is said where there is no device."""
import collections
import json
import os
import re
import shutil

import support
import test_formats
from PIL import Image

PLUGIN = os.environ.get("FLOWRUN_JPEG_PLUGIN", str(support.FLOWRUN.parents[1] / "tests/libjpeg_device.so"))
JPEGS = 9  # of test_formats.all_kinds(), without CMYK


class Nvjpeg(support.Folder):
    def setUp(self):
        super().setUp()
        self.data = self.folder / "data"
        test_formats.all_kinds(self.data)

    def pipeline(self, kind="nvjpeg_decode", size=32, group=8, orientation="stored", **run):
        pipeline = support.data_pipeline(epochs=2, **run)
        nodes = pipeline["nodes"]
        nodes["files"] = {"type": "source.folder", "path": "data"}
        nodes["decode"]["type"] = f"image.{kind}"
        nodes["crop"]["orientation"] = nodes["decode"]["orientation"] = orientation
        nodes["batch"].update(size=size, group=group)
        if kind == "nvjpeg_decode":
            pipeline["plugins"] = [PLUGIN]
        return pipeline

    def run_it(self, pipeline, out, *options, device="", status=0):
        """Runs it and returns stderr."""
        self.write(pipeline)
        environment = {**os.environ, "FLOWRUN_JPEG_DEVICE": device, "FLOWRUN_JPEG_LOG": str(self.folder / f"{out}.decoders")}
        return self.flowrun("pipeline.json", *options, "--out", out, status=status, env=environment).stderr

    def decoders(self, out):
        """The log of each decoder of a run."""
        found = re.findall(r"gpu (\d+) huffman (\d+) decoded (\d+) declined (\d+)", (self.folder / f"{out}.decoders").read_text())
        return [collections.namedtuple("Decoder", "gpu huffman decoded declined")(*map(int, numbers)) for numbers in found]

    def quarantine(self, out):
        path = self.folder / out / "quarantine.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def test_a_decoder_of_the_same_pixels_changes_nothing(self):
        for orientation in "stored", "exif":
            self.run_it(self.pipeline("decode", orientation=orientation), f"cpu-{orientation}")
            pipeline = self.pipeline(orientation=orientation)
            for threads in 1, 4:
                out = f"{orientation}-{threads}"
                self.run_it(pipeline, out, "--threads", threads, "--jitter", threads)
                self.assertEqual(self.history(out), self.history(f"cpu-{orientation}"))
                decoders = self.decoders(out)
                self.assertLessEqual(len(decoders), threads, "as many as decode at the same time")
                # Two epochs; and the first sample once more, for measuring memory.
                self.assertIn(sum(decoder.decoded for decoder in decoders) - 2 * JPEGS, range(3))
                self.assertEqual(sum(decoder.declined for decoder in decoders), 0, "CMYK, PNG and WebP never come to it")
            pipeline["nodes"]["decode"]["in"] = "files"
            self.run_it(pipeline, f"whole-{orientation}", "--serial")
            self.assertEqual(self.history(f"whole-{orientation}"), self.history(f"cpu-{orientation}"), "regions are cut from the same pixels")

    def test_several_views(self):
        pipelines = {kind: self.pipeline(kind) for kind in ("decode", "nvjpeg_decode")}
        for kind, pipeline in pipelines.items():
            pipeline["nodes"]["crop"].update(count=3, area=[0.1, 0.5])
            del pipeline["nodes"]["mask"], pipeline["nodes"]["sheet"]["in"]["mask"]
            self.run_it(pipeline, kind)
        self.assertEqual(self.history("nvjpeg_decode"), self.history("decode"))

    def test_pixels_are_those_of_the_device(self):
        cpu = self.pipeline("decode")
        self.run_it(cpu, "cpu")
        self.run_it(self.pipeline(), "inverted", device="inverts")
        self.assertNotEqual(self.history("inverted"), self.history("cpu"))
        for path in self.data.rglob("*.*"):
            with Image.open(path) as image:
                if image.format == "JPEG" and image.mode != "CMYK":
                    image.close()
                    path.unlink()
        self.run_it(self.pipeline("decode", size=15, group=5), "cpu-others")
        self.run_it(self.pipeline(size=15, group=5), "others", device="inverts")
        self.assertEqual(self.history("others"), self.history("cpu-others"))
        self.assertEqual([decoder.decoded for decoder in self.decoders("others")], [0])

    def test_what_the_device_declines_is_decoded_all_the_same(self):
        self.run_it(self.pipeline("decode"), "cpu")
        for device in "declines", "plain_only":
            self.run_it(self.pipeline(), device, "--threads", 2, device=device)
            self.assertEqual(self.history(device), self.history("cpu"))
            self.assertGreater(sum(decoder.declined for decoder in self.decoders(device)), 0)

    def bad_files(self):
        """One cut off, one with wrong codes, one with a table that makes no sense, and a text."""
        noise = Image.effect_noise((90, 80), 80).convert("RGB")
        noise.save(self.data / "a/noise.jpg", quality=90)
        whole = (self.data / "a/noise.jpg").read_bytes()
        (self.data / "a/noise.jpg").unlink()
        (self.data / "a/cut.jpg").write_bytes(whole[: len(whole) * 7 // 10])
        (self.data / "a/codes.jpg").write_bytes(whole[: len(whole) // 2] + bytes(300) + b"\xff\xd9")
        table = bytearray(whole)
        table[whole.index(b"\xff\xc4") + 5] = 200
        (self.data / "b/table.jpg").write_bytes(bytes(table))
        (self.data / "b/text.jpg").write_text("no picture")
        return {f"data/{name}.jpg" for name in ("a/cut", "a/codes", "b/table", "b/text")}

    def test_broken_files_are_bad_samples(self):
        bad = self.bad_files()
        runs = {}
        for kind in "decode", "nvjpeg_decode":
            pipeline = self.pipeline(kind, size=28, group=14, max_bad=20)
            pipeline["nodes"]["decode"]["in"] = "files"
            for options in ["--serial"], ["--threads", 4, "--jitter", 3]:
                out = f"{kind}{options[0]}"
                self.run_it(pipeline, out, *options)
                runs[out] = self.history(out), self.quarantine(out)
                self.assertEqual({line["key"] for line in self.quarantine(out)}, bad)
        self.assertEqual(len({json.dumps(run) for run in runs.values()}), 1, "image.decode lists the same, with the same words")

    def test_truncated_files(self):
        self.bad_files()
        for name in "a/codes", "b/table", "b/text":
            (self.data / f"{name}.jpg").unlink()
        for kind in "decode", "nvjpeg_decode":
            pipeline = self.pipeline(kind, size=25, group=25, max_bad=20)
            pipeline["nodes"]["decode"].update({"in": "files", "on_truncated": "keep_decoded"})
            self.run_it(pipeline, f"kept-{kind}")
            pipeline["nodes"]["decode"]["on_truncated"] = "error"
            err = self.run_it(pipeline, f"refused-{kind}", status=1)
            self.assertRegex(err, r"error: decode: broken JPEG of \d+ bytes: truncated: .*set on_truncated to substitute or keep_decoded")
        self.assertEqual(self.history("kept-nvjpeg_decode"), self.history("kept-decode"))
        self.assertEqual(self.quarantine("kept-nvjpeg_decode"), self.quarantine("kept-decode"))
        self.assertTrue(all(line["kept"] for line in self.quarantine("kept-decode")) and self.quarantine("kept-decode"))

    def test_a_device_that_fails_ends_the_run(self):
        err = self.run_it(self.pipeline(max_bad=20), "run", device="fails", status=1)
        self.assertRegex(err, r"error: decode: the GPU can't decode: it has fallen off the bus\n  sample \d+ of files: data/")
        self.assertEqual(err.count("error: "), 1, err)

    def test_parameters_reach_the_device(self):
        pipeline = self.pipeline()
        for megapixels, pixels in (None, 1_000_000), (0, 0), (0.25, 250_000):
            if megapixels is not None:
                pipeline["nodes"]["decode"]["gpu_huffman_megapixels"] = megapixels
            self.run_it(pipeline, f"run-{megapixels}", "--serial")
            self.assertEqual([(decoder.gpu, decoder.huffman) for decoder in self.decoders(f"run-{megapixels}")], [(0, pixels)])

    def test_each_rank_takes_its_own_gpu(self):
        self.write(self.pipeline(size=24, group=6))
        environment = {**os.environ, "LOCAL_RANK": "3", "LOCAL_WORLD_SIZE": "4", "RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "127.0.0.1",
                       "MASTER_PORT": "1", "FLOWRUN_JPEG_LOG": str(self.folder / "run.decoders")}
        self.flowrun("pipeline.json", "--serial", "--out", "run", env=environment)
        self.assertEqual([decoder.gpu for decoder in self.decoders("run")], [3])

    def test_check_takes_it_on_any_machine(self):
        pipeline = self.pipeline()
        del pipeline["plugins"]
        self.flowrun("check", self.write(pipeline))
        self.flowrun("check", support.ROOT / "pipelines/pretrain_nvjpeg.json")

    def test_dct_scaling_is_refused(self):
        pipeline = self.pipeline()
        pipeline["nodes"]["decode"]["dct_scaling"] = 0
        self.flowrun("check", self.write(pipeline))
        pipeline["nodes"]["decode"]["dct_scaling"] = 224
        err = self.flowrun("check", self.write(pipeline), status=2).stderr
        self.assertIn("decode: nvJPEG can't decode at a smaller size: leave dct_scaling out, or use image.decode", err)

    def refused(self, pipeline, device=""):
        err = self.run_it(pipeline, "run", device=device, status=2)
        self.assertEqual(len(err.strip().splitlines()), 1, err)
        self.assertFalse((self.folder / "run").exists(), "nothing was run")
        return err

    def test_without_a_device(self):
        err = self.refused(self.pipeline(), device="missing")
        self.assertEqual(err, "error: decode: image.nvjpeg_decode needs a GPU and nvJPEG: the test has no decoder; "
                              "use image.decode, which takes the same ports\n")

    def test_without_a_gpu(self):
        if shutil.which("nvidia-smi"):
            self.skipTest("there is a GPU")
        pipeline = self.pipeline()
        del pipeline["plugins"]
        err = self.refused(pipeline)
        self.assertRegex(err, r"^error: decode: image\.nvjpeg_decode needs a GPU and nvJPEG: (no NVIDIA driver \(libcuda\.so\.1\) on this machine|"
                              r"the NVIDIA driver shows no GPU|this program was built without CUDA, .*); use image\.decode, which takes the same ports\n$")


if __name__ == "__main__":
    support.main()
