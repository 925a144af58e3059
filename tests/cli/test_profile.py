"""flowrun profile --input-only: what it reports, and that the input's memory does not grow."""
import json
import os
import re
import subprocess
import unittest

from support import PHOTOGRAPHS, ROOT, Folder, data_pipeline, needs_photographs, frozen_streams, images, needs_cifar10, training_pipeline, unpack_cifar10


class Profile(Folder):
    def profile(self, pipeline, *args):
        return json.loads(self.flowrun("profile", self.write(pipeline), "--input-only", "--json", *args).stdout)

    def preloaded(self, name):
        """A library of tests/support, for LD_PRELOAD."""
        library = self.folder / f"{name}.so"
        subprocess.run(["g++", "-O2", "-shared", "-fPIC", ROOT / f"tests/support/{name}.cpp", "-o", library], check=True)
        return library

    def test_only_the_host_side_runs(self):
        result = self.profile(training_pipeline(), "--seconds", "0.5", "--threads", "2")
        self.assertEqual([node["node"] for node in result["nodes"]], ["files", "crop", "decode", "view", "flip", "batch", "mask"])
        self.assertEqual(result["threads"], 2)
        self.assertEqual(result["bound_by"], "cpu")
        self.assertAlmostEqual(result["images_per_second"], result["images"] / result["seconds"], delta=1)
        self.assertGreater(sum(node["share"] for node in result["nodes"]), 0.5)
        self.assertFalse((self.folder / "runs").exists(), "a profile writes nothing")

    def test_the_table(self):
        out = self.flowrun("profile", self.write(data_pipeline()), "--input-only", "--seconds", "0.3").stdout
        self.assertRegex(out, r"images/s, \d+ for each thread")
        self.assertRegex(out, r"decode +image.decode +\d")
        self.assertRegex(out, r"bound by the CPU, which was busy \d+ %")

    @needs_photographs
    def test_slow_files(self):
        library = self.preloaded("slow_files")
        pipeline = data_pipeline()
        pipeline["nodes"]["files"] = {"type": "source.folder", "path": str(PHOTOGRAPHS)}
        pipeline["run"]["read_ahead"] = 0
        for delay, bound in ("0", "cpu"), ("100", "storage"):
            done = self.flowrun("profile", self.write(pipeline), "--input-only", "--json", "--seconds", "1",
                                env={**os.environ, "LD_PRELOAD": str(library), "SLOW_FILES_MS": delay})
            result = json.loads(done.stdout)
            self.assertEqual(result["bound_by"], bound)
        self.assertGreater(result["waiting_share"], 0.5)

    def test_the_source_is_chosen(self):
        pipeline = {"models": {"teacher": {"type": "model.vit", "image": 24, "patch": 4, "width": 24, "depth": 1, "heads": 2}},
                    "nodes": {**frozen_streams(), "knn": {"type": "eval.knn", "in": {"train": "known_features", "test": "unseen_features"}}}}
        name = self.write(pipeline)
        failed = self.flowrun("profile", name, "--input-only", status=2)
        self.assertIn("name the one to measure with --source, one of known, unseen", failed.stderr)
        failed = self.flowrun("profile", name, "--input-only", "--source", "knwn", status=2)
        self.assertIn('there is no source "knwn"; the sources are known, unseen', failed.stderr)
        done = self.flowrun("profile", name, "--input-only", "--source", "unseen", "--seconds", "0.2", "--json")
        self.assertEqual(json.loads(done.stdout)["nodes"][0]["node"], "unseen")

    def test_without_the_flag(self):
        self.assertIn("--input-only", self.flowrun("profile", self.write(data_pipeline()), status=2).stderr)

    @needs_photographs
    def test_samples_allocate_nothing(self):
        """What libjpeg takes for each image by malloc is not counted; and steps, of which there are few, may allocate."""
        library = self.preloaded("count_allocations")
        nodes = {"files": {"type": "source.folder", "path": str(PHOTOGRAPHS)}, "crop": {"type": "image.random_crop", "in": "files"},
                 "decode": {"type": "image.decode", "in": {"bytes": "files", "region": "crop"}},
                 "view": {"type": "image.resize", "in": {"image": "decode", "region": "crop"}, "size": 64},
                 "flip": {"type": "image.random_flip", "in": "view"},
                 "batch": {"type": "batch.stack", "in": "flip", "size": 64},
                 "metrics": {"type": "report.metrics", "in": {"image": "batch"}, "tensorboard": False}}
        name = self.write({"nodes": nodes})

        def allocations(images):
            done = self.flowrun("profile", name, "--input-only", "--json", "--threads", 1, "--skip", 512, "--images", images,
                                env={**os.environ, "LD_PRELOAD": str(library)})
            return int(re.search(r"allocations: (\d+)", done.stderr)[1])

        self.assertLess(allocations(1536) - allocations(512), 1024 / 4)

    @needs_cifar10
    def test_memory_is_flat_over_fifty_epochs(self):
        nodes = images()
        del nodes["mask"]
        nodes["files"] = {"type": "source.folder", "path": str(unpack_cifar10(self.folder, 16))}
        pipeline = {"nodes": {**nodes, "metrics": {"type": "report.metrics", "in": {"image": "batch"}, "tensorboard": False}}}
        short, long = (self.profile(pipeline, "--skip", "160", "--images", str(160 * epochs), "--threads", "2") for epochs in (4, 50))
        self.assertLess(long["peak_mib"], short["peak_mib"] + 4)


if __name__ == "__main__":
    unittest.main()
