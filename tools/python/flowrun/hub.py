"""Model graphs for a folder that `flowrun export` wrote: ONNX and torch.export, checked against features that Flowrun computed.

    python -m flowrun.hub FOLDER [--onnx] [--pt2] [--json]

--onnx writes FOLDER/model.onnx, --pt2 FOLDER/model.pt2; one that is there already is checked again. Each takes "images" [batch, 3, side,
side], normalised, of any batch size, and gives "features" [batch, width]. A file appears once its features are those of check.safetensors, to 1e-4 of
the largest; FOLDER/README.md then tells of it. Needs timm and safetensors; model.onnx also onnx, onnxscript and onnxruntime.

`flowrun export` starts this file alone, with the interpreter that FLOWRUN_PYTHON names, or the one whose torch Flowrun is linked with.
"""
import argparse
import functools
import importlib.util
import json
import logging
import os
import pathlib
import re
import sys
import tempfile
import warnings
from typing import Any

Path = str | os.PathLike
TOLERANCE = 1e-4
MOST_BYTES = 1_900_000_000  # of weights inside model.onnx: a message of protocol buffers has 2 GB at most
HEADING = "## Model graphs"
ALWAYS, FOR_ONNX = ["torch", "timm", "safetensors"], ["onnx", "onnxscript", "onnxruntime"]


class HubError(RuntimeError):
    """What is missing or wrong, in a sentence."""


def require(names: list[str]) -> None:
    missing = [name for name in names if importlib.util.find_spec(name) is None]
    if missing:
        raise HubError(f"{sys.executable} has no {', '.join(missing)}: {sys.executable} -m pip install {' '.join(missing)}")


def notes_of(folder: pathlib.Path) -> dict[str, str]:
    import safetensors

    with safetensors.safe_open(folder / "model.safetensors", "pt") as opened:
        return opened.metadata() or {}


def load(folder: Path) -> Any:
    """The folder's model as timm's module, in evaluation mode."""
    import timm
    import torch

    folder = pathlib.Path(folder)
    norm_eps = notes_of(folder).get("norm_eps")  # timm's configuration can't say it
    more: dict[str, Any] = {"norm_layer": functools.partial(torch.nn.LayerNorm, eps=float(norm_eps))} if norm_eps else {}
    return timm.create_model(f"local-dir:{folder}", pretrained=True, **more).eval()


def check_file(folder: pathlib.Path) -> dict[str, Any]:
    from safetensors.torch import load_file

    file = folder / "check.safetensors"
    if not file.exists():
        raise HubError(f"{file} is missing: flowrun export RUN {folder} --onnx --pt2 writes it with the weights")
    return load_file(file)


def difference(found: Any, expected: Any) -> float:
    """The largest, as a share of the largest value, where that is above 1."""
    return ((found - expected).abs().max() / expected.abs().max().clamp(min=1)).item()


def compared(name: str, features: Any, check: dict[str, Any]) -> float:
    """Runs `features` on the check's images, together and one by one. Raises HubError."""
    images, expected = check["images"], check["features"]
    worst = max(difference(features(images), expected), *(difference(features(images[i:i + 1]), expected[i:i + 1]) for i in range(len(images))))
    if not worst <= TOLERANCE:
        raise HubError(f"{name} gives other features than Flowrun: they differ by {worst:.2g} of the largest, more than {TOLERANCE:.0e}")
    return worst


def check_onnx(file: pathlib.Path, check: dict[str, Any]) -> dict[str, Any]:
    import onnx
    import onnxruntime
    import torch

    opset = next(entry.version for entry in onnx.load(file, load_external_data=False).opset_import if not entry.domain)
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    features = lambda images: torch.from_numpy(session.run(["features"], {"images": images.numpy()})[0])  # noqa: E731
    return {"file": file.name, "opset": opset, "difference": compared(file.name, features, check)}


def check_pt2(file: pathlib.Path, check: dict[str, Any]) -> dict[str, Any]:
    import torch

    model = torch.export.load(file).module()
    with torch.no_grad():
        return {"file": file.name, "difference": compared(file.name, model, check)}


def export_pt2(program: Any, images: Any, file: pathlib.Path) -> None:
    import torch

    torch.export.save(program, file)


def export_onnx(program: Any, images: Any, file: pathlib.Path) -> None:
    import torch

    size = sum(value.nbytes for value in program.state_dict.values())
    torch.onnx.export(program, (images,), file, dynamo=True, verbose=False, input_names=["images"], output_names=["features"],
                      dynamic_shapes=({0: torch.export.Dim("batch")},), external_data=size > MOST_BYTES)


