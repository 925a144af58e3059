"""The same input for Lightning: the batches are an IterableDataset, so a DataLoader passes them on as they are.

    python examples/python/lightning.py [EPOCHS]
"""
import pathlib
import sys

import flowrun
import pytorch_lightning as lightning
import torch
from torch import nn
from torch.utils.data import DataLoader


class Classifier(lightning.LightningModule):
    def __init__(self, classes):
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(3, 32, 5, 2), nn.ReLU(), nn.Conv2d(32, 64, 5, 2), nn.ReLU(), nn.Flatten(), nn.Linear(64 * 25, classes))

    def training_step(self, batch, _):
        loss = nn.functional.cross_entropy(self.layers(batch["image"].permute(0, 3, 1, 2).float() / 255), batch["label"])
        self.log("loss", loss, prog_bar=True)
        return loss

    def configure_optimizers(self):
        return torch.optim.AdamW(self.parameters(), 1e-3)


epochs = int(sys.argv[1]) if len(sys.argv) > 1 else 5
batches = flowrun.open(pathlib.Path(__file__).parent / "shapes.json", until="batch", set={"batch.group": 64})
trainer = lightning.Trainer(max_epochs=epochs, accelerator="cpu", logger=False, enable_checkpointing=False, enable_model_summary=False)
trainer.fit(Classifier(len(batches.classes)), DataLoader(batches, batch_size=None))  # the threads are flowrun's: no workers
print(f"loss {trainer.callback_metrics['loss'].item():.4f} after {trainer.global_step} steps of {len(batches)} an epoch")
