"""Measures the input side beside loops and other libraries: read, decode, crop, resize, mirror, stack.

    tools/bench input                       photographs at 224 pixels, 1 and 2 threads, batches of bytes
    tools/bench input --float               batches of normalised floats
    tools/bench input --data DIR --side 32  other images, another size
    tools/bench input --no-peers            Flowrun against hand-written loops only: nothing is installed
    tools/bench input --multi-crop          2 large and 8 small crops of each picture, decoded once, beside DINO's own transform
    tools/bench input --cold                from a disk whose cache is empty: what reading ahead does

Everything runs in turns in one interleaved run, on the same files and the same crop boxes (Flowrun chooses them), from a
warm file cache. The table has images a second as median and range over the repeats, and the median of the ratios to the
floor: a hand-written loop over the same libraries that reads, decodes the crop's region, resizes, mirrors and stacks.
tools/setup --bench installs the peers. One that can't run here is named before the measurement begins, and in the table, with the reason;
the others go on. ffcv reads its own file, into which the JPEG files are put as they are. Run it on an otherwise idle machine, from a release
build.
"""
import argparse
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[2]
BUILD = ROOT / "build/release"
PEERS = ("dataloader", "torchvision_io", "dali", "spdl", "ffcv")


def arguments():
    parser = argparse.ArgumentParser(prog="tools/bench input", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=pathlib.Path, default=ROOT.parent / "shared/data/imagenet-sample", help="a folder of JPEG files")
    parser.add_argument("--side", type=int, default=224, help="of the images that come out, pixels")
    parser.add_argument("--images", type=int, default=1024, help="in one pass, about")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--float", action="store_true", help="normalised floats, C H W, in place of bytes")
    parser.add_argument("--area", type=float, nargs=2, default=[0.35, 1], help="of the crops")
    parser.add_argument("--no-tiled", action="store_true", help="leave tiled copies of the files out")
    parser.add_argument("--no-peers", action="store_true")
    parser.add_argument("--multi-crop", action="store_true", help="2 + 8 crops with DINO's colours beside torchvision's on Pillow images")
    parser.add_argument("--cold", action="store_true", help="ten copies of the files, put out of the file cache before each run")
    parser.add_argument("--only", nargs="+", help="contenders to run, by name")
    parser.add_argument("--json", type=pathlib.Path, help="writes all that was measured into this file")
    return parser.parse_args()


def setup(what="--test"):
    return pathlib.Path(subprocess.run([ROOT / "tools/setup", what], check=True, text=True, stdout=subprocess.PIPE).stdout.strip())


class Peers:
    """The other libraries, and why some of them can't run here."""

    def __init__(self, names, path, kind, side):
        venv = setup("--bench")
        self.python = venv / "bin/python"
        self.environment = {**os.environ, "PYTHONPATH": f"{venv / 'bench'}:{venv / 'ffcv'}"}
        self.missing = {}
        for name in names:
            process = self.process("--check", path, name, kind, 1, side)
            try:
                process.run()
            except RuntimeError as error:
                self.missing[name] = str(error)
                print(f"bench: {name} will not run: {error}", file=sys.stderr)
            process.close()

    def process(self, *words):
        return Process([self.python, HERE / "peers.py", *words], self.environment)


def pipeline(args, folder, extra=None):
    nodes = {
        "files": {"type": "source.folder", "path": str(folder)},
        "crop": {"type": "image.random_crop", "in": "files", "area": args.area},
        "decode": {"type": "image.decode", "in": {"bytes": "files", "region": "crop"}},
        "view": {"type": "image.resize", "in": {"image": "decode", "region": "crop"}, "size": args.side},
        "flip": {"type": "image.random_flip", "in": "view"},
        "batch": {"type": "batch.stack", "in": "flip", "size": args.batch},
        "count": {"type": "report.metrics", "in": {"image": "batch"}, "tensorboard": False},
        **(extra or {}),
    }
    if args.float:
        nodes |= {"upload": {"type": "device.upload", "in": "batch"}, "take": {"type": "bench.take", "in": "upload"}}
    return {"seed": 0, "run": {"epochs": args.epochs, "device": "cpu"}, **({"plugins": [str(args.plugin)]} if hasattr(args, "plugin") else {}), "nodes": nodes}


