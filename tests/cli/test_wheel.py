"""The wheel of this build: what is in it, and that it runs in an environment of its own, with nothing of this machine but the
C library's family. torch and oneTBB are links to those that the tests have.

The Python module is tried with the interpreters on PATH; FLOWRUN_PYTHONS=PROGRAM:… names others."""
import json
import os
import pathlib
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import unittest
import zipfile

import support
import test_formats

sys.path.insert(0, str(support.ROOT))
from tools.wheel_kit import pythons  # noqa: E402

BUILD = support.FLOWRUN.resolve().parents[1]
SITE = pathlib.Path(sys.prefix) / f"lib/python3.{sys.version_info[1]}/site-packages"
# Libraries of a bare system; torch asks for the same.
SYSTEM = {"linux-vdso.so.1", "ld-linux-x86-64.so.2", "libc.so.6", "libm.so.6", "libdl.so.2", "libpthread.so.0", "librt.so.1", "libutil.so.1",
          "libgcc_s.so.1", "libstdc++.so.6", "libz.so.1"}
NAMED = [name for name in os.environ.get("FLOWRUN_PYTHONS", "").split(":") if name]
BARE = {"PATH": "/usr/bin:/bin", "OMP_WAIT_POLICY": "passive"}


def run(*words, status=0, **options):
    done = subprocess.run(list(map(str, words)), text=True, capture_output=True, timeout=600, **options)
    assert done.returncode == status, f"{' '.join(map(str, words))}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


# Prints a hash of decoded pictures for each turn: by the module, or by Pillow and torchvision.
BOTH = """
import hashlib, os, pathlib, sys
files = sorted(pathlib.Path("data").iterdir())

def ours():
    import flowrun
    for batch in flowrun.open("pipeline.json", arrays="numpy"):
        yield batch["batch.image"].tobytes()

def theirs():
    import PIL.Image, torchvision
    for file in files:
        yield PIL.Image.open(file).convert("RGB").tobytes()
        if file.suffix in (".jpg", ".png"):
            yield torchvision.io.decode_image(str(file)).numpy().tobytes()

for turn in sys.argv[1].split(","):
    if turn == "offer":  # what plug-ins and the CUDA module do: the symbols of all our libraries are seen by what is loaded later
        import ctypes, flowrun
        ctypes.CDLL(os.path.dirname(flowrun.__file__) + "/bin/libflowrun.so", os.RTLD_NOW | os.RTLD_GLOBAL | os.RTLD_NOLOAD)
        continue
    sum = hashlib.sha256()
    for part in {"ours": ours, "theirs": theirs}[turn]():
        sum.update(part)
    print(sum.hexdigest())
"""


