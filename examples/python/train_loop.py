"""Training in plain PyTorch on Flowrun's input: crops, flips and batches come from a pipeline file, the model and the loop are yours.

    python examples/python/train_loop.py [STEPS] [STATE.pt]

It saves the model and the place in the data together; called again, it goes on with the next batch, as if it had never stopped.
"""
import pathlib
import sys

import flowrun
import torch
from torch import nn

steps = int(sys.argv[1]) if len(sys.argv) > 1 else 300
saved = pathlib.Path(sys.argv[2] if len(sys.argv) > 2 else "state.pt")

batches = flowrun.open(pathlib.Path(__file__).parent / "shapes.json", until="batch", set={"batch.group": 64})
torch.manual_seed(0)
model = nn.Sequential(nn.Conv2d(3, 32, 5, 2), nn.ReLU(), nn.Conv2d(32, 64, 5, 2), nn.ReLU(), nn.Flatten(), nn.LazyLinear(len(batches.classes)))
model(torch.zeros(1, 3, 32, 32))  # gives the last layer its size
optimizer = torch.optim.AdamW(model.parameters(), 1e-3)
if saved.exists():
    state = torch.load(saved)
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    batches.load_state_dict(state["batches"])

step = batches.state_dict()["groups"]
while step < steps:
    for batch in batches:  # to the end of the epoch; the next `for` is the next one
        images = batch["image"].permute(0, 3, 1, 2).float() / 255  # B H W C bytes, without a copy until here
        loss = nn.functional.cross_entropy(model(images), batch["label"])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        step = batch.step
        if step % 50 == 0:
            print(f"step {step}  epoch {batch.epoch}  loss {loss.item():.4f}  ledger {batches.ledger}", flush=True)
        if step == steps:
            break
torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict(), "batches": batches.state_dict()}, saved)
