"""Prints how long a training step takes on Flowrun's model layer and in eager PyTorch, and the ratio.

    compare.py STEP_PROGRAM [--threads 1 2] [--rounds 12] [--size small|vits]

Both programs live side by side and take turns, one step each, so that the machine's moods hit both. The number to
read is the ratio of the medians; below 1, Flowrun is faster. Run it with the Python of tools/setup --test.
"""

import argparse
import statistics
import subprocess
import sys
from pathlib import Path

from eager import PARTS

SIZES = {  # image patch width depth heads taps batch visible regions length
    "small": [32, 4, 192, 12, 3, 4, 64, 19, 4, 10],
    "vits": [224, 16, 384, 12, 6, 4, 8, 57, 4, 35],
}


def one_step(process):
    process.stdin.write("go\n")
    process.stdin.flush()
    line = process.stdout.readline()
    if not line:
        sys.exit(f"{process.args[0]} ended; run it by itself to see why")
    return [float(x) for x in line.split()]


def compare(program, threads, rounds, size):
    arguments = [str(x) for x in [threads, *SIZES[size]]]
    commands = {"flowrun": [program, *arguments],
                "eager": [sys.executable, str(Path(__file__).with_name("eager.py")), *arguments]}
    pipe = dict(stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    processes = {name: subprocess.Popen(command, **pipe) for name, command in commands.items()}
    times = {name: [] for name in processes}
    for turn in range(rounds + 2):  # two to warm up
        for name in (list(processes) if turn % 2 else list(reversed(processes))):
            result = one_step(processes[name])
            if turn >= 2:
                times[name].append(result)
    for process in processes.values():
        process.stdin.close()
        process.wait()
    medians = {name: [statistics.median(column) for column in zip(*rows)] for name, rows in times.items()}
    ratio = medians["flowrun"][0] / medians["eager"][0]
    print(f"{size}, {threads} thread(s): flowrun {medians['flowrun'][0]:.0f} ms, eager {medians['eager'][0]:.0f} ms, "
          f"ratio {ratio:.3f}")
    for i, part in enumerate(PARTS, start=2):
        ours, theirs = medians["flowrun"][i], medians["eager"][i]
        print(f"  {part:10} {ours:9.1f} {theirs:9.1f} {ours / theirs:7.3f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--size", choices=SIZES, default="small")
    options = parser.parse_args()
    for count in options.threads:
        compare(options.program, count, options.rounds, options.size)
