"""Measures a whole training step, and its parts, beside the same step in PyTorch.

    tools/bench step                                    this machine's CPU, small sizes
    tools/bench step --size s --batch 8 --threads 2
    tools/bench step --device cuda --precision bf16 --size s b l --batch 256 --peers eager compile graphs

All programs live side by side and take turns, one step each, so that what else the machine does hits all. The number to
read is the ratio of the medians: how many times as fast as the peer Flowrun is (on a GPU the faster of submitted kernel by
kernel and played as a CUDA graph). Utilisation counts the floating-point
operations of matrix products (see `flops`), backward as twice forward, against what a large matrix product reaches
here, and against --peak where that is known. Run it with the Python of tools/setup --test; tools/bench does.
"""

import argparse
import statistics
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
PARTS = ["teacher", "targets", "student", "predictor", "loss", "backward", "adamw", "ema"]
SIZES = {  # image patch width depth heads; visible patches, regions, patches of a region
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


class Program:
    def __init__(self, command):
        self.process = subprocess.Popen([str(word) for word in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, what):
        self.process.stdin.write(what + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"{' '.join(self.process.args)} ended")
        return [float(word) for word in line.split()]

    def device_mib(self):
        """What the GPU holds for the process, with its context."""
        out = subprocess.run(["nvidia-smi", "--query-compute-apps=pid,used_memory", "--format=csv,noheader,nounits"], stdout=subprocess.PIPE, text=True)
        return sum(float(line.split(",")[1]) for line in out.stdout.splitlines() if int(line.split(",")[0]) == self.process.pid)

    def close(self):
        self.process.stdin.close()
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


def compare(options, size, threads):
    model, masks = SIZES[size]
    words = [options.device, options.precision, threads, *model, options.batch, *masks]
    programs = {"flowrun": Program([options.program, *words])}
    if options.device == "cuda":
        programs["flowrun, played"] = Program([options.program, *words])
    for peer in options.peers:
        programs[peer] = Program([sys.executable, HERE / "eager.py", peer, *words])
    times = {name: [] for name in programs}
    parts = {name: [] for name in programs}
    for turn in range(-options.warm_up, options.rounds):
        for name in (list(programs) if turn % 2 else list(reversed(programs))):
            taken = programs[name].ask("played" if name.endswith("played") else "step")[0]
            if turn >= 0:
                times[name].append(taken)
    for turn in range(-1, options.rounds if options.parts else -1):
        for name in programs:
            if name in ("flowrun", "eager"):
                taken = programs[name].ask("parts")
                if turn >= 0:
                    parts[name].append(taken)
    memory = {name: program.device_mib() if options.device == "cuda" else program.ask("memory")[0] for name, program in programs.items()}
    for program in programs.values():
        program.close()
    report(options, size, threads, times, {name: [statistics.median(column) for column in zip(*rows)] for name, rows in parts.items() if rows}, memory)


def report(options, size, threads, times, parts, memory):
    teacher, whole = flops(size)
    rate = matmul_rate(options.device, options.precision, threads)
    medians = {name: statistics.median(values) for name, values in times.items()}
    print(f"\n{size}, batch {options.batch}, {options.device} {options.precision}, {threads} thread{'s' * (threads > 1)}; {whole / 1e9:.1f} GFLOP an image, "
          f"{teacher / whole:.0%} of it the teacher's; a large product reaches {rate:.3g} TFLOP/s\n")
    best = min(taken for name, taken in medians.items() if name.startswith("flowrun"))
    print("| | ms a step, median (range) | images/s | Flowrun is so many times as fast | of a large product | "
          + ("of the peak | " if options.peak else "") + "peak MiB |")
    print("|---|---|---|---|---|" + ("---|" if options.peak else "") + "---|")
    for name, taken in medians.items():
        reached = whole * options.batch / taken / 1e9
        print(f"| {name} | {taken:.4g} ({min(times[name]):.4g}–{max(times[name]):.4g}) | {1e3 * options.batch / taken:.4g} | {taken / best:.2f} | "
              f"{reached / rate:.1%} | " + (f"{reached / options.peak:.1%} | " if options.peak else "") + f"{memory[name]:.0f} |")
    if not parts:
        return
    total = sum(parts["flowrun"])
    print("\n| part, waited for | Flowrun ms | of the step | eager ms | times as fast |\n|---|---|---|---|---|")
    for i, part in enumerate(PARTS):
        ours, theirs = parts["flowrun"][i], parts["eager"][i] if "eager" in parts else float("nan")
        print(f"| {part} | {ours:.4g} | {ours / total:.1%} | {theirs:.4g} | {theirs / ours:.2f} |")


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
    parser.add_argument("--peers", choices=["eager", "compile", "graphs"], nargs="*", default=["eager"])
    parser.add_argument("--peak", type=float, help="TFLOP/s that the device is sold with: H100 SXM 989 in bf16, A100 312")
    parser.add_argument("--parts", action=argparse.BooleanOptionalAction, default=True)
    options = parser.parse_args()
    if "graphs" in options.peers and options.device != "cuda":
        parser.error("graphs are of GPUs")
    for size in options.size:
        for threads in options.threads if options.device == "cpu" else [1]:
            compare(options, size, threads)


if __name__ == "__main__":
    main()
