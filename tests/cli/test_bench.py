"""The benchmarks of methods: both sides run at tiny size, train equally many parameters, and the crops of the input are those of the methods."""
import argparse
import importlib.machinery
import importlib.util
import json
import subprocess
import sys

import numpy as np
from PIL import Image

import support

PERF = support.ROOT / "tests/perf"


def load_bench():
    loader = importlib.machinery.SourceFileLoader("bench", str(support.ROOT / "tools/bench"))
    bench = importlib.util.module_from_spec(importlib.util.spec_from_loader("bench", loader))
    loader.exec_module(bench)
    return bench


class Bench(support.Folder):
    def step(self, *words, status=0):
        done = subprocess.run([sys.executable, PERF / "step/methods.py", support.FLOWRUN, *map(str, words)], text=True, capture_output=True)
        self.assertEqual(done.returncode, status, done.stderr)
        return done.stdout if status == 0 else done.stderr

    def test_steps_of_methods_beside_pytorch(self):
        shapes = {"dino": {"image": 16, "small": 8, "patch": 8, "width": 24, "depth": 1, "heads": 2, "hidden": 8, "prototypes": 16},
                  "simsiam": {"image": 32, "hidden": 16, "narrow": 8}, "simclr": {"image": 32, "hidden": 16, "out": 8}, "barlow": {"image": 32, "hidden": 16}}
        for method, shape in shapes.items():
            with self.subTest(method):
                words = ("--method", method, "--batch", 4, "--threads", 1, "--rounds", 1, "--steps", 1, "--shape", json.dumps(shape), "--json")
                line = json.loads(self.step(*words))
                self.assertEqual(set(line["ms"]), {"Flowrun", "PyTorch"})
                for rounds in line["ms"].values():
                    self.assertEqual([len(both) for both in rounds], [2])
                    self.assertGreater(min(rounds[0]), 0)
                self.assertGreater(line["ratio"], 0)
                self.assertGreater(line["parameters"], 1000)

    def test_dino_crops_beside_their_own_transform(self):
        for index in range(4):
            pixels = np.random.default_rng(index).integers(0, 255, (60, 80, 3), dtype=np.uint8)
            (self.folder / "data/a").mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(self.folder / f"data/a/{index}.jpg")
        bench = load_bench()
        args = argparse.Namespace(data=self.folder / "data", side=32, batch=2, epochs=2)
        path = self.write(bench.multi_crop_pipeline(args))
        measured = json.loads(self.flowrun("profile", path, "--input-only", "--steps", 2, "--json").stdout)
        self.assertEqual(measured["images"], 4)
        (self.folder / "list.tsv").write_text("".join(f"{file}\t0\t0\t0\t0\t0\n" for file in bench.images_of(self.folder / "data")))
        done = subprocess.run([sys.executable, PERF / "input/peers.py", self.folder / "list.tsv", "dino", "u8", "1", "32"], input="go\n", text=True,
                              capture_output=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(json.loads(done.stdout)["images"], 4)


if __name__ == "__main__":
    support.main()
