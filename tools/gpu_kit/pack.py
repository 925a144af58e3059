"""tools/gpu pack: the files that a machine with a GPU, Python, torch and a driver needs to run Flowrun, as small as possible."""
import lzma
import pathlib
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile

from gpu_kit import places

ROOT = places.SCRIPTS.parent
MOST = 40 << 20
PHOTOGRAPHS = 40
SOURCES = ["tests/perf/step/compare.py", "tests/perf/step/eager.py", "tests/reference/twin.py"]
# Every system has these, and newer ones than ours would be hidden from other programs. torch and CUDA are the other Python's.
SYSTEM = {"ld-linux-x86-64", "libc", "libm", "libdl", "libpthread", "librt", "libutil", "libresolv", "libanl", "libstdc++", "libgcc_s", "libz"}
FOREIGN = ("/torch/", "/nvidia/")


def libraries(program):
    """Name and path of the libraries of a program that other machines may lack."""
    out = subprocess.run(["ldd", program], check=True, text=True, stdout=subprocess.PIPE).stdout
    for line in out.splitlines():
        words = line.split()
        if len(words) >= 3 and words[2].startswith("/") and words[0].split(".so")[0] not in SYSTEM and not any(part in words[2] for part in FOREIGN):
            yield words[0], pathlib.Path(words[2])


def built(build):
    """The programs of a release build."""
    missing = [name for name in ("bin/flowrun", "bin/libflowrun.so", "bin/libflowrun_cuda.so", "bin/perf_step", "tests/test_gpu") if not (build / name).exists()]
    if missing:
        sys.exit(f"error: {build} lacks {', '.join(missing)}: build first (tools/test does), on a machine with the CUDA 13.0 toolkit")
    return [build / "bin/flowrun", build / "bin/libflowrun.so", build / "bin/libflowrun_cuda.so", build / "bin/perf_step", build / "tests/test_gpu"]


def stage(folder):
    """bin, lib, pipelines and the scripts of benchmarks."""
    build = ROOT / "build/release"
    programs = built(build)
    # CMake strips them, and lets them look for libraries in ../lib.
    subprocess.run(["cmake", "--install", build, "--prefix", folder, "--component", "gpu_kit", "--strip"], check=True, stdout=subprocess.DEVNULL)
    (folder / "lib").mkdir()
    for program in programs:
        for name, path in libraries(program):
            if name != "libflowrun.so":
                shutil.copy(path, folder / "lib" / name)
    venv = re.search(r"^FLOWRUN_VENV:PATH=(.*)$", (build / "CMakeCache.txt").read_text(), re.M)[1]
    shutil.copy(next(pathlib.Path(venv).glob("lib/python3*/site-packages/nvidia/cu13/lib/libnvjpeg.so.13")), folder / "lib")
    for library in (folder / "lib").iterdir():
        subprocess.run(["strip", "-s", library], check=True)
    for path in SOURCES:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / path, folder / path)
    shutil.copytree(ROOT / "pipelines", folder / "pipelines")


def compress(folder, file):
    """x86 code packs better with its calls turned into addresses."""
    filters = [{"id": lzma.FILTER_X86}, {"id": lzma.FILTER_LZMA2, "preset": 1, "dict_size": 64 << 20}]
    with lzma.open(file, "w", filters=filters) as out, tarfile.open(fileobj=out, mode="w|") as tar:
        for path in sorted(folder.iterdir()):
            tar.add(path, path.name)


def pack_photographs(data, file):
    """Some of many, evenly spread."""
    paths = sorted(path for path in (data / "imagenet-sample").rglob("*") if path.suffix.lower() in (".jpg", ".jpeg"))
    if not paths:
        return print(f"no photographs: {data / 'imagenet-sample'} has none, so nvJPEG's speed won't be measured")
    with tarfile.open(file, "w") as tar:
        for i in range(min(PHOTOGRAPHS, len(paths))):
            path = paths[i * len(paths) // min(PHOTOGRAPHS, len(paths))]
            tar.add(path, path.name)


def pack_cifar(data, file):
    archive = data / places.CIFAR
    if not archive.exists():
        return print(f"no CIFAR-10: there is no {archive}, so nothing will be learnt about quality")
    shutil.copyfile(archive, file)


def pack(folder, data=None):
    data = data or ROOT.parent / "shared/data"
    if folder.exists() and not (folder / "gpu").exists() and any(folder.iterdir()):
        sys.exit(f"error: {folder} holds something else than a kit")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    with tempfile.TemporaryDirectory(prefix="flowrun-kit-") as work:
        stage(pathlib.Path(work))
        compress(pathlib.Path(work), folder / places.KIT.name)
    pack_photographs(data, folder / places.PHOTOGRAPHS)
    pack_cifar(data, folder / places.CIFAR)
    shutil.copy(places.SCRIPTS / "gpu", folder)
    shutil.copytree(places.SCRIPTS / "gpu_kit", folder / "gpu_kit", ignore=shutil.ignore_patterns("__pycache__"))
    sizes = {path.name: sum(file.stat().st_size for file in ([path] if path.is_file() else path.iterdir())) for path in sorted(folder.iterdir())}
    for name, size in sizes.items():
        print(f"{size / 2**20:6.1f} MiB  {name}")
    whole = sum(sizes.values())
    print(f"{whole / 2**20:6.1f} MiB  {folder}")
    if whole > MOST:
        sys.exit(f"error: that is more than the {MOST >> 20} MiB that a kit may have")
    return 0
