"""Paths of programs, pipelines, data and libraries: unpacked from a kit, or in a built source tree."""
import dataclasses
import hashlib
import importlib.util
import os
import pathlib
import shutil
import tarfile
import tempfile

SCRIPTS = pathlib.Path(__file__).resolve().parents[1]  # a kit's folder, or tools/
KIT = SCRIPTS / "kit.tar.xz"
CIFAR = "cifar10-jpeg.tar.xz"
PHOTOGRAPHS = "photographs.tar"


@dataclasses.dataclass
class Places:
    source: pathlib.Path  # has pipelines/ and tests/perf/step/
    bin: pathlib.Path
    test_program: pathlib.Path
    photographs: pathlib.Path  # a folder of JPEGs; may be absent
    cifar: pathlib.Path  # the archive; may be absent

    @property
    def flowrun(self):
        return self.bin / "flowrun"

    def pipeline(self, name):
        return self.source / "pipelines" / name


def work_folder():
    """A folder in memory, since a machine's disk may be slow or small; else a temporary folder. Containers may forbid programs there."""
    memory = pathlib.Path("/dev/shm")
    if os.access(memory, os.W_OK) and not os.statvfs(memory).f_flag & os.ST_NOEXEC and shutil.disk_usage(memory).free > 2 << 30:
        return memory / "flowrun-gpu"
    return pathlib.Path(tempfile.gettempdir()) / "flowrun-gpu"


def unpack(archive, folder):
    """Skips existing files. An interrupted unpacking leaves nothing under the final name."""
    if folder.exists():
        return
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    with tarfile.open(archive) as tar:
        tar.extractall(partial, filter="data")
    partial.rename(folder)


def find(work):
    """Unpacks the kit into the work folder, where this is one."""
    if not KIT.exists():
        root = SCRIPTS.parent
        build, shared = root / "build/release", root.parent / "shared/data"
        return Places(root, build / "bin", build / "tests/test_gpu", shared / "imagenet-sample", shared / CIFAR)
    # A folder for each kit: another one on the same machine is unpacked anew.
    folder = work / f"kit-{hashlib.sha256(KIT.read_bytes()).hexdigest()[:8]}"
    unpack(KIT, folder)
    photographs = work / "photographs"
    if (SCRIPTS / PHOTOGRAPHS).exists():
        unpack(SCRIPTS / PHOTOGRAPHS, photographs)
    return Places(folder, folder / "bin", folder / "bin/test_gpu", photographs, SCRIPTS / CIFAR)


def torch_libraries():
    """Folders of LibTorch and of CUDA's libraries, of the Python that runs this. Importing torch would take seconds."""
    found = importlib.util.find_spec("torch")
    if found is None:
        return []
    torch = pathlib.Path(found.origin).parent
    return [torch / "lib", *sorted((torch.parent / "nvidia").glob("**/lib"))]


def library_path():
    return ":".join(map(str, torch_libraries()))


def environment(**more):
    """Of Flowrun's own programs. The kit's libraries are not in it: its programs know where those lie, and no other
    program may find them before the system's."""
    path = [library_path(), os.environ.get("LD_LIBRARY_PATH", "")]
    return {**os.environ, "LD_LIBRARY_PATH": ":".join(part for part in path if part), "PYTHONUNBUFFERED": "1", **more}
