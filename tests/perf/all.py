"""Measures everything, a part after another, and writes one page with the commit, the machine and the command of each table.

    tools/bench all --out bench-results
    tools/bench all --list                  the parts, and about how many minutes each takes
    tools/bench all --only engine tiles     these parts alone

Leave the machine alone meanwhile: forty minutes on two cores. The page, results.md, grows with each part. Repeated, it goes on behind the
parts that are done, as long as the commit is the same; --only measures its parts again. A part whose data or peer isn't given is left out, and
named; one that fails is named with the end of its output (in PART.txt), the others go on, and the exit status is 1.
"""
import argparse
import datetime
import json
import os
import pathlib
import shlex
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
PERF = "build/release/tests/perf"
NEEDS = {"photographs": "a folder of photographs", "cifar10": "CIFAR-10's training images as class folders", "ijepa": "a clone of facebookresearch/ijepa",
         "mae": "a clone of facebookresearch/mae"}

# name: (minutes, command); {X} is the folder given by --X
PARTS = {
    "engine": (1, f"{PERF}/engine/perf_engine"),
    "photographs": (3, "tools/bench input --data {photographs} --images 256"),
    "loops": (2, "tools/bench input --data {photographs} --images 512 --no-peers"),
    "floats": (2, "tools/bench input --data {photographs} --images 256 --float --repeats 3"),
    "crops": (2, "tools/bench input --data {photographs} --images 128 --multi-crop"),
    "small-files": (7, "tools/bench input --data {cifar10} --side 32 --images 6000 --threads 1 --no-tiled"),
    "tiles": (2, f"{PERF}/input/perf_input tiles {{photographs}}"),
    "kernels": (1, "tools/bench kernels --threads 1"),
    "kernels-2": (1, "tools/bench kernels --threads 2"),
    "step-small": (3, "tools/bench step --size small --batch 64 --threads 1 2 --rounds 8"),
    "step-s": (3, "tools/bench step --size s --batch 8 --threads 1 2 --rounds 6"),
    "dino": (2, "tools/bench step --method dino --rounds 9 --steps 3"),
    "simsiam": (1, "tools/bench step --method simsiam --rounds 9 --steps 3"),
    "simclr": (1, "tools/bench step --method simclr --rounds 9 --steps 3"),
    "barlow": (1, "tools/bench step --method barlow --rounds 9 --steps 3"),
    "busy": (12, "tools/bench busy"),
    "ijepa": (4, "tools/bench whole --peer {ijepa} --images {photographs} --rounds 4 --steps 6"),
    "mae": (3, "tools/bench whole --peer {mae} --images {photographs} --rounds 4 --steps 6"),
}


def arguments():
    parser = argparse.ArgumentParser(prog="tools/bench all", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("bench-results"), help="the folder of the page (bench-results)")
    parser.add_argument("--only", nargs="+", choices=PARTS, metavar="PART", help="parts to measure")
    parser.add_argument("--list", action="store_true", help="prints the parts")
    defaults = {"photographs": ROOT.parent / "shared/data/imagenet-sample"}
    for name, what in NEEDS.items():
        parser.add_argument(f"--{name}", type=pathlib.Path, default=defaults.get(name), metavar="DIR", help=what)
    args = parser.parse_args()
    for name in NEEDS:
        folder = getattr(args, name)
        if folder is not None and not folder.is_dir():
            if folder != defaults.get(name):
                parser.error(f"--{name} {folder}: no such folder")
            setattr(args, name, None)
    return args


def needs(command):
    return [name for name in NEEDS if "{" + name + "}" in command]


def git(*words):
    return subprocess.run(["git", "-C", ROOT, *words], text=True, capture_output=True).stdout.strip()


def commit():
    changed = git("status", "--porcelain", "--untracked-files=no")
    return (git("rev-parse", "HEAD") or "no git") + (" with changes" if changed else "")


def machine():
    model = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "unknown processor")
    return f"{os.cpu_count()} cores of {model}"


def busy_cores(seconds=1.0):
    """How many cores other programs use while this one waits."""
    def busy():
        ticks = list(map(int, open("/proc/stat").readline().split()[1:9]))  # user, nice, system, idle, waiting for a disk, …
        return sum(ticks) - ticks[3] - ticks[4]

    before = busy()
    time.sleep(seconds)
    return (busy() - before) / os.sysconf("SC_CLK_TCK") / seconds


