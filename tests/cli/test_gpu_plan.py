"""tools/gpu where there is no GPU: the kit's size and libraries, and its plans rehearsed on the CPU. The kit runs as on a bare
machine: in another folder, with an empty environment but a Python that has torch, and with a made-up CIFAR-10."""
import io
import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import unittest

import support
from PIL import Image

sys.path.insert(0, str(support.ROOT / "tools"))
from gpu_kit import pack, places  # noqa: E402

BUILD = support.FLOWRUN.resolve().parents[1]
CHECKS = ["load", "kernels", "probe", "training", "race", "capture", "pretrain", "step-s", "step-b", "step-l", "profile", "decode", "cifar"]


def make_cifar(file, classes=2, count=48):
    """Two classes of colours, as JPEGs in the archive's folders."""
    with tarfile.open(file, "w:xz") as tar:
        for split in ("train", "test"):
            for number in range(classes):
                for i in range(count):
                    draw, data = random.Random(f"{split} {number} {i}"), io.BytesIO()
                    Image.frombytes("RGB", (8, 8), bytes(draw.randrange(128) + 100 * number for _ in range(192))).resize((32, 32)).save(data, "JPEG")
                    info = tarfile.TarInfo(f"{split}/class{number}/{i}.jpg")
                    info.size = len(data.getvalue())
                    tar.addfile(info, io.BytesIO(data.getvalue()))


def read(out):
    return [json.loads(line) for line in (out / "summary.jsonl").read_text().splitlines()]


def processes_of(session):
    found = []
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            words = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if words[0] != "Z" and int(words[3]) == session:
            found.append(stat.parent.name)
    return found