class Wheel(support.Folder):
    @classmethod
    def setUpClass(cls):
        cls.place = pathlib.Path(tempfile.mkdtemp(prefix="flowrun-wheel-")).resolve()
        cls.addClassCleanup(shutil.rmtree, cls.place, ignore_errors=True)
        cls.said = run(support.ROOT / "tools/wheel", "--build", BUILD, "--out", cls.place)
        cls.wheel = pathlib.Path(cls.said.stdout.split()[0])
        cls.environment = cls.place / "env"
        cls.site = cls.new_environment(cls.environment)
        beside = ("torch", "nvidia", "functorch", "torchgen", "pyarrow")  # what the wheel requires, and what it asks for
        for path in (*(SITE / name for name in beside if (SITE / name).exists()), *SITE.glob("torch-*.dist-info")):
            (cls.site / path.name).symlink_to(path)
        for path in pathlib.Path(sys.prefix).glob("lib/libtbb*.so*"):
            (cls.environment / "lib" / path.name).symlink_to(path)
        (cls.site / "what_torch_needs.pth").write_text(f"{SITE}\n")

    @classmethod
    def new_environment(cls, folder, python=sys.executable):
        """A Python with the wheel, and nothing else yet; its site-packages."""
        run(python, "-m", "venv", "--without-pip", folder)
        run(sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", folder / "bin/python", "install", "--no-deps", "--no-index", cls.wheel)
        return next(folder.glob("lib/python3.*/site-packages"))

    def module(self):
        """Whether the wheel holds the Python module for the tests' interpreter."""
        if not list(self.site.glob("flowrun/_core.*")):
            self.skipTest("the build has no Python module")

    def installed(self, *words, status=0, environment=None, **options):
        """The installed program, as a user without any setting of ours starts it."""
        program = (environment or self.environment) / "bin/flowrun"
        return run(program, *words, status=status, cwd=self.folder, env={**BARE, **options.pop("more", {})}, **options)

    def libraries(self, program):
        for line in run("ldd", program, env=BARE).stdout.splitlines():
            words = line.split()
            yield words[0].rpartition("/")[2], words[2] if words[1] == "=>" else words[0]

    def test_what_is_in_it(self):
        files = {info.filename: info for info in zipfile.ZipFile(self.wheel).infolist()}
        size = self.wheel.stat().st_size
        self.assertLess(size, 20 << 20)
        self.assertEqual(self.said.stdout, f"{self.wheel}  {size / 2**20:.1f} MiB\n")
        glibc = re.search(r"needs glibc (\d+)\.(\d+) ", self.said.stderr)
        self.assertEqual(self.wheel.name, f"flowrun-0.1.0-py3-none-manylinux_{glibc[1]}_{glibc[2]}_{os.uname().machine}.whl")
        pipelines = support.ROOT / "pipelines"
        self.assertEqual({name for name in files if name.startswith("flowrun/pipelines/")},
                         {f"flowrun/pipelines/{path.relative_to(pipelines)}" for path in pipelines.rglob("*.json")})
        self.assertLessEqual({"flowrun/hub.py", "flowrun/importers/__main__.py", "flowrun/_core.pyi", "flowrun/py.typed"}, set(files))
        metadata = (self.site / "flowrun-0.1.0.dist-info/METADATA").read_text()
        for line in ("Requires-Dist: torch==2.11.*", "Requires-Dist: tbb==2023.2.*", "Requires-Dist: numpy", "Requires-Python: >=3.11"):
            self.assertIn(f"\n{line}\n", metadata)
        for name in ("LICENSE", "NOTICE"):
            self.assertEqual((self.site / f"flowrun-0.1.0.dist-info/licenses/{name}").read_text(), (support.ROOT / name).read_text())
        notice = (self.site / "flowrun/NOTICE").read_text()
        for path in (self.site / "flowrun/lib").iterdir():
            self.assertTrue(path.name in notice or path.name.startswith("libjbig"), path.name)
        for licence in re.findall(r"licences/\S+\.txt", notice):
            self.assertGreater((self.site / "flowrun" / licence).stat().st_size, 500)
        self.assertEqual((BUILD / "bin/libflowrun_cuda.so").exists(), "flowrun/bin/libflowrun_cuda.so" in files)

    def test_every_library_comes_from_the_environment(self):
        programs = [path for path in (self.site / "flowrun").rglob("*") if path.is_file() and path.read_bytes()[:4] == b"\x7fELF"]
        self.assertGreater(len(programs), 10)
        for program in programs:
            for path in re.findall(r"R(?:UN)?PATH.*\[(.*)\]", run("readelf", "-d", program).stdout):
                for place in path.split(":"):
                    self.assertTrue(place.startswith("$ORIGIN"), f"{program}: {place}")
        for program in (self.site / "flowrun/bin").iterdir():
            for name, path in self.libraries(program):
                self.assertTrue(path.startswith(str(self.environment)) or name in SYSTEM, f"{program.name}: {name} is {path}")

    def test_it_runs_with_the_numbers_of_the_build(self):
        self.assertEqual(self.installed("--version").stdout, self.flowrun("--version").stdout)
        self.assertEqual(run(self.environment / "bin/python", "-m", "flowrun", "--version", env=BARE).stdout, self.flowrun("--version").stdout)
        short = ("--set", "run.steps=6", "--set", "metrics.every=1 step", "--quiet")
        self.installed("quickstart", *short)
        self.flowrun("quickstart", *short, "--out", "build")
        self.assertEqual(self.history("runs/quickstart"), self.history("build"))
        self.assertEqual(json.loads(self.installed("pipelines", "--json").stdout)["folder"], str(self.site / "flowrun/pipelines"))
        self.installed("pipelines", "mine")
        for name in ("pretrain.json", "paper/baselines/mae_b.json", "views.json"):
            self.assertIn("no faults", self.installed("check", f"mine/{name}").stdout)
        # Starts itself again with libflowrun_memory.so.
        self.assertIn("leaks", self.installed("profile", "mine/quickstart.json", "--steps", 3, "--leaks", "--json").stdout)

    def test_its_python_writes_model_graphs(self):
        self.installed(self.write(support.training_pipeline(epochs=1)), "--out", "run")
        said = self.installed("export", "run", "hub", "--pt2").stdout
        self.assertIn("hub/model.pt2: its features differ from Flowrun's by ", said)
        done = run(self.environment / "bin/python", "-m", "flowrun.hub", "hub", cwd=self.folder, env=BARE).stdout
        self.assertIn("hub/model.pt2: features differ", done)

    def test_pictures_of_all_formats(self):
        test_formats.all_kinds(self.folder / "data")
        if support.PHOTOGRAPHS.is_dir():
            photographs = sorted(path for path in support.PHOTOGRAPHS.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg"))
            for path in photographs[::len(photographs) // 16]:
                shutil.copy(path, self.folder / "data/a")
        pipeline = support.data_pipeline(epochs=1)
        pipeline["nodes"]["files"] = {"type": "source.folder", "path": "data"}
        self.write(pipeline)
        self.installed("pipeline.json", "--out", "wheel")
        self.flowrun("pipeline.json", "--out", "build")
        self.assertEqual(self.history("wheel"), self.history("build"))
        self.assertEqual((self.folder / "wheel/contact_sheet.png").read_bytes(), (self.folder / "build/contact_sheet.png").read_bytes())

    def test_jbig_is_left_out(self):
        (self.folder / "data").mkdir()
        tags = {256: 16, 257: 16, 258: 1, 259: 34661, 262: 0, 273: 200, 277: 1, 278: 16, 279: 32}  # 16 x 16 bits, compressed with JBIG
        table = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
        (self.folder / "data/fax.tif").write_bytes((b"II*\0\10\0\0\0" + struct.pack("<H", len(tags)) + table + bytes(4)).ljust(200, b"\0") + bytes(32))
        pipeline = support.data_pipeline(epochs=1)
        pipeline["nodes"]["files"] = {"type": "source.folder", "path": "data"}
        pipeline["nodes"]["batch"].update(size=1, group=1)
        self.assertIn("decoding: JBIG is not in this build\n", self.installed(self.write(pipeline), status=1).stderr)

    def pictures_pipeline(self):
        (self.folder / "data").mkdir()
        for i in range(48):
            test_formats.picture(i, 60, 44).save(self.folder / f"data/{i:02}.{('jpg', 'png', 'webp', 'tif')[i % 4]}")
        pipeline = support.data_pipeline(epochs=1)
        pipeline["nodes"]["files"] = {"type": "source.folder", "path": "data"}
        return self.write(pipeline)

    def test_codecs_of_other_packages_and_ours_do_not_disturb_each_other(self):
        """Pillow and torchvision bring other versions of the same libraries."""
        self.module()
        for library in (self.site / "flowrun/lib").iterdir():
            for line in run("nm", "-D", "--defined-only", library).stdout.splitlines():
                kind, name = line.split()[-2:]
                self.assertTrue(kind == "A" or name.startswith(("flowrun_", "_Z")), f"{library.name} exports {name}")
        self.pictures_pipeline()
        (self.folder / "both.py").write_text(BOTH)
        printed = {order: run(self.environment / "bin/python", "both.py", order, cwd=self.folder, env=BARE).stdout.split()
                   for order in ("ours", "theirs", "theirs,ours,theirs", "ours,offer,theirs,ours")}
        for order, found in printed.items():
            self.assertEqual(found, [printed[one][0] for one in order.split(",") if one != "offer"], order)
        self.assertNotEqual(printed["ours"], printed["theirs"])

    def test_the_module_for_other_versions_of_python(self):
        self.module()
        tried = 0
        for number, program in enumerate(NAMED or [f"python3.{minor}" for minor in range(11, pythons.NEWEST)]):
            kind, _ = pythons.ask(program)
            if kind is None:
                continue
            tried += 1
            folder = self.place / f"version{number}"
            site = self.new_environment(folder, program)
            for name in ("torch", "nvidia", *(path.name for path in SITE.glob("torch-*.dist-info"))):
                (site / name).symlink_to(SITE / name)
            for path in pathlib.Path(sys.prefix).glob("lib/libtbb*.so*"):
                (folder / "lib" / path.name).symlink_to(path)
            script = ("import flowrun, sys; assert flowrun.check(sys.argv[1]) == []; "
                      "flowrun.run(sys.argv[1], out='run', set={'run.steps': 3, 'metrics.every': '1 step'}); print(flowrun.Run('run').ledgers)")
            ledgers = run(folder / "bin/python", "-c", script, self.site / "flowrun/pipelines/quickstart.json", cwd=folder, env=BARE).stdout
            self.assertEqual(ledgers.count(":"), 3, ledgers)
        if not tried:
            self.skipTest("no other Python with headers")

    def test_exit_statuses_and_signals_are_the_programs(self):
        self.assertIn("did you mean", self.installed("check", self.write({"nodes": {"a": {"type": "source.foldr"}}}), status=2).stderr)
        process = subprocess.Popen([self.environment / "bin/flowrun", "quickstart", "--quiet"], cwd=self.folder, env=BARE, stderr=subprocess.DEVNULL)
        self.addCleanup(lambda: (process.kill(), process.wait()))
        self.wait_until(lambda: (self.folder / "runs/quickstart/evaluations.jsonl").exists(), what="the run")
        self.assertEqual(os.readlink(f"/proc/{process.pid}/exe"), str(self.site / "flowrun/bin/flowrun"))
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(60), 75)

    def test_torch_in_another_environment(self):
        site = self.new_environment(self.place / "other")
        lacks = self.installed("--version", environment=self.place / "other", status=1).stderr
        self.assertRegex(lacks, r"^flowrun: error: this Python has no torch \(.*/other/bin/python\): pip install 'torch==2.11.\*'\n$")
        (site / "elsewhere.pth").write_text(f"{SITE}\n")
        self.assertEqual(self.installed("--version", environment=self.place / "other").stdout, "flowrun 0.1.0\n")
        (site / "torch-2.10.0.dist-info").mkdir()
        (site / "torch-2.10.0.dist-info/METADATA").write_text("Metadata-Version: 2.1\nName: torch\nVersion: 2.10.0\n")
        wrong = self.installed("--version", environment=self.place / "other", status=1).stderr
        self.assertEqual(wrong, "flowrun: error: torch is 2.10.0, but this Flowrun was built for 2.11: pip install 'torch==2.11.*'\n")

        self.assertEqual(run(self.place / "other/bin/python", "-c", "import flowrun; flowrun.open", status=1, env=BARE).stderr.splitlines()[-1],
                         "ImportError: torch is 2.10.0, but this Flowrun was built for 2.11: pip install 'torch==2.11.*'")
        shutil.rmtree(site / "torch-2.10.0.dist-info")
        script = "import flowrun, sys; print(len(flowrun.open(sys.argv[1])), flowrun.__file__)"
        done = run(self.place / "other/bin/python", "-c", script, support.ROOT / "pipelines/quickstart.json", env=BARE)
        self.assertEqual(done.stdout.split()[1], str(site / "flowrun/__init__.py"))

    def test_other_build_folders_are_refused(self):
        done = run(support.ROOT / "tools/wheel", "--build", self.folder, status=1)
        self.assertIn("is no build folder", done.stderr)


if __name__ == "__main__":
    support.main()
