"""The quickstart's training alone and beside busy loops, with each way in which OpenMP's threads can wait at their barriers.

    tools/bench busy

All cases take turns. The table has images a second (the mean over the rounds and the range; of a run, the median over its lines of
metrics.jsonl), the share of the cores' time that the program received, and what is asked for: beside the loops at least 0.7 of
(images a second alone x the share received), alone at least 0.97 of always spinning.
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[3]
# Each way of waiting, and the environment variables that choose it. GNU's library spins 300,000 times by default.
WAYS = {"by load": {}, "spins": {"GOMP_SPINCOUNT": "300000"}, "spins 1000 times": {"GOMP_SPINCOUNT": "1000"}, "sleeps": {"OMP_WAIT_POLICY": "passive"}}
CORES = len(os.sched_getaffinity(0))


def run(program, way, steps):
    """Images a second, and the share of all cores' time that the program received."""
    environment = {key: value for key, value in os.environ.items() if key not in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")} | WAYS[way]
    sets = [f"run.steps={steps}", "save.every=100000 steps", *(f"{evaluation}.at=[]" for evaluation in ("knn", "linear", "pixels_knn", "pixels_linear"))]
    with tempfile.TemporaryDirectory(prefix="flowrun-busy-") as folder:
        out, said, began = pathlib.Path(folder) / "out", pathlib.Path(folder) / "said", time.monotonic()
        words = ["--out", out, "--quiet", *[word for text in sets for word in ("--set", text)]]
        with said.open("w") as file:
            process = subprocess.Popen([program, ROOT / "pipelines/quickstart.json", *words], env=environment, stdout=file, stderr=file)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.monotonic() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            sys.exit(f"busy: flowrun ended with {process.returncode}: {said.read_text()}")
        lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    return statistics.median(line["images_per_second"] for line in lines), (usage.ru_utime + usage.ru_stime) / wall / CORES


def measured(program, args):
    """{(way, whether beside loops): [(images a second, share)]}"""
    found = {(way, beside): [] for way in args.ways for beside in (False, True)}
    for turn in range(args.rounds):
        for beside in (False, True):
            loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(args.loops if beside else 0)]
            try:
                for way in args.ways:
                    found[way, beside].append(run(program, way, args.steps))
                    print(f"round {turn + 1}, {'beside loops' if beside else 'alone'}, {way}: {found[way, beside][-1][0]:.0f} images/s", file=sys.stderr)
            finally:
                for loop in loops:
                    loop.kill()
                    loop.wait()
    return found


def main():
    parser = argparse.ArgumentParser(prog="tools/bench busy", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--loops", type=int, default=CORES, help="busy loops (as many as cores)")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    args = parser.parse_args()
    found = measured(args.program, args)
    mean = {case: [statistics.mean(column) for column in zip(*runs)] for case, runs in found.items()}
    shown = lambda case: "{:.0f} ({:.0f}–{:.0f})".format(mean[case][0], min(run[0] for run in found[case]), max(run[0] for run in found[case]))  # noqa: E731
    print(f"\n{CORES} cores, {args.rounds} rounds, {args.loops} loops\n")
    print("| threads wait | alone, images/s | of spinning | beside loops, images/s | share of the cores' time | of alone x share |\n|---|---|---|---|---|---|")
    spins = mean.get(("spins", False))
    for way in args.ways:
        alone, beside = mean[way, False], mean[way, True]
        print(f"| {way} | {shown((way, False))} | {f'{alone[0] / spins[0]:.2f}' if spins else 'not measured'} | {shown((way, True))} | {beside[1]:.2f} | {beside[0] / alone[0] / beside[1]:.2f} |")


if __name__ == "__main__":
    main()