@unittest.skipUnless((BUILD / "bin/libflowrun_cuda.so").exists() and (BUILD / "tests/test_gpu").exists(), "Flowrun was built without CUDA")
class GpuPlan(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="flowrun-gpu-plan-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        cls.kit, cls.work = cls.folder / "kit", cls.folder / "work"
        done = subprocess.run([sys.executable, support.ROOT / "tools/gpu", "pack", cls.kit, "--data", support.SHARED / "data"], text=True, capture_output=True)
        assert done.returncode == 0, done.stdout + done.stderr
        print(done.stdout)
        cls.size = sum(path.stat().st_size for path in cls.kit.rglob("*") if path.is_file())
        make_cifar(cls.kit / places.CIFAR)

    def start(self, out, *words, **environment):
        bare = {"PATH": "/usr/bin:/bin", "HOME": str(self.folder), **environment}
        return subprocess.Popen([sys.executable, "-B", self.kit / "gpu", "run", "--rehearse", "--work", self.work, "--out", self.folder / out, *words],
                                cwd=self.folder, env=bare, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)

    def run_plan(self, out, *words, **environment):
        """What it printed, and its lines by check."""
        process = self.start(out, *words, **environment)
        text = process.communicate(timeout=900)[0]
        print(text)
        self.assertLessEqual({path.name for path in (self.folder / out).iterdir()}, {"log.txt", "summary.jsonl", "r.tgz"})
        self.assertEqual((self.folder / out / "log.txt").read_text(), text)
        lines = {}
        for line in read(self.folder / out):
            lines.setdefault(line["check"], []).append(line)
        return lines

    def archive(self, out):
        with tarfile.open(self.folder / out / "r.tgz") as tar:
            return {member.name: tar.extractfile(member).read() for member in tar}

    def test_1_the_kit_is_small_and_complete(self):
        self.assertLessEqual(self.size, 40 << 20)
        for name, part in ((places.CIFAR, support.CIFAR10), (places.PHOTOGRAPHS, support.PHOTOGRAPHS)):
            self.assertEqual((self.kit / name).exists() or name == places.CIFAR, part.exists() or name == places.CIFAR)
        places.unpack(self.kit / "kit.tar.xz", self.folder / "unpacked")
        libraries = self.folder / "unpacked/lib"
        self.assertFalse({path.name.split(".so")[0] for path in libraries.iterdir()} & pack.SYSTEM, "the system's libraries are its own")
        self.assertTrue((libraries / "libnvjpeg.so.13").exists())
        environment = {"PATH": "/usr/bin:/bin", "LD_LIBRARY_PATH": places.library_path()}
        for program in ("flowrun", "libflowrun.so", "libflowrun_cuda.so", "perf_step", "test_gpu"):
            out = subprocess.run(["ldd", self.folder / "unpacked/bin" / program], env=environment, text=True, capture_output=True).stdout
            self.assertNotIn("not found", out.replace("libcuda.so.1 => not found", ""), program)
            for words in (line.split() for line in out.splitlines() if "=>" in line and "not found" not in line):
                path = pathlib.Path(words[2]).resolve()
                known = self.folder / "unpacked" in path.parents or words[0].split(".so")[0] in pack.SYSTEM or any(part in words[2] for part in pack.FOREIGN)
                self.assertTrue(known, f"{program} takes {words[0]} from {words[2]}")

    def test_2_the_first_call_loses_nothing_to_a_check_that_hangs(self):
        lines = self.run_plan("one", "--plan", "1", FLOWRUN_TEST_HANG="pretrain")
        boxes = {name.removeprefix("box-"): line[0] for name, line in lines.items() if name.startswith("box-")}
        self.assertEqual(sorted(boxes), sorted(CHECKS))
        self.assertEqual([name for name, box in boxes.items() if box["cut"]], ["pretrain"])
        self.assertLess(boxes["pretrain"]["seconds"], 20, "asked to end after 2 s, killed 2 s later")
        bad = {name: box["status"] for name, box in boxes.items() if box["status"] != 0 and name != "pretrain"}
        self.assertEqual(bad, {}, lines)
        for name in ("load", "same", "precision", "race", "decode", "cifar") if support.PHOTOGRAPHS.is_dir() else ("load", "same", "precision", "race", "cifar"):
            self.assertTrue(any(line.get("holds") for line in lines[name]), name)
        for name in ("kernels", "graphs", "capture", "nvjpeg", "probe-captured_event", "probe-copies"):
            self.assertIn("skipped", lines[name][0], name)
        programs = {line["step"]["program"]: line["step"] for line in lines["step-s"]}
        self.assertEqual(set(programs), {"flowrun", "flowrun, played", "eager"})
        self.assertIn("recording", programs["flowrun, played"]["failed"], "a refused recording is a row that says why")
        self.assertGreater(programs["eager"]["ms"], 0)
        self.assertEqual({line["evaluation"] for line in lines["cifar"] if "evaluation" in line}, {"knn", "linear"})
        files = self.archive("one")
        for name in ("gpu/metrics.jsonl", "gpu/stats.json", "race.txt", "cifar/evaluations.jsonl"):
            self.assertTrue(files.get(name), f"{name} of {sorted(files)}")

    def test_3_the_second_call_goes_on_and_looks_at_what_failed(self):
        if not (self.work / "plan-1.jsonl").exists():
            self.skipTest("the first call did not run")
        lines = self.run_plan("two", "--plan", "2")
        self.assertTrue(lines["cifar-on"][-1]["holds"] and lines["cifar-on"][-1]["resumed"], lines)
        self.assertEqual({(line["evaluation"], line["epoch"]) for line in lines["cifar-on"] if "evaluation" in line} >= {("knn", 4), ("linear", 4)}, True)
        for variant in ("pretrain-no-graphs", "pretrain-no-side-stream"):
            self.assertTrue(lines[variant][-1]["holds"], variant)

    def test_4_a_kill_leaves_what_is_known(self):
        process = self.start("three", "--plan", "3")
        summary = self.folder / "three/summary.jsonl"
        support.wait_until(lambda: process.poll() is not None or summary.exists() and "box-load" in summary.read_text(), 600)
        support.wait_until(lambda: process.poll() is not None or (self.folder / "three/r.tgz").exists(), 600)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        self.assertIn("load/metrics.jsonl", self.archive("three"))
        self.assertTrue(any(line.get("holds") for line in read(self.folder / "three")))
        support.wait_until(lambda: not processes_of(process.pid), 20)
        self.assertEqual(processes_of(process.pid), [], "checks end with the plan")

    def test_5_a_backward_pass_on_the_cpu_hides_no_gpu(self):
        """With a driver that shows no GPU: test_gpu opens the module before LibTorch asks for CUDA."""
        driver = self.folder / "driver"
        driver.mkdir()
        subprocess.run(["cc", "-shared", "-o", driver / "libcuda.so.1", "-x", "c", "/dev/null"], check=True)
        done = subprocess.run([BUILD / "tests/test_gpu", "--gtest_filter=Kernels.CudaIsThereAfterABackwardPassOnTheCpu"], text=True, capture_output=True,
                              env={**os.environ, "LD_LIBRARY_PATH": str(driver)})
        self.assertIn("[       OK ] Kernels.CudaIsThereAfterABackwardPassOnTheCpu", done.stdout)

    def test_6_what_the_kit_lacks_is_said(self):
        out = subprocess.run([sys.executable, "-c", "import pathlib, sys; sys.path.insert(0, sys.argv[1]); from gpu_kit import pack; here = pathlib.Path(sys.argv[2]); "
                              "pack.pack_cifar(here, here / 'a'); pack.pack_photographs(here, here / 'b')", support.ROOT / "tools", self.folder / "driver"],
                             text=True, capture_output=True, check=True).stdout
        self.assertIn("no CIFAR-10: there is no", out)
        self.assertIn("no photographs:", out)

    def test_7_a_python_without_torch_is_told_so(self):
        bare = {"PATH": "/usr/bin:/bin", "HOME": str(self.folder)}
        python = pathlib.Path(sys.base_prefix) / "bin/python3"
        if subprocess.run([python, "-c", "import torch"], env=bare, capture_output=True).returncode == 0:
            self.skipTest("the Python behind the environment has torch, too")
        done = subprocess.run([python, "-B", self.kit / "gpu", "run", "--rehearse", "--plan", "1", "--work", self.work, "--out", self.folder / "four"],
                              cwd=self.folder, env=bare, text=True, capture_output=True)
        self.assertEqual(done.returncode, 1)
        lines = read(self.folder / "four")
        self.assertIn("this Python has no torch", json.dumps(lines))
        self.assertEqual([line["check"] for line in lines if line["check"].startswith("box-")], ["box-load"], "nothing else runs")


if __name__ == "__main__":
    support.main()
