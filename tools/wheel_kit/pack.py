"""Packs what cmake --install --component wheel left in a folder as a wheel, and says which machines it is for.

    pack.py SITE OUT
"""
import os
import pathlib
import subprocess
import sys

from tools.wheel_kit import bundle

MOST = 20 << 20
# The newest C++ library that a platform tag of manylinux promises, as auditwheel's policies have it.
PROMISED = [((2, 28), (3, 4, 24)), ((2, 31), (3, 4, 28)), ((2, 34), (3, 4, 29)), ((2, 35), (3, 4, 30)), ((2, 38), (3, 4, 32)), ((2, 39), (3, 4, 33))]


def dotted(version):
    return ".".join(map(str, version))


def platform(newest):
    """The oldest glibc that has all symbols, and comes with a C++ library that has all symbols."""
    cxx = next((glibc for glibc, promised in PROMISED if promised >= newest["GLIBCXX"]), PROMISED[-1][0])
    return max(newest["GLIBC"], cxx)


def pack(site, out):
    if not (site / "flowrun/bin/flowrun").exists():
        sys.exit("error: the build folder holds no program: build it first (tools/test does, and tools/wheel without --build)")
    newest = bundle.newest_symbols(site / "flowrun")
    glibc = platform(newest)
    tag = f"py3-none-manylinux_{glibc[0]}_{glibc[1]}_{os.uname().machine}"
    # scikit-build-core packs, and writes the metadata; all that it would build is there.
    settings = {"wheel.cmake": "false", "wheel.platlib": "true", "wheel.tags": tag, f"wheel.force-include.{site / 'flowrun'}": "flowrun"}
    words = [word for key, value in settings.items() for word in ("--config-settings", f"{key}={value}")]
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-build-isolation", "--no-deps", "--wheel-dir", out, *words, "."]
    subprocess.run(list(map(str, command)), check=True)
    wheel = max(out.glob(f"flowrun-*-{tag}.whl"), key=lambda path: path.stat().st_mtime)
    extensions = sorted(path.name for path in (site / "flowrun").glob("*.so")) or ["none"]
    print(f"wheel: needs glibc {dotted(glibc)} (symbols up to GLIBC_{dotted(newest['GLIBC'])} and GLIBCXX_{dotted(newest['GLIBCXX'])})", file=sys.stderr)
    print(f"wheel: Python modules: {', '.join(extensions)}", file=sys.stderr)
    if not (site / "flowrun/bin/libflowrun_cuda.so").exists():
        print("wheel: without CUDA: there was no nvcc", file=sys.stderr)
    size = wheel.stat().st_size
    print(f"{wheel}  {size / 2**20:.1f} MiB")
    if size > MOST:
        sys.exit(f"error: that is more than the {MOST >> 20} MiB that a wheel may have")


if __name__ == "__main__":
    pack(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]).resolve())
