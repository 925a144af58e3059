"""A stand-in for I-JEPA's code, with the entry point and the habits that tests/perf/whole/peer.py meets in the real one: main(args), worker
processes that are started anew, a wrapper that needs a process group, and a log on the standard output."""
import copy
import os

import torch
import torch.multiprocessing
import torchvision
from src.models import vision_transformer
from torch.nn.parallel import DistributedDataParallel


def main(args):
    torch.multiprocessing.set_start_method("spawn")
    data, meta = args["data"], args["meta"]
    size, patch = data["crop_size"], args["mask"]["patch_size"]
    transform = torchvision.transforms.Compose([torchvision.transforms.RandomResizedCrop(size, scale=data["crop_scale"]), torchvision.transforms.ToTensor()])
    dataset = torchvision.datasets.ImageFolder(os.path.join(data["root_path"], data["image_folder"], "train"), transform)
    loader = torch.utils.data.DataLoader(dataset, data["batch_size"], shuffle=True, drop_last=True, num_workers=data["num_workers"], pin_memory=data["pin_mem"])
    encoder = vision_transformer.__dict__[meta["model_name"]](img_size=[size], patch_size=patch)
    width, heads = encoder.norm.normalized_shape[0], encoder.blocks[0].self_attn.num_heads
    predictor = vision_transformer.Predictor(width, meta["pred_emb_dim"], meta["pred_depth"], heads)
    teacher = copy.deepcopy(encoder)
    optimizer = torch.optim.AdamW([*encoder.parameters(), *predictor.parameters()], weight_decay=float(args["optimization"]["weight_decay"]))
    encoder, predictor = DistributedDataParallel(encoder, static_graph=True), DistributedDataParallel(predictor, static_graph=True)
    for epoch in range(args["optimization"]["epochs"]):
        for images, _ in loader:
            with torch.no_grad():
                target = teacher(images)
            loss = torch.nn.functional.smooth_l1_loss(predictor(encoder(images)), target)
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            print(epoch, float(loss.detach()))
