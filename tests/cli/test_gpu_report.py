"""tools/gpu report on a made-up record: the numbers below were measured nowhere, they only have the form of those that a GPU
would give."""
import io
import json
import pathlib
import subprocess
import sys
import tarfile
import tempfile
import unittest

import support

GPU = {"name": "Made-up GPU", "driver_version": "1.2", "memory.total": "81559", "clocks.max.sm": "1980"}


def step(size, program, ms, share=0.3, **more):
    batch = 128 if size == "l" else 256
    facts = {"size": size, "batch": batch, "device": "cuda", "precision": "bf16", "threads": 1, "gflop_an_image": 100.0, "teachers_share_of_flop": share}
    if isinstance(ms, str):
        return {**facts, "program": program, "failed": ms}
    return {**facts, "program": program, "ms": ms, "fastest_ms": ms - 1, "slowest_ms": ms + 1, "of_the_peak": 0.5 / ms * 24, "peak_mib": 20000.0, **more}


def box(check, status=0, cut=False, seconds=9.5):
    return {"check": f"box-{check}", "status": status, "seconds": seconds, "limit": 50, "cut": cut}


PARTS = {"teacher": 7.0, "targets": 1.0, "student": 4.0, "predictor": 5.0, "loss": 0.5, "backward": 10.0, "adamw": 1.0, "ema": 0.5}
FIRST = [
    {"check": "load", "holds": True, "what": "torch is 2.11.0", "torch": "2.11.0"},
    {"check": "load", "holds": True, "what": "there", "gpu": GPU},
    box("load"),
    {"check": "kernels", "holds": False, "what": "the case table of kernels (see kernels.txt)"},
    box("kernels", 1),
    {"check": "probe", "what": "x", "probe": "captured_event", "facts": {"wait": "None", "query": "RuntimeError: 907"}},
    {"check": "same", "holds": True, "what": "ledgers of GPU and CPU are equal"},
    {"check": "graphs", "holds": True, "what": "played", "groups": {"submitted": 10, "recorded": 7, "played": 190}},
    box("training"),
    {"check": "pretrain", "what": "120 steps", "holds": True, "groups": {"submitted": 60, "recorded": 20, "played": 180}, "gpu_mib": 41000.0},
    box("pretrain"),
    {"check": "step-s", "what": "", "step": step("s", "flowrun", 24.0, parts_ms=PARTS)},
    {"check": "step-s", "what": "", "step": step("s", "flowrun, played", 20.0)},
    {"check": "step-s", "what": "", "step": step("s", "eager", 30.0)},
    {"check": "step-s", "what": "", "step": step("s", "graphs", "CUDA out of memory")},
    {"check": "step-l", "what": "", "step": step("l", "flowrun", 24.0)},
    {"check": "step-l", "what": "", "step": step("l", "compile", 21.6)},
    box("step-l", 124, True, 75.2),
    {"check": "profile", "what": "", "profile": {"images_per_second": 9800, "device_alone": 10000, "input_alone": 20000, "waits_for_gpu_per_step": 0.02,
                                                 "groups": {"played": 90, "submitted": 10}}},
    {"check": "nvjpeg", "skipped": "there is no libnvjpeg.so.13"},
    {"check": "decode", "what": "", "decoder": "nvJPEG", "images_per_second": 5000.0},
    {"check": "decode", "what": "", "decoder": "image.decode", "images_per_second": 4000.0},
]
CURVE = [{"node": "knn", "step": 0, "epoch": 0, "accuracy": 0.3}, {"node": "knn", "step": 100, "epoch": 50, "accuracy": 0.71},
         {"node": "linear", "step": 100, "epoch": 50, "accuracy": 0.7}]


