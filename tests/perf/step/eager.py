"""One Bootleg training step in PyTorch, for compare.py: the protocol, sizes and arithmetic of step.cpp.

    eager.py eager|compile|graphs device precision threads image patch width depth heads batch visible regions length

The twin gets what a careful user would give it: the fused AdamW and one foreach call for the moving average. compile:
torch.compile over teacher and targets, and over student, predictor and loss. graphs: the whole step captured once as a
CUDA graph and replayed. What fails is answered by a line "error: why"; the program then ends.
"""

import os
import resource
import sys
import time
from pathlib import Path

import torch
import torch.nn.functional as F

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "reference"))
from twin import Encoder, Predictor, decay_groups, make_targets  # noqa: E402


class Step:
    def __init__(self, mode, device, precision, image, patch, width, depth, heads, batch, visible_count, regions, length):
        self.device, self.autocast = device, precision == "bf16"
        torch.set_float32_matmul_precision("highest" if precision == "fp32" else "high")
        torch.manual_seed(1)
        self.numbers = [1, *range(4, depth + 1, 4)]
        with torch.device(device):
            self.student, self.teacher = (Encoder(image, patch, width, depth, heads) for _ in range(2))
            self.predictor = Predictor(image // patch, width, width // 2, 10, max(16, heads), len(self.numbers) * width)
        self.teacher.load_state_dict(self.student.state_dict())
        self.teacher.requires_grad_(False)
        decayed, plain = decay_groups(self.student, self.predictor)
        self.optimizer = torch.optim.AdamW([dict(params=decayed, weight_decay=0.05), dict(params=plain, weight_decay=0.0)], lr=1e-3,
                                           betas=(0.9, 0.95), fused=True, capturable=mode == "graphs")
        self.images = torch.randn(batch, 3, image, image).to(device)
        order = torch.stack([torch.randperm((image // patch) ** 2) for _ in range(batch)])
        hidden = order[:, visible_count:]
        repeat = -(-regions * length // hidden.shape[1])
        self.visible = order[:, :visible_count].contiguous().to(device)
        self.targets = hidden.repeat(1, repeat)[:, : regions * length].reshape(batch, regions, length).contiguous().to(device)
        self.teacher_parameters, self.student_parameters = list(self.teacher.parameters()), list(self.student.parameters())
        self.make_target, self.compare = self.target_of, self.loss_of
        if mode == "compile":
            self.make_target, self.compare = torch.compile(self.target_of), torch.compile(self.loss_of)

    def target_of(self, images, targets):
        return make_targets(self.teacher.hidden(images, self.numbers), targets)

    def loss_of(self, images, visible, targets, target):
        return F.mse_loss(self.predictor(*self.student(images, visible), visible, targets).float(), target)

    def within(self):
        return torch.autocast(self.device, torch.bfloat16, enabled=self.autocast, cache_enabled=False)

    def update(self, loss, lap=lambda: None):
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        lap()
        self.optimizer.step()
        lap()
        with torch.no_grad():
            torch._foreach_lerp_(self.teacher_parameters, [p.detach() for p in self.student_parameters], 1 - 0.9985)
        lap()

    def run(self):
        with self.within():
            with torch.no_grad():
                target = self.make_target(self.images, self.targets)
            loss = self.compare(self.images, self.visible, self.targets, target)
        self.update(loss)
        return loss

    def parts(self, lap):
        with self.within():
            with torch.no_grad():
                tapped = self.teacher.hidden(self.images, self.numbers)
                lap()
                target = make_targets(tapped, self.targets)
                lap()
            cls, tokens = self.student(self.images, self.visible)
            lap()
            prediction = self.predictor(cls, tokens, self.visible, self.targets)
            lap()
            loss = F.mse_loss(prediction.float(), target)
            lap()
        self.update(loss, lap)


def captured(step):
    """The step as a CUDA graph; returns what replays it."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            step.run()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        loss = step.run()

    def replay():
        graph.replay()
        return loss

    return replay


def peak_mib(device):
    """On a GPU what the allocator reserved there."""
    if device == "cuda":
        return torch.cuda.max_memory_reserved() / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def serve(mode, device, precision, threads, *sizes):
    torch.set_num_threads(int(threads))
    if device == "cuda":
        torch.backends.cuda.enable_cudnn_sdp(False)  # Flowrun's choice: cuDNN makes a plan for each new shape
    step = Step(mode, device, precision, *map(int, sizes))
    wait = torch.cuda.synchronize if device == "cuda" else lambda: None
    run = captured(step) if mode == "graphs" else step.run
    for line in sys.stdin:
        if line == "memory\n":
            print(f"{peak_mib(device):.1f}", flush=True)
        elif line == "parts\n":
            clock = [time.perf_counter()]
            step.parts(lambda: (wait(), clock.append(time.perf_counter())))
            print(*(f"{1e3 * (b - a):.3f}" for a, b in zip(clock, clock[1:])), flush=True)
        else:
            start = time.perf_counter()
            loss = run()
            wait()
            print(f"{1e3 * (time.perf_counter() - start):.3f} {loss.item():.6f}", flush=True)


def main(*words):
    try:
        serve(*words)
    except Exception as error:
        print(f"error: {(str(error).splitlines() or [type(error).__name__])[0]}", flush=True)
        os._exit(1)  # what a failed capture left behind can't always be freed


if __name__ == "__main__":
    main(*sys.argv[1:])
