"""What plain torch shows of a GPU and its driver, in half a minute: a JSON line for each question.

    probe.py [--device cuda|cpu] [--small] [--only NAME...]

It needs nothing of Flowrun. What can leave a process unusable runs in one of its own.
"""
import argparse
import json
import os
import subprocess
import sys
import time

import torch
import torch.nn.functional as F


def first_line(error):
    return f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"[:300]


def outcome(work):
    """What a call does: its answer, or its error in words."""
    try:
        return str(work())
    except Exception as error:
        return first_line(error)


class Probe:
    def __init__(self, device, small):
        self.device, self.small, self.cuda = device, small, device == "cuda"

    def wait(self):
        if self.cuda:
            torch.cuda.synchronize()

    def ms(self, work, times=1):
        self.wait()
        start = time.perf_counter()
        for _ in range(times):
            work()
        self.wait()
        return 1e3 * (time.perf_counter() - start) / times

    # Each method is a question, and its docstring asks it; ALONE, ON_ANY and ALL say where and in which order.

    def captured_event(self):
        """Is an event that was recorded within a capture an error to wait for behind it?"""
        side, graph, event = torch.cuda.Stream(), torch.cuda.CUDAGraph(), torch.cuda.Event()
        x = torch.ones(1024, device="cuda")
        torch.cuda.synchronize()
        with torch.cuda.graph(graph):
            side.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(side):
                y = x * 2
                event.record(side)
            torch.cuda.current_stream().wait_stream(side)
            y.add_(1)
        wait = outcome(lambda: torch.cuda.current_stream().wait_event(event))
        query = outcome(event.query)
        return {"wait": wait, "query": query, "afterwards": outcome(lambda: (graph.replay(), torch.cuda.synchronize()))}

    def failed_capture(self):
        """Does the allocator recover from a capture that a read-back broke off?"""
        x = torch.ones(1024, device="cuda")
        torch.cuda.synchronize()

        def capture():
            with torch.cuda.graph(torch.cuda.CUDAGraph()):
                (x * 2).sum().item()

        error, side = outcome(capture), torch.cuda.Stream()
        y = torch.empty(64 << 20, device="cuda")
        y.record_stream(side)
        del y
        return {"capture": error, "empty_cache": outcome(torch.cuda.empty_cache), "reserved_mib": outcome(lambda: torch.cuda.memory_reserved() >> 20),
                "work": outcome(lambda: (x * 2).sum().item())}

    def overwritten_batch(self):
        """Does a copy that stands behind other work still read the bytes of now?"""
        host = torch.zeros(64 << 20, dtype=torch.uint8).pin_memory()
        a = torch.randn(8192, 8192, device="cuda", dtype=torch.bfloat16)
        torch.cuda.synchronize()
        for _ in range(40):  # 50 ms and more
            a @ a
        copied = host.to("cuda", non_blocking=True)
        host.fill_(1)
        return {"bytes_of_later": copied.float().mean().item()}

    def attention(self, cudnn=False):
        """First and later calls of attention by head width, forward and backward, ms; then lengths that are new."""
        torch.backends.cuda.enable_cudnn_sdp(cudnn)
        batch, heads, length = (2, 2, 17) if self.small else (1024, 16, 97)
        out = {}
        for width in (12, 16) if self.small else (12, 16, 24, 32, 64):
            times = [self.attention_ms(batch, heads, length, width) for _ in range(3 if self.small else 20)]
            out[f"width_{width}"] = {"first": times[0], "later": times[-1]}
            if width == 32:
                out["new_lengths_ms"] = [sum(self.attention_ms(batch, heads, length + i, width)) for i in range(1, 6)]
        return out

    def attention_of_cudnn(self):
        """The same where cuDNN's may be chosen."""
        return self.attention(cudnn=True)

    def attention_ms(self, batch, heads, length, width):
        q, k, v = (torch.randn(batch, heads, length, width, device=self.device, dtype=torch.bfloat16, requires_grad=True) for _ in range(3))
        seen = {}
        forward = self.ms(lambda: seen.update(y=F.scaled_dot_product_attention(q, k, v)))
        gradient = torch.ones_like(seen["y"])
        return [round(forward, 3), round(self.ms(lambda: seen["y"].backward(gradient)), 3)]

    def launches(self):
        """Host's time of a tiny kernel, without and with autograd."""
        count, x = 100 if self.small else 1000, torch.ones(64, device=self.device)

        def chain(y):
            for _ in range(count):
                y = y * 1.0
            return y

        leaf = torch.ones(64, device=self.device, requires_grad=True)
        self.ms(lambda: chain(x))
        return {"plain_us": 1e3 * self.ms(lambda: chain(x)) / count, "autograd_us": 1e3 * self.ms(lambda: chain(leaf).sum().backward()) / count}

    def graphs(self):
        """Time and memory of graphs with 2,000 nodes."""
        x, graphs, times = torch.ones(64, device="cuda"), [], {"capture": [], "first_play": [], "play": []}
        torch.cuda.synchronize()
        free = torch.cuda.mem_get_info()[0]
        for _ in range(64):
            graph = torch.cuda.CUDAGraph()

            def capture():
                with torch.cuda.graph(graph):
                    y = x
                    for _ in range(2000):
                        y = y * 1.0

            times["capture"].append(self.ms(capture))
            times["first_play"].append(self.ms(graph.replay))
            times["play"].append(self.ms(graph.replay))
            graphs.append(graph)
        return {**{f"{name}_ms": sorted(values)[len(values) // 2] for name, values in times.items()}, "mib_a_graph": (free - torch.cuda.mem_get_info()[0]) / 64 / 2**20}

    def empty_cache(self):
        """Giving 20 GiB back and taking them again, in expandable segments (see EXPANDABLE)."""
        pieces = [torch.empty(20 << 20, dtype=torch.uint8, device="cuda") for _ in range(1024)]
        del pieces
        back = self.ms(torch.cuda.empty_cache)
        kept = []
        again = self.ms(lambda: kept.extend(torch.empty(20 << 20, dtype=torch.uint8, device="cuda") for _ in range(1024)))
        del kept
        torch.cuda.empty_cache()
        return {"give_back_ms": back, "take_again_ms": again, "setting": os.environ.get("PYTORCH_CUDA_ALLOC_CONF", "")}

    def copies(self):
        """A batch of 256 pictures from page-locked memory; memory to memory on the device."""
        host = torch.zeros(38_535_168, dtype=torch.uint8).pin_memory()
        there, a = torch.empty_like(host, device="cuda"), torch.empty(1 << 30, dtype=torch.uint8, device="cuda")
        b = torch.empty_like(a)
        to_device, within = (self.ms(lambda: x.copy_(y, non_blocking=True), 10) for x, y in ((there, host), (b, a)))
        return {"batch_ms": to_device, "batch_gb_s": host.numel() / to_device / 1e6, "within_gb_s": 2 * a.numel() / within / 1e6}

    def products(self):
        """What matrix products reach: the ceilings of utilisation, TFLOP/s."""
        shapes = [(64, 64, 64)] if self.small else [(8192, 8192, 8192), (15872, 384, 1536), (99328, 192, 768), (15872, 1024, 4096)]
        out = {}
        for m, k, n in shapes:
            a, b = (torch.randn(*size, device=self.device, dtype=torch.bfloat16) for size in ((m, k), (k, n)))
            self.ms(lambda: a @ b, 3)
            out[f"{m}x{k}x{n}"] = 2 * m * k * n / self.ms(lambda: a @ b, 3 if self.small else 20) / 1e9
        return out

    def priorities(self):
        """Does work on a stream of low priority go on beside a busy one of high priority?"""
        low, high = torch.cuda.Stream(priority=0), torch.cuda.Stream(priority=-1)
        a = torch.randn(2048, 2048, device="cuda", dtype=torch.bfloat16)

        def work(*streams):
            for _ in range(200):
                for stream in streams:
                    with torch.cuda.stream(stream):
                        a @ a

        self.ms(lambda: work(low, high))
        return {"low_ms": self.ms(lambda: work(low)), "high_ms": self.ms(lambda: work(high)), "both_ms": self.ms(lambda: work(low, high))}


EXPANDABLE = {"PYTORCH_CUDA_ALLOC_CONF": "expandable_segments:True"}
ALONE = ("captured_event", "failed_capture", "empty_cache")
ON_ANY = ("attention", "launches", "products")
# The longest last: whatever the time allows is known by then.
ALL = ("captured_event", "failed_capture", "empty_cache", "overwritten_batch", "launches", "copies", "products", "priorities", "graphs", "attention",
       "attention_of_cudnn")


def rounded(value):
    if isinstance(value, dict):
        return {key: rounded(one) for key, one in value.items()}
    return round(value, 4) if isinstance(value, float) else value


def ask(probe, name):
    if not probe.cuda and name not in ON_ANY:
        return {"probe": name, "skipped": "only a GPU has it"}
    start = time.perf_counter()
    try:
        answer = rounded(getattr(probe, name)())
    except Exception as error:
        answer = {"failed": first_line(error)}
    return {"probe": name, **answer, "seconds": round(time.perf_counter() - start, 2)}


def say_ended(alone, wait=False):
    """Lines of the processes that have ended, or of all."""
    for name, process in list(alone.items()):
        if wait or process.poll() is not None:
            line = process.communicate()[0].strip()
            print(line or json.dumps({"probe": name, "failed": f"the process ended with status {process.returncode}"}), flush=True)
            del alone[name]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--only", nargs="+", choices=ALL)
    args = parser.parse_args()
    probe, alone = Probe(args.device, args.small), {}
    if not args.only and args.device == "cuda":
        torch.zeros(1, device="cuda")
        # They begin beside the others: each needs seconds to start.
        alone = {name: subprocess.Popen([sys.executable, __file__, "--only", name], env={**os.environ, **EXPANDABLE}, stdout=subprocess.PIPE,
                                        stderr=subprocess.DEVNULL, text=True) for name in ALONE}
    for name in [name for name in args.only or ALL if name not in alone]:
        print(json.dumps(ask(probe, name)), flush=True)
        say_ended(alone)
    say_ended(alone, wait=True)


if __name__ == "__main__":
    main()