class GpuReport(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="flowrun-gpu-report-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def record(self, name, lines, files=None):
        folder = self.folder / name
        folder.mkdir()
        text = "".join(json.dumps({"plan": 1, "at": 1.0, **line}) + "\n" for line in lines)
        (folder / "summary.jsonl").write_text(text + '{"plan": 1, "check": "bro')  # a line that was broken off
        with tarfile.open(folder / "r.tgz", "w:gz") as tar:
            for file, entries in (files or {}).items():
                data = "".join(json.dumps(entry) + "\n" for entry in entries).encode()
                info = tarfile.TarInfo(file)
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
        return folder

    def report(self, *folders):
        return subprocess.run([sys.executable, support.ROOT / "tools/gpu", "report", *folders], check=True, text=True, stdout=subprocess.PIPE).stdout

    def test_tables_have_what_was_measured_beside_what_was_expected(self):
        text = self.report(self.record("one", FIRST, {"cifar/evaluations.jsonl": CURVE}))
        for line in (
            "Made-up GPU, 81559 MiB, driver 1.2, torch 2.11.0.",
            "| kernels | **fails** | the case table of kernels (see kernels.txt) | 10 |",
            "| step-l | **fails** | cut, its time was over | 75 |",
            "| nvjpeg | left out | there is no libnvjpeg.so.13 |  |",
            "| ViT-S | 256 | flowrun | 24.0 (23.0–25.0) | 22–26 | 10667 | 1.20 |  | 50.0% | 20000 |",
            "| ViT-S | 256 | eager | 30.0 (29.0–31.0) |  | 8533 | 1.50 | 1.2: met | 40.0% | 20000 |",
            "| ViT-S | 256 | graphs | did not run: CUDA out of memory |  |  |  |  |  |  |",
            "| ViT-L | 128 | compile | 21.6 (20.6–22.6) |  | 5926 | 0.90 | 1: **missed** | 55.6% | 20000 |",
            "MFU of ViT-L: 50.0%; the aim is 42%: met.",
            "| ViT-S | 24.1% | 3.4% | 13.8% | 17.2% | 1.7% | 34.5% | 3.4% | 1.7% | 33.0%: met | 2%: **missed** |",
            "| graphs | 190 | 10 | 95.0% |  |  |",
            "| pretrain | 180 | 60 | 75.0% | 41000 |  |",
            "| profile | 90 | 10 | 90.0% |  |  |",
            "| 9800 | 10000 | 20000 | 0.980 | 0.97: met | 0.020 | 0.01: **missed** |",
            "| nvJPEG | 5000 |",
            "| cifar | knn | 50 | 71.00% |  |",  # from the archive: the summary has no evaluation
            '| captured_event | `{"wait": "None", "query": "RuntimeError: 907"}` |',
        ):
            self.assertIn(line + "\n", text + "\n")

    def test_runs_of_several_calls_are_compared(self):
        ours = [{"check": "cifar-bootleg", "what": "", "evaluation": name, "epoch": 700, "accuracy": value} for name, value in (("knn", 0.85), ("linear", 0.89))]
        ours.append({"check": "cifar-bootleg", "what": "", "holds": True, "epochs": 700, "epoch": 700.0, "images_per_second": 90000.0, "ms_a_group": 2.8, "groups": {}})
        theirs = [{"check": "cifar-ijepa", "what": "", "evaluation": "linear", "epoch": 700, "accuracy": 0.85}]
        text = self.report(self.record("three", ours), self.record("four", theirs))
        self.assertIn("| cifar-bootleg | linear | 700 | 89.00% | 88%: met |", text)
        self.assertIn("cifar-bootleg: 700.0 of 700 epochs, 90000 images/s, 2.8 ms a group of 256 (expected: 2–3 played, 5–7 submitted).", text)
        self.assertIn("linear: 4.0 points over I-JEPA's target; the aim is 5: **missed**.", text)

    def test_nothing_came_back(self):
        folder = self.folder / "none"
        folder.mkdir()
        self.assertEqual(self.report(folder).strip(), "No GPU was seen.")


if __name__ == "__main__":
    support.main()