KINDS = {"onnx": (export_onnx, check_onnx), "pt2": (export_pt2, check_pt2)}


def write(folder: Path, *, onnx: bool = False, pt2: bool = False) -> dict[str, dict[str, Any]]:
    """Writes the graphs that are asked for, and checks those that are there. {"onnx": {"file", "opset", "difference"}, "pt2": {…}}"""
    folder = pathlib.Path(folder)
    chosen = {kind for kind, wanted in (("onnx", onnx), ("pt2", pt2)) if wanted}
    kinds = [kind for kind in KINDS if kind in chosen or (folder / f"model.{kind}").exists()]
    if not kinds:
        raise HubError(f"{folder} has neither model.onnx nor model.pt2: --onnx and --pt2 write them")
    require(ALWAYS + (FOR_ONNX if "onnx" in kinds else []))
    check, program, found = check_file(folder), None, {}
    for kind in kinds:
        export, test = KINDS[kind]
        if kind not in chosen:
            found[kind] = test(folder / f"model.{kind}", check)
            continue
        program = program or exported(folder, check["images"])
        with tempfile.TemporaryDirectory(dir=folder) as place:
            export(program, check["images"], pathlib.Path(place) / f"model.{kind}")
            found[kind] = test(pathlib.Path(place) / f"model.{kind}", check)
            for path in pathlib.Path(place).iterdir():  # model.onnx, and model.onnx.data of large models
                path.replace(folder / path.name)
    tell(folder, found, check)
    return found


def exported(folder: pathlib.Path, images: Any) -> Any:
    """The model as torch.export's program, for batches of any size."""
    import torch

    with torch.no_grad():
        return torch.export.export(load(folder), (images,), dynamic_shapes=({0: torch.export.Dim("batch")},))


def tell(folder: pathlib.Path, found: dict[str, dict[str, Any]], check: dict[str, Any]) -> None:
    """Writes the section of README.md anew."""
    name, (_, _, side, _), width = folder.resolve().name, check["images"].shape, check["features"].shape[1]
    lines = [HEADING, "", f"For `images` [batch, 3, {side}, {side}] of any batch size, made by the `transform` above, they give `features` [batch, {width}].", ""]
    if "onnx" in found:
        lines += [f"`model.onnx` is ONNX, opset {found['onnx']['opset']}:", "", "```python", "import onnxruntime",
                  f'session = onnxruntime.InferenceSession("{name}/model.onnx")',
                  'features, = session.run(["features"], {"images": images.numpy()})', "```", ""]
    if "pt2" in found:
        lines += ["`model.pt2` is a program of torch.export, which needs no timm:", "", "```python", "import torch",
                  f'model = torch.export.load("{name}/model.pt2").module()', "features = model(images)", "```", ""]
    differences = " and ".join(f"{entry['difference']:.1g} (`{entry['file']}`)" for entry in found.values())
    lines += [f"`check.safetensors` holds {len(check['images'])} images with the features that Flowrun computed. Those of the graphs differ by {differences} "
              f"of the largest value; `python -m flowrun.hub {name}` checks again."]
    card = folder / "README.md"
    text = card.read_text() if card.exists() else ""
    text = re.sub(rf"\n*^{HEADING}\n.*?(?=^## |\Z)", "\n\n", text, flags=re.DOTALL | re.MULTILINE).rstrip("\n")
    card.write_text(text + "\n\n" + "\n".join(lines) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m flowrun.hub", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--onnx", action="store_true", help="write model.onnx")
    parser.add_argument("--pt2", action="store_true", help="write model.pt2")
    parser.add_argument("--json", action="store_true", help="print JSON")
    args = parser.parse_args()
    warnings.simplefilter("ignore")  # torch's own, of its own code
    logging.disable(logging.WARNING)
    try:
        found = write(args.folder, onnx=args.onnx, pt2=args.pt2)
    except HubError as error:
        sys.exit(f"error: {error}")
    if args.json:
        print(json.dumps(found))
        return
    for entry in found.values():
        opset = f"opset {entry['opset']}, " if "opset" in entry else ""
        print(f"{args.folder / entry['file']}: {opset}features differ from Flowrun's by {entry['difference']:.1g} of the largest")


if __name__ == "__main__":
    main()
