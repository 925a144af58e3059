"""Measures a whole training step, and its parts, beside the same step in PyTorch.

    tools/bench step                                    this machine's CPU, small sizes
    tools/bench step --size s --batch 8 --threads 2
    tools/bench step --device cuda --precision bf16 --size s b l --batch 256 --peers played eager compile graphs

On a CPU all programs live side by side and take turns, one step each, so that what else the machine does hits all. On a GPU
they run one after another, since its memory doesn't hold them all: each starts, takes its rounds and ends. The number to
read is the ratio of the medians: how many times as fast as the peer Flowrun is (the faster of submitted kernel by kernel and
played as a CUDA graph). Utilisation counts the floating-point operations of matrix products (see `flops`), backward as twice
forward, against what a large matrix product reaches here, and against --peak where that is known. A program that fails is a
row that says why. --json prints a line for each program as soon as it is measured, in place of tables. Run it with the
Python of tools/setup --test; tools/bench does.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
PARTS = ["teacher", "targets", "student", "predictor", "loss", "backward", "adamw", "ema"]
SIZES = {  # image patch width depth heads; visible patches, regions, patches of a region
    "tiny": ([32, 8, 64, 4, 4], [6, 2, 4]),
    "small": ([32, 4, 192, 12, 3], [19, 4, 10]),
    "s": ([224, 16, 384, 12, 6], [57, 4, 35]),
    "b": ([224, 16, 768, 12, 12], [57, 4, 35]),
    "l": ([224, 16, 1024, 24, 16], [57, 4, 35]),
}
PREFIX = 5  # class token and registers, of encoder and predictor alike


def flops(size):
    """Operations of one image's step, by teacher and all; a product of [m, k] and [k, n] has 2 m k n."""
    (image, patch, width, depth, _), (visible, regions, length) = SIZES[size]
    patches, narrow, taps = (image // patch) ** 2, width // 2, 1 + depth // 4

    def block(tokens, width, rows=None):
        rows = tokens if rows is None else rows  # of queries, projection and MLP
        return 2 * width * width * (2 * tokens + rows) + 4 * rows * tokens * width + 2 * rows * width * width * 9

    embed = lambda tokens: 2 * tokens * 3 * patch * patch * width
    teacher = embed(patches) + (depth // 4 * 4) * block(patches + PREFIX, width)
    student = embed(visible) + depth * block(visible + PREFIX, width)
    tokens = PREFIX + visible + length
    predictor = 2 * (visible + 1) * width * narrow + regions * (9 * block(tokens, narrow) + block(tokens, narrow, length) + 2 * length * narrow * taps * width)
    return teacher, teacher + 3 * (student + predictor)


class Failed(Exception):
    pass


class Program:
    def __init__(self, command, environment=None):
        self.process = subprocess.Popen([str(word) for word in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)

    def ask(self, what):
        try:
            self.process.stdin.write(what + "\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = self.process.stdout.readline()
        if line.startswith("error: "):
            raise Failed(line[len("error: "):].strip())
        if not line:
            raise Failed(f"it ended with status {self.process.wait()}")
        return [float(word) for word in line.split()]

    def close(self):
        try:
            self.process.stdin.close()
        except BrokenPipeError:
            pass
        self.process.wait()


def matmul_rate(device, precision, threads):
    """TFLOP/s of a large matrix product in PyTorch, the best of some."""
    import time

    import torch
    torch.set_num_threads(threads)
    torch.set_float32_matmul_precision("highest" if precision == "fp32" else "high")
    n = 8192 if device == "cuda" else 2048
    a, b = (torch.randn(n, n, device=device, dtype=torch.bfloat16 if precision == "bf16" else torch.float32) for _ in range(2))
    best = float("inf")
    for _ in range(8):
        start = time.perf_counter()
        a @ b
        if device == "cuda":
            torch.cuda.synchronize()
        best = min(best, time.perf_counter() - start)
    return 2 * n**3 / best / 1e12


def commands(options, size, threads):
    """Name, command and question of each program."""
    model, masks = SIZES[size]
    words = [options.device, options.precision, threads, *model, options.batch, *masks]
    environment = os.environ
    if options.libraries:
        environment = {**os.environ, "LD_LIBRARY_PATH": f"{options.libraries}:{os.environ.get('LD_LIBRARY_PATH', '')}"}
    programs = {"flowrun": ([options.program, *words], "step", environment)}
    if options.before:
        programs["before"] = ([options.before, *words], "step", environment)
    for peer in options.peers:
        if peer == "played":
            programs["flowrun, played"] = ([options.program, *words], "played", environment)
        else:
            programs[peer] = ([sys.executable, HERE / "eager.py", peer, *words], "step", None)
    return programs


class Comparison:
    """One size on some threads: times, parts, memory and failures of the programs."""

    def __init__(self, options, size, threads):
        self.options, self.size, self.threads = options, size, threads
        self.times, self.parts, self.memory, self.failed = {}, {}, {}, {}

    def measure(self):
        programs = commands(self.options, self.size, self.threads)
        for names in [[name] for name in programs] if self.options.device == "cuda" else [list(programs)]:
            self.take_turns({name: programs[name] for name in names})
            for name in names:
                if self.options.json:
                    print(json.dumps(self.line(name)), flush=True)

    def take_turns(self, programs):
        running = {name: Program(command, environment) for name, (command, _, environment) in programs.items()}
        for turn in range(-self.options.warm_up, self.options.rounds):
            for name in (list(running) if turn % 2 else list(reversed(running))):
                self.ask(running, name, programs[name][1], self.times if turn >= 0 else {})
        for turn in range(-1, self.options.rounds if self.options.parts else -1):
            for name in ("flowrun", "eager"):
                self.ask(running, name, "parts", self.parts if turn >= 0 else {})
        for name in running:
            self.ask(running, name, "memory", self.memory)
        for program in running.values():
            program.close()

    def ask(self, running, name, what, answers):
        if name not in running or name in self.failed:
            return
        try:
            answers.setdefault(name, []).append(running[name].ask(what))
        except Failed as why:
            self.failed[name] = str(why)

    def milliseconds(self, name):
        return [answer[0] for answer in self.times.get(name, [])]

    def median_parts(self, name):
        return [statistics.median(column) for column in zip(*self.parts[name])] if name in self.parts else []

    def facts(self):
        teacher, whole = flops(self.size)
        return {"size": self.size, "batch": self.options.batch, "device": self.options.device, "precision": self.options.precision,
                "threads": self.threads, "gflop_an_image": whole / 1e9, "teachers_share_of_flop": teacher / whole}

    def line(self, name):
        line = {**self.facts(), "program": name}
        if name in self.failed:
            line["failed"] = self.failed[name]
        if times := self.milliseconds(name):
            line |= {"ms": statistics.median(times), "fastest_ms": min(times), "slowest_ms": max(times)}
            if self.options.peak:
                line["of_the_peak"] = line["gflop_an_image"] * self.options.batch / line["ms"] / self.options.peak
        if name in self.memory:
            line["peak_mib"] = self.memory[name][0][0]
        if parts := self.median_parts(name):
            line["parts_ms"] = dict(zip(PARTS, parts))
        return line


def report(comparison):
    options, facts = comparison.options, comparison.facts()
    whole = facts["gflop_an_image"]
    rate = matmul_rate(options.device, options.precision, comparison.threads)
    print(f"\n{comparison.size}, batch {options.batch}, {options.device} {options.precision}, {comparison.threads} thread{'s' * (comparison.threads > 1)}; "
          f"{whole:.1f} GFLOP an image, {facts['teachers_share_of_flop']:.0%} of it the teacher's; a large product reaches {rate:.3g} TFLOP/s\n")
    print("| | ms a step, median (range) | images/s | Flowrun is so many times as fast | of a large product | "
          + ("of the peak | " if options.peak else "") + "peak MiB |")
    print("|---|---|---|---|---|" + ("---|" if options.peak else "") + "---|")
    medians = {name: statistics.median(comparison.milliseconds(name)) for name in comparison.times}
    best = min((taken for name, taken in medians.items() if name.startswith("flowrun")), default=float("nan"))
    for name in commands(options, comparison.size, comparison.threads):
        if name in comparison.failed:
            print(f"| {name} | did not run: {comparison.failed[name]} | | | | " + ("| " if options.peak else "") + "|")
            continue
        times, taken = comparison.milliseconds(name), medians[name]
        reached = whole * options.batch / taken
        print(f"| {name} | {taken:.4g} ({min(times):.4g}–{max(times):.4g}) | {1e3 * options.batch / taken:.4g} | {taken / best:.2f} | "
              f"{reached / rate:.1%} | " + (f"{reached / options.peak:.1%} | " if options.peak else "") + f"{comparison.memory[name][0][0]:.0f} |")
    report_parts(comparison)
    sys.stdout.flush()


def report_parts(comparison):
    ours, theirs = comparison.median_parts("flowrun"), comparison.median_parts("eager")
    if not ours:
        return
    print("\n| part, waited for | Flowrun ms | of the step | eager ms | times as fast |\n|---|---|---|---|---|")
    for i, part in enumerate(PARTS):
        eager = theirs[i] if theirs else float("nan")
        print(f"| {part} | {ours[i]:.4g} | {ours[i] / sum(ours):.1%} | {eager:.4g} | {eager / ours[i]:.2f} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", help="perf_step, of a release build")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--precision", choices=["fp32", "tf32", "bf16"], default="fp32")
    parser.add_argument("--size", choices=SIZES, nargs="+", default=["small"])
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--warm-up", type=int, default=2, help="rounds that don't count")
    parser.add_argument("--peers", choices=["played", "eager", "compile", "graphs"], nargs="*", default=["eager"],
                        help="what is measured beside Flowrun; played: Flowrun's own step as a CUDA graph")
    parser.add_argument("--before", help="perf_step of another commit, measured in the same turns: has the step become slower?")
    parser.add_argument("--peak", type=float, help="TFLOP/s that the device is sold with: H100 SXM 989 in bf16, A100 312")
    parser.add_argument("--parts", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--json", action="store_true", help="a line for each program, in place of tables")
    parser.add_argument("--libraries", help="folders of LibTorch, where the program does not know them")
    options = parser.parse_args()
    for size in options.size:
        for threads in options.threads if options.device == "cpu" else [1]:
            comparison = Comparison(options, size, threads)
            comparison.measure()
            if not options.json:
                report(comparison)


if __name__ == "__main__":
    main()
