"""The benchmarks of methods: both sides run at tiny size, train equally many parameters, and the crops of the input are those of the methods."""
import argparse
import contextlib
import importlib.util
import io
import json
import re
import shlex
import shutil
import subprocess
import sys
from unittest import mock

import numpy as np
from PIL import Image

import support

PERF = support.ROOT / "tests/perf"


def load(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def load_input_bench():
    return load(PERF / "input/compare.py")


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

    def whole(self, *words, status=0):
        done = subprocess.run([sys.executable, support.ROOT / "tools/bench", "whole", *map(str, words)], text=True, capture_output=True)
        self.assertEqual(done.returncode, status, done.stderr)
        return done.stdout if status == 0 else done.stderr

    def draw_photographs(self, count):
        (self.folder / "data").mkdir()
        for index in range(count):
            pixels = np.random.default_rng(index).integers(0, 255, (60, 80, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(self.folder / f"data/{index}.jpg")
        return self.folder / "data"

    def test_whole_runs_beside_the_code_of_a_method(self):
        """Beside stand-ins for the methods' own code, which are started in the same way and train equally many parameters."""
        data = self.draw_photographs(5)
        shape = {"image": 96, "patch": 8, "width": 24, "depth": 2, "heads": 2, "narrow": 16, "narrow_depth": 1}
        for method in ("ijepa", "mae"):
            with self.subTest(method):
                peer = support.ROOT / "tests/support/peers" / method
                words = ("--peer", peer, "--images", data, "--flowrun", support.FLOWRUN, "--python", sys.executable, "--batch", 4, "--threads", 1,
                         "--rounds", 1, "--steps", 2, "--shape", json.dumps(shape))
                line = json.loads(self.whole(*words, "--json"))
                self.assertEqual(line["method"], method, "the folder says which one it is")
                self.assertGreater(line["parameters"], 10_000)
                self.assertEqual(len(line["rounds"]), 2)
                for side, taken in line["rounds"].items():
                    self.assertEqual(len(taken), 1, side)
                    for name in ("images_per_second", "cpu_ms", "peak_mib"):
                        self.assertGreater(taken[0][name], 0, (side, name))
                ours, theirs = (taken[0]["images_per_second"] for taken in line["rounds"].values())
                self.assertAlmostEqual(line["ratios"]["images_per_second"][0], ours / theirs)
        # A peer with another model is no twin.
        other = self.folder / "other"
        shutil.copytree(support.ROOT / "tests/support/peers/mae", other)
        models = other / "models_mae.py"
        models.write_text(models.read_text().replace("torch.nn.Linear(embed_dim, decoder_embed_dim)", "torch.nn.Linear(embed_dim, decoder_embed_dim, bias=False)"))
        words = ("--peer", other, *words[2:])
        self.assertRegex(self.whole(*words, status=1), r"the models differ: Flowrun trains (\d+) parameters, MAE's own code \d+")
        # A peer that fails says why.
        models.write_text("raise ImportError('timm is too new')")
        self.assertRegex(self.whole(*words, status=1), r"the code of MAE failed with status 1:\n[^$]*timm is too new")

    def test_whole_says_first_what_is_missing(self):
        data, empty = self.draw_photographs(3), self.folder / "empty"
        empty.mkdir()
        text = self.whole("--peer", empty, status=1)
        self.assertIn(f"bench: --peer {empty} is not a checkout of the code of I-JEPA or MAE", text)
        self.assertIn(f"git clone https://github.com/facebookresearch/mae {empty}", text)
        self.assertIn("is not a checkout of the code of I-JEPA: no such folder", self.whole("--peer", self.folder / "none", "--method", "ijepa", status=1))
        peer = support.ROOT / "tests/support/peers/mae"
        self.assertIn("I-JEPA: it lacks src/train.py, src/models/vision_transformer.py", self.whole("--peer", peer, "--method", "ijepa", status=1))
        self.assertIn("invalid choice: 'dino'", self.whole("--peer", peer, "--method", "dino", status=2))
        self.assertIn("--steps must be at least 1", self.whole("--peer", peer, "--steps", 0, status=2))
        self.assertIn("has 3 JPEG files, and a batch needs 16: give another folder, or a smaller --batch", self.whole("--peer", peer, "--images", data, status=1))
        words = ("--peer", peer, "--images", data, "--batch", 2)
        self.assertIn("build first", self.whole(*words, "--flowrun", self.folder / "none", status=1))
        self.assertIn("bench: --shape: MAE has no widht; it has image, patch, width",
                      self.whole(*words, "--flowrun", support.FLOWRUN, "--shape", '{"widht": 8}', status=1))
        bare = self.folder / "bare"
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", bare], check=True)
        self.assertRegex(self.whole(*words, "--flowrun", support.FLOWRUN, "--python", bare / "bin/python", status=1),
                         r"lacks torch, torchvision, timm, tensorboard, which MAE's code imports; tools/setup --test")

    def test_a_peer_that_cannot_run_is_named_and_the_others_go_on(self):
        files = sorted(self.draw_photographs(3).iterdir())
        listed = self.folder / "list.tsv"
        listed.write_text("".join(f"{file}\t10\t5\t40\t30\t{index % 2}\n" for index, file in enumerate(files)))
        bench = load_input_bench()
        # An environment without the peers' own folders.
        python = self.folder / "venv/bin/python"
        python.parent.mkdir(parents=True)
        python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
        python.chmod(0o755)
        bench.setup, bench.BUILD = lambda what: self.folder / "venv", support.FLOWRUN.parents[1]
        args = argparse.Namespace(float=False, side=32, only=["dataloader", "torchvision_io", "spdl", "ffcv"])
        said = io.StringIO()
        with contextlib.redirect_stderr(said):
            peers = bench.Peers(["dataloader", "spdl", "ffcv"], listed, "u8", 32)
        fault = "No module named '{0}': tools/setup --bench installs it, or says why it can't"
        self.assertEqual(said.getvalue().splitlines(), [f"bench: {name} will not run: {fault.format(name)}" for name in ("spdl", "ffcv")])
        # One that fails only later, as the file is gone that it reads.
        process = peers.process
        peers.process = lambda path, name, *words: process(self.folder / "none.tsv" if name == "torchvision_io" else path, name, *words)
        result = bench.measure(1, bench.contenders(args, {"plain": listed}, self.folder, 1, peers), 1, peers.missing)
        table = bench.table(result)
        self.assertIn(f"| spdl | did not run: {fault.format('spdl')} | | |", table)
        self.assertRegex(table, r"\| torchvision_io \| did not run: FileNotFoundError: .*none\.tsv")
        self.assertRegex(table, r"\| floor \| \d+ \(\d+–\d+\) \| 1\.00 \| \d+ \|")
        self.assertRegex(table, r"\| dataloader \| \d+ \(\d+–\d+\) \| \d+\.\d\d \| \d+ \|")

    def test_the_parts(self):
        bench = lambda *words: subprocess.run([sys.executable, support.ROOT / "tools/bench", *words], text=True, capture_output=True)
        for words, said in (((), "a part is missing"), (("wole",), "there is no part 'wole'")):
            done = bench(*words)
            self.assertEqual(done.returncode, 1)
            self.assertEqual(done.stderr, f"bench: {said}: choose one of input, step, kernels, whole, busy, all; tools/bench --help says what they measure\n")
        for part in ("input", "whole", "busy", "all"):
            self.assertIn(f"usage: tools/bench {part}", bench(part, "--help").stdout)
            self.assertIn(f"tools/bench {part} ", bench("--help").stdout)

    def test_busy_compares_a_run_alone_and_beside_loops(self):
        words = ("--rounds", "1", "--steps", "60", "--loops", "1", "--ways", "by load", "sleeps")
        done = subprocess.run([sys.executable, PERF / "busy/busy.py", support.FLOWRUN, *words], text=True, capture_output=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        said = done.stdout
        for way in ("by load", "sleeps"):
            alone, beside, share, part = re.search(rf"\| {way} \| (\d+) \(.*?\) \| not measured \| (\d+) \(.*?\) \| (\d\.\d\d) \| (\d+\.\d\d) \|", said).groups()
            self.assertGreater(int(alone), 0)
            self.assertTrue(0 < float(share) <= 1.05, said)  # of all cores
            self.assertAlmostEqual(float(part), int(beside) / int(alone) / float(share), delta=0.05 * float(part) + 0.01)

    def all(self, module, *words):
        """A call of tools/bench all with the parts of `module`: exit status, and what it said."""
        said = io.StringIO()
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(said), mock.patch("sys.argv", ["all", *map(str, words)]):
            try:
                status = module.main()
            except SystemExit as end:
                status = end.code
        return status, said.getvalue()

    def test_all_parts_make_one_page(self):
        bench, out = load(PERF / "all.py"), self.folder / "out"
        count = self.folder / "count"
        table = f"print('| a | b |'); print('|---|---|'); print('| 1 | 2 |'); open({str(count)!r}, 'a').write('x')"
        bench.PARTS = {"table": (2, shlex.join([sys.executable, "-c", table])),
                       "fails": (3, shlex.join([sys.executable, "-c", "import sys; print('so far'); sys.exit('no such thing')"])),
                       "text": (1, "echo {photographs}"), "other": (4, "echo {mae}")}
        bench.commit, bench.machine = lambda: "abc", lambda: "2 cores of a kind"
        bench.busy_cores = lambda: 0.5
        words = ("--out", out, "--photographs", self.folder)
        status, said = self.all(bench, *words)
        self.assertEqual(status, 1, said)
        for line in ("other is left out: --mae (a clone of facebookresearch/mae) is not given", "1 of 3, table: about 2 of 6 minutes",
                     "other programs used 0.5 cores before table: only its ratios count",
                     "fails failed with status 1: no such thing", "3 of 3, text: about 1 of 1 minutes"):
            self.assertIn("bench all: " + line, said)
        page = (out / "results.md").read_text()
        self.assertIn("Commit abc; 2 cores of a kind.", page)
        self.assertRegex(page, r"## table\n\n    .*\n\n\d{4}-\d\d-\d\d \d\d:\d\d, \d+ s; other programs used \d+\.\d cores just before\.\n\n\| a \| b \|\n\|---\|---\|")
        self.assertIn("## fails", page)
        self.assertIn("Failed with status 1: no such thing", page)
        self.assertIn(f"```\n{self.folder}\n```", page)
        self.assertIn("## other\n\nLeft out: --mae", page)
        self.assertEqual((out / "fails.txt").read_text(), "so far\nno such thing\n")
        # Repeated, it tries the failed part again, and only that; --only measures again.
        bench.PARTS["fails"] = (3, "echo mended")
        status, said = self.all(bench, *words)
        self.assertEqual((status, count.read_text()), (0, "x"), said)
        self.assertIn("1 of 1, fails: about 3 of 3 minutes", said)
        page = (out / "results.md").read_text()
        self.assertNotIn("Failed", page)
        self.assertLess(page.index("## table"), page.index("## fails"))
        self.assertLess(page.index("## fails"), page.index("## text"))
        self.assertEqual(self.all(bench, *words, "--only", "table")[0], 0)
        self.assertEqual(count.read_text(), "xx")
        # Results of two commits don't stand on one page.
        bench.commit = lambda: "def"
        status, said = self.all(bench, *words)
        self.assertIn("has results of another commit, abc; this is def: give another --out", str(status))
        self.assertIn("--mae none: no such folder", self.all(bench, *words, "--mae", "none")[1])

    def test_all_lists_commands_that_exist(self):
        bench = load(PERF / "all.py")
        said = self.all(bench, "--list")[1]
        self.assertEqual([line.split()[0] for line in said.splitlines()], list(bench.PARTS))
        for name, (minutes, command) in bench.PARTS.items():
            self.assertGreater(minutes, 0)
            program, *words = command.split()
            if program == "tools/bench":  # its part knows every option
                path = {"input": "input/compare.py", "step": "step/methods.py" if "--method" in words else "step/compare.py", "whole": "whole/compare.py"}
                if words[0] in path:
                    text = (PERF / path[words[0]]).read_text()
                    for option in (word for word in words if word.startswith("--")):
                        self.assertIn(f'"{option}"', text, name)

    def test_dino_crops_beside_their_own_transform(self):
        for index in range(4):
            pixels = np.random.default_rng(index).integers(0, 255, (60, 80, 3), dtype=np.uint8)
            (self.folder / "data/a").mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(self.folder / f"data/a/{index}.jpg")
        bench = load_input_bench()
        args = argparse.Namespace(data=self.folder / "data", side=32, batch=2, epochs=2)
        path = self.write(bench.multi_crop_pipeline(args))
        measured = json.loads(self.flowrun("profile", path, "--input-only", "--steps", 2, "--json").stdout)
        self.assertEqual(measured["images"], 4)
        (self.folder / "list.tsv").write_text("".join(f"{file}\t0\t0\t0\t0\t0\n" for file in bench.images_of(self.folder / "data")))
        done = subprocess.run([sys.executable, PERF / "input/peers.py", self.folder / "list.tsv", "dino", "u8", "1", "32"], input="go\n", text=True,
                              capture_output=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(json.loads(done.stdout)["images"], 4)

    def test_crops_are_measured_without_their_peer(self):
        bench = load_input_bench()
        answer = "print('{\"images\": 4, \"seconds\": 2, \"peak_mib\": 1}', flush=True) if input() else 0"
        makers = {"flowrun": lambda: bench.Process([sys.executable, "-c", f"while True: {answer}"]),
                  "peer": lambda: bench.Process([sys.executable, "-c", "raise ImportError('no torch')"])}
        table = bench.multi_crop_table(argparse.Namespace(side=224), bench.measure(2, makers, 1, {}))
        self.assertEqual(table, "\n| 1 thread, 2 crops of 224 and 8 of 96 pixels | pictures/s, median (range) |\n|---|---|\n"
                                "| flowrun | 2.0 (2.0–2.0) |\n| peer | did not run: ImportError: no torch |")


if __name__ == "__main__":
    support.main()
