"""One Bootleg training step in eager PyTorch, for compare.py: the protocol, sizes and arithmetic of step.cpp.

The twin gets what a careful user would give it: the fused AdamW and one foreach call for the moving average.
"""

import sys
import time
from pathlib import Path

import torch
import torch.nn.functional as F

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "reference"))
from twin import Encoder, Predictor, decay_groups, make_targets  # noqa: E402

PARTS = ["teacher", "targets", "student", "predictor", "loss", "backward", "adamw", "ema"]


def main(threads, image, patch, width, depth, heads, taps, batch, visible_count, regions, length):
    torch.set_num_threads(threads)
    torch.manual_seed(1)
    student, teacher = (Encoder(image, patch, width, depth, heads) for _ in range(2))
    predictor = Predictor(image // patch, width, width // 2, 10, 16, taps * width)
    teacher.load_state_dict(student.state_dict())
    teacher.requires_grad_(False)
    decayed, plain = decay_groups(student, predictor)
    optimizer = torch.optim.AdamW([dict(params=decayed, weight_decay=0.05), dict(params=plain, weight_decay=0.0)],
                                  lr=1e-3, betas=(0.9, 0.95), fused=True)
    numbers = [i * depth // taps for i in range(1, taps + 1)]
    images = torch.randn(batch, 3, image, image)
    order = torch.stack([torch.randperm((image // patch) ** 2) for _ in range(batch)])
    visible, hidden = order[:, :visible_count].contiguous(), order[:, visible_count:]
    repeat = -(-regions * length // hidden.shape[1])
    targets = hidden.repeat(1, repeat)[:, : regions * length].reshape(batch, regions, length).contiguous()
    teacher_parameters, student_parameters = list(teacher.parameters()), list(student.parameters())

    for _ in sys.stdin:
        clock = [time.perf_counter()]
        lap = lambda: clock.append(time.perf_counter())  # noqa: E731
        with torch.no_grad():
            tapped = teacher.hidden(images, numbers)
            lap()
            target = make_targets(tapped, targets)
            lap()
        cls, tokens = student(images, visible)
        lap()
        prediction = predictor(cls, tokens, visible, targets)
        lap()
        loss = F.mse_loss(prediction, target)
        lap()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        lap()
        optimizer.step()
        lap()
        with torch.no_grad():
            torch._foreach_lerp_(teacher_parameters, [p.detach() for p in student_parameters], 1 - 0.9985)
        lap()
        parts = " ".join(f"{1e3 * (b - a):.3f}" for a, b in zip(clock, clock[1:]))
        print(f"{1e3 * (clock[-1] - clock[0]):.3f} {loss.item():.6f} {parts}", flush=True)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
