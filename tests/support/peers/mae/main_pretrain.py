"""A stand-in for MAE's code, with the entry points and the habits that tests/perf/whole/peer.py meets in the real one: an old timm, a module
that PyTorch no longer has, calls of CUDA, and a log on the standard output."""
import argparse
import os

import timm
import torch
import torchvision

assert timm.__version__ == "0.3.2"
import models_mae
import timm.optim.optim_factory as optim_factory
from torch._six import inf


def get_args_parser():
    parser = argparse.ArgumentParser(add_help=False)
    for name in ("batch_size", "epochs", "input_size", "warmup_epochs", "num_workers"):
        parser.add_argument(f"--{name}", type=int)
    for name in ("mask_ratio", "blr", "weight_decay"):
        parser.add_argument(f"--{name}", type=float)
    for name in ("model", "data_path", "device", "output_dir", "log_dir"):
        parser.add_argument(f"--{name}")
    parser.add_argument("--norm_pix_loss", action="store_true")
    parser.add_argument("--no_pin_mem", action="store_false", dest="pin_mem")
    return parser


def main(args):
    transform = torchvision.transforms.Compose([torchvision.transforms.RandomResizedCrop(args.input_size), torchvision.transforms.ToTensor()])
    dataset = torchvision.datasets.ImageFolder(os.path.join(args.data_path, "train"), transform)
    loader = torch.utils.data.DataLoader(dataset, args.batch_size, drop_last=True, num_workers=args.num_workers, pin_memory=args.pin_mem)
    model = models_mae.__dict__[args.model](norm_pix_loss=args.norm_pix_loss).to(args.device)
    optimizer = torch.optim.AdamW(optim_factory.add_weight_decay(model, args.weight_decay), lr=args.blr)
    for epoch in range(args.epochs):
        for images, _ in loader:
            loss = model(images)
            assert float(loss.detach()) < inf
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            torch.cuda.synchronize()
            print(epoch, float(loss.detach()))