def images_of(folder):
    """As source.folder lists them: by class, then by path, compared as bytes; a folder that holds images itself is flat."""
    paths = [path.relative_to(folder) for path in folder.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg")]
    flat = any(len(path.parts) == 1 for path in paths)
    return [folder / path for path in sorted(paths, key=lambda path: (b"" if flat else path.parts[0].encode(), str(path).encode()))]


def write_list(args, folder, work):
    """Lets Flowrun choose the regions, and writes the list for all others: the contents of a pass over the epochs."""
    regions = work / "regions.tsv"
    definition = pipeline(args, folder, {"decode": {"type": "image.decode", "in": {"bytes": "files", "region": "write"}},
                                         "write": {"type": "bench.write_regions", "in": {"region": "crop"}, "file": str(regions)}})
    (work / "regions.json").write_text(json.dumps(definition))
    subprocess.run([BUILD / "bin/flowrun", "regions.json", "--quiet", "--out", work / "regions"], cwd=work, check=True, stderr=subprocess.DEVNULL)
    files = images_of(folder)
    rows = sorted(tuple(map(int, line.split("\t"))) for line in open(regions))
    rows = [row for i, row in enumerate(rows) if i == 0 or row[:2] != rows[i - 1][:2]]  # the first sample is read twice
    with open(work / "list.tsv", "w") as out:
        for epoch, position, sample, x, y, width, height in rows:
            if epoch >= args.epochs // 2:  # the first half warms Flowrun up
                out.write(f"{files[sample]}\t{x}\t{y}\t{width}\t{height}\t{position % 2}\n")
    return work / "list.tsv"


class Process:
    """A contender: a process that stays alive and goes through the list on each request."""

    def __init__(self, command, environment=None):
        self.errors = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(list(map(str, command)), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors, text=True, env=environment)

    def run(self):
        try:
            self.process.stdin.write("go\n")
            self.process.stdin.flush()
            while not (line := self.process.stdout.readline()).startswith("{"):
                if not line:
                    raise BrokenPipeError
        except BrokenPipeError:
            self.process.wait()
            self.errors.seek(0)
            raise RuntimeError((self.errors.read().strip() or "it ended").splitlines()[-1]) from None
        answer = json.loads(line)
        return answer["images"] / answer["seconds"], answer["peak_mib"]

    def close(self):
        self.process.kill()
        self.process.communicate()
        self.errors.close()


class Flowrun:
    def __init__(self, args, path, threads):
        images = args.epochs // 2 * args.per_epoch
        self.command = [BUILD / "bin/flowrun", "profile", path, "--input-only", "--json", "--threads", str(threads), "--skip", str(images),
                        "--images", str(images), *(["--upload"] if args.float else [])]

    def run(self):
        done = subprocess.run(self.command, text=True, capture_output=True)
        if done.returncode != 0:
            raise RuntimeError(done.stderr.strip())
        answer = json.loads(done.stdout)
        return answer["images_per_second"], answer["peak_mib"]

    def close(self):
        pass


def wanted(args, name):
    return not args.only or name in args.only or name == "floor"


def contenders(args, lists, work, threads, peers):
    kind = "float" if args.float else "u8"
    floor = lambda where, mode: Process([BUILD / "tests/perf/input/perf_input", lists[where], mode, threads, args.side])
    out = {
        "loop: whole decode": lambda: floor("plain", "full"),
        "loop: region decode": lambda: floor("plain", "region"),
        "floor": lambda: floor("plain", "float" if args.float else "resize"),
        "flowrun": lambda: Flowrun(args, work / "plain.json", threads),
    }
    if list((BUILD / "python/flowrun").glob("_core.*")) and not args.float:
        out["flowrun in Python"] = lambda: Process([setup() / "bin/python", HERE / "python_door.py", work / "plain.json", args.epochs, threads])
    if "tiled" in lists:
        out["floor, tiled"] = lambda: floor("tiled", "float" if args.float else "resize")
        out["flowrun, tiled"] = lambda: Flowrun(args, work / "tiled.json", threads)
    for name in PEERS if peers else ():
        out[name] = lambda name=name: peers.process(lists["plain"], name, kind, threads, args.side)
    return {name: make for name, make in out.items() if wanted(args, name)}


def prepare(args, work, only_settings=False):
    folder = args.data.resolve()
    count = len(images_of(folder))
    if count == 0:
        sys.exit(f"bench: no JPEG files in {folder}")
    args.batch = min(64, count)
    args.per_epoch = count // args.batch * args.batch
    args.epochs = 2 * max(1, round(args.images / args.per_epoch))
    if only_settings:
        return {}
    args.plugin = work / "libregions.so"
    torch = next(setup().glob("lib/python3*/site-packages/torch"))
    subprocess.run(["g++", "-std=c++20", "-O2", "-shared", "-fPIC", f"-I{ROOT}", f"-I{torch}/include", HERE / "regions.cpp", "-o", args.plugin], check=True)
    lists = {"plain": write_list(args, folder, work)}
    (work / "plain.json").write_text(json.dumps(pipeline(args, folder)))
    if not args.no_tiled:
        subprocess.run([BUILD / "bin/flowrun", "pack", folder, work / "tiled", "--to", "folder", "--tiled"], check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        (work / "tiled.json").write_text(json.dumps(pipeline(args, work / "tiled")))
        (work / "tiled.tsv").write_text(lists["plain"].read_text().replace(str(folder), str(work / "tiled")))
        lists["tiled"] = work / "tiled.tsv"
    return lists


def measure(repeats, makers, threads, missing):
    """Contenders in turns; `missing` are those that can't run here, with the reason. One that fails is left out from there on."""
    running, rates, peaks, failed = {}, {}, {}, dict(missing)
    for name, make in makers.items():
        rates[name], peaks[name] = [], 0
        if name not in failed:
            running[name] = make()
    for repeat in range(-1, repeats):  # the first round warms up
        for name, contender in running.items():
            if name in failed:
                continue
            if sys.stderr.isatty():
                print(f"\rbench: {threads} thread{'s' * (threads > 1)}, round {repeat + 1} of {repeats}, {name}".ljust(78), end="", file=sys.stderr)
            try:
                rate, peak = contender.run()
            except RuntimeError as error:
                failed[name] = str(error)
                continue
            peaks[name] = max(peaks[name], peak)
            if repeat >= 0:
                rates[name].append(rate)
    for contender in running.values():
        contender.close()
    return {"threads": threads, "rates": rates, "peak_mib": peaks, "failed": failed}


def multi_crop_pipeline(args):
    """The crops of pipelines/methods/multi_crop, as bytes."""
    nodes = {"files": {"type": "source.folder", "path": str(args.data.resolve())}, "decode": {"type": "image.decode", "in": "files"}}
    for kind, changes in (("large", {"size": args.side, "blur": [1, 0.1], "solarize": [0, 0.2]}), ("small", {"count": 8, "area": [0.05, 0.4], "size": 96})):
        nodes[kind] = {"use": "view", "in": {"bytes": "files", "image": "decode"}, **changes}
        nodes[f"{kind}_batch"] = {"type": "batch.stack", "in": kind, "size": args.batch}
        nodes[f"{kind}_sheet"] = {"type": "report.contact_sheet", "in": {"image": f"{kind}_batch"}, "file": f"{kind}.png", "tensorboard": False}
    return {"seed": 0, "run": {"epochs": args.epochs, "device": "cpu"}, "parts": {"view": str(ROOT / "pipelines/parts/multi_crop_view.json")}, "nodes": nodes}


def measure_multi_crop(args, work):
    prepare(args, work, only_settings=True)
    (work / "multi_crop.json").write_text(json.dumps(multi_crop_pipeline(args)))
    images = args.epochs // 2 * args.per_epoch
    files = images_of(args.data.resolve())
    (work / "list.tsv").write_text("".join(f"{files[i % len(files)]}\t0\t0\t0\t0\t0\n" for i in range(images)))
    peer = "dataloader, DINO's transform"
    for threads in args.threads:
        makers = {"flowrun": lambda: Flowrun(args, work / "multi_crop.json", threads),
                  peer: lambda: Process([setup() / "bin/python", HERE / "peers.py", work / "list.tsv", "dino", "u8", threads, args.side])}
        print(multi_crop_table(args, measure(args.repeats, makers, threads, {})), flush=True)


def multi_crop_table(args, result):
    threads, rates = result["threads"], result["rates"]
    rows = [f"\n| {threads} thread{'s' * (threads > 1)}, 2 crops of {args.side} and 8 of 96 pixels | pictures/s, median (range) |", "|---|---|"]
    for name, values in rates.items():
        failed = result["failed"].get(name)
        rows.append(f"| {name} | " + (f"did not run: {failed} |" if failed else f"{statistics.median(values):.1f} ({min(values):.1f}–{max(values):.1f}) |"))
    if not result["failed"]:
        ours, theirs = rates.values()
        ratios = [a / b for a, b in zip(ours, theirs)]
        rows.append(f"\nFlowrun is {statistics.median(ratios):.2f} times as fast ({min(ratios):.2f}–{max(ratios):.2f} over {len(ratios)} rounds)")
    return "\n".join(rows)


def forget(folder):
    """Drops a folder's files from the file cache. Needs no rights; new files must be on the disk first."""
    os.sync()
    for path in folder.rglob("*"):
        if path.is_file():
            with open(path, "rb") as file:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def measure_cold(args, work):
    copies = work / "copies"
    for copy in range(10):
        shutil.copytree(args.data, copies / str(copy))
    subprocess.run([BUILD / "bin/flowrun", "pack", copies, work / "shards", "--quiet"], check=True, stdout=subprocess.DEVNULL)
    ways = {}
    for kind, path in (("folder", copies), ("shards", work / "shards")):
        for ahead in (0, "auto", 64):
            name = f"{kind}, read_ahead {ahead}"
            definition = pipeline(args, path)
            definition["nodes"]["files"]["type"] = f"source.{kind}"
            definition["run"]["read_ahead"] = ahead
            (work / f"{name}.json").write_text(json.dumps(definition))
            ways[name] = (path, work / f"{name}.json")
    count = len(images_of(copies)) // args.batch * args.batch - args.batch
    for threads in args.threads:
        rates = {name: [] for name in ways}
        for _ in range(args.repeats):
            for name, (path, definition) in ways.items():
                forget(path)
                done = subprocess.run([BUILD / "bin/flowrun", "profile", definition, "--input-only", "--json", "--threads", str(threads), "--skip", "0",
                                       "--images", str(count)], text=True, capture_output=True, check=True)
                rates[name].append(json.loads(done.stdout)["images_per_second"])
        print(f"\n| {threads} thread{'s' * (threads > 1)}, files not in memory | images/s, median (range) | to read_ahead 0 |\n|---|---|---|")
        for name, values in rates.items():
            base = rates[name.split(",")[0] + ", read_ahead 0"]
            ratio = statistics.median(a / b for a, b in zip(values, base))
            print(f"| {name} | {statistics.median(values):.0f} ({min(values):.0f}–{max(values):.0f}) | {ratio:.2f} |")


def table(result):
    rates, floor = result["rates"], result["rates"]["floor"]
    rows = [f"| {result['threads']} thread{'s' * (result['threads'] > 1)} | images/s, median (range) | to the floor | peak MiB |", "|---|---|---|---|"]
    for name, values in rates.items():
        if name in result["failed"]:
            rows.append(f"| {name} | did not run: {result['failed'][name]} | | |")
            continue
        ratio = statistics.median(a / b for a, b in zip(values, floor))
        rows.append(f"| {name} | {statistics.median(values):.0f} ({min(values):.0f}–{max(values):.0f}) | {ratio:.2f} | {result['peak_mib'][name]:.0f} |")
    return "\n".join(rows)


def main():
    args = arguments()
    if not (BUILD / "tests/perf/input/perf_input").exists():
        sys.exit("bench: build first: tools/test builds everything (or cmake --build build/release)")
    with tempfile.TemporaryDirectory(prefix="flowrun-bench-") as folder:
        work = pathlib.Path(folder)
        if args.multi_crop:
            return measure_multi_crop(args, work)
        if args.cold:
            prepare(args, work, only_settings=True)
            return measure_cold(args, work)
        lists = prepare(args, work)
        kind = "float" if args.float else "u8"
        peers = None if args.no_peers else Peers([name for name in PEERS if wanted(args, name)], lists["plain"], kind, args.side)
        missing = peers.missing if peers else {}
        results = [measure(args.repeats, contenders(args, lists, work, threads, peers), threads, missing) for threads in args.threads]
    print(f"{args.data.name}: {args.epochs // 2 * args.per_epoch} crops a pass, area {args.area[0]:g} to {args.area[1]:g}, "
          f"to {args.side} pixels, {'floats' if args.float else 'bytes'}\n")
    print("\n\n".join(table(result) for result in results))
    if args.json:
        args.json.write_text(json.dumps({"arguments": {k: str(v) for k, v in vars(args).items()}, "results": results}, indent=2) + "\n")


if __name__ == "__main__":
    os.chdir(ROOT)
    main()