def measure(name, command, out):
    """Runs a part, with its output into a file. Returns what the page says of it."""
    before, began = busy_cores(), time.monotonic()
    path = out / f"{name}.txt"
    with open(path, "w") as output:
        done = subprocess.run(shlex.split(command), cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=output, text=True)
    if done.returncode != 0:
        said = (path.read_text().strip() or done.stdout.strip() or "no output").splitlines()[-1]
        path.write_text(done.stdout + path.read_text())
        return {"failed": f"status {done.returncode}: {said}"}
    path.write_text(done.stdout)
    return {"output": done.stdout.strip("\n"), "busy_cores": before, "seconds": time.monotonic() - began, "date": datetime.datetime.now().isoformat(" ", "minutes")}


def as_markdown(output):
    """Tables stay tables; other text becomes a block."""
    if any(line.startswith("|--") for line in output.splitlines()):
        return output
    return f"```\n{output}\n```"


def page(state):
    lines = ["# Measured by tools/bench all", "", f"Commit {state['commit']}; {state['machine']}.", ""]
    for name in (name for name in PARTS if name in state["parts"]):
        part = state["parts"][name]
        lines += [f"## {name}", "", f"    {part['command']}", ""]
        if "failed" in part:
            lines += [f"Failed with {part['failed']}", ""]
        else:
            lines += [f"{part['date']}, {part['seconds']:.0f} s; other programs used {part['busy_cores']:.1f} cores just before.", "", as_markdown(part["output"]), ""]
    for name, missing in state["left_out"].items():
        lines += [f"## {name}", "", f"Left out: {missing}.", ""]
    return "\n".join(lines)


def earlier(out, now):
    """What an earlier call measured of the same commit on the same machine."""
    try:
        state = json.loads((out / "results.json").read_text())
    except FileNotFoundError:
        return {}
    for what in ("commit", "machine"):
        if state[what] != now[what]:
            sys.exit(f"bench all: {out} has results of another {what}, {state[what]}; this is {now[what]}: give another --out, or remove that folder")
    return state["parts"]


def save(out, state):
    for name, text in (("results.json", json.dumps(state, indent=1) + "\n"), ("results.md", page(state))):
        (out / f"{name}.new").write_text(text)
        (out / f"{name}.new").replace(out / name)


def wanted(args, state):
    """{part: (minutes, command)} to measure; what lacks a folder goes into state["left_out"]."""
    todo = {}
    for name in args.only or PARTS:
        minutes, command = PARTS[name]
        if missing := [need for need in needs(command) if getattr(args, need) is None]:
            state["left_out"][name] = " and ".join(f"--{need} ({NEEDS[need]}) is not given" for need in missing)
            print(f"bench all: {name} is left out: {state['left_out'][name]}", file=sys.stderr)
        elif args.only or "output" not in state["parts"].get(name, {}):
            folders = {need: shlex.quote(str(getattr(args, need).resolve())) for need in needs(command)}
            todo[name] = (minutes, command.format(**folders))
    return todo


def main():
    args = arguments()
    if args.list:
        for name, (minutes, command) in PARTS.items():
            print(f"{name:12} {minutes:3} min  {command}")
        return 0
    if not (ROOT / PERF).exists():
        sys.exit("bench: build first: tools/test builds everything (or cmake --build build/release)")
    now = {"commit": commit(), "machine": machine()}
    args.out.mkdir(parents=True, exist_ok=True)
    state = {**now, "parts": earlier(args.out, now), "left_out": {}}
    todo = wanted(args, state)
    left, failed = sum(minutes for minutes, _ in todo.values()), False
    for number, (name, (minutes, command)) in enumerate(todo.items(), 1):
        print(f"bench all: {number} of {len(todo)}, {name}: about {minutes} of {left} minutes", file=sys.stderr, flush=True)
        part = {"command": command, **measure(name, command, args.out)}
        if part.get("busy_cores", 0) > 0.2:
            print(f"bench all: other programs used {part['busy_cores']:.1f} cores before {name}: only its ratios count", file=sys.stderr)
        if "failed" in part:
            failed = True
            print(f"bench all: {name} failed with {part['failed']}", file=sys.stderr)
        state["parts"][name] = part
        save(args.out, state)
        left -= minutes
    save(args.out, state)
    print(f"bench all: {args.out / 'results.md'}", file=sys.stderr)
    return failed


if __name__ == "__main__":
    sys.exit(main())
