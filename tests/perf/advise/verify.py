"""Prints how far the forecasts of `flowrun advise` are from what was measured, over shipped pipelines.

    verify.py FLOWRUN [--seconds 20] [--cifar10 DIR] [--photographs DIR]

Each trial slows one side of a pipeline down and up again within one run; the forecast starts from the speed in between.
Pipelines whose data isn't there are left out, and named. Run it on an otherwise idle machine.
"""

import argparse
import json
import pathlib
import statistics
import subprocess
import sys

PIPELINES = pathlib.Path(__file__).resolve().parents[3] / "pipelines"


def cases(args):
    yield "quickstart", "quickstart.json", []
    yield "textures/mae", "compare/textures/mae.json", []
    if args.cifar10:
        yield "cifar10, batch 32", "cifar10.json", [f"let.path={args.cifar10}", "batch.size=32", "batch.group=16"]
    if args.photographs:
        yield "pretrain at 64 pixels", "pretrain.json", [f"files.path={args.photographs}", "let.size=64", "let.patch=16", "batch.size=8", "batch.group=4"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("flowrun")
    parser.add_argument("--seconds", default="20")
    parser.add_argument("--cifar10")
    parser.add_argument("--photographs")
    args = parser.parse_args()
    errors = []
    print("| pipeline | tried | as it is | forecast | measured | error |\n|---|---|---|---|---|---|")
    for name, file, sets in cases(args):
        changes = [word for one in sets for word in ("--set", one)]
        done = subprocess.run([args.flowrun, "advise", PIPELINES / file, *changes, "--seconds", args.seconds, "--verify", "--json"],
                              stdout=subprocess.PIPE, text=True)
        if done.returncode:
            sys.exit(f"{name}: flowrun advise failed")
        for line in json.loads(done.stdout)["verified"]:
            errors.append(line["error"])
            print(f"| {name} | {line['what']} | {line['as_it_is']:.4g} | {line['predicted']:.4g} | {line['measured']:.4g} | {100 * line['error']:+.0f} % |",
                  flush=True)
    size = sorted(abs(error) for error in errors)
    print(f"\n{len(size)} forecasts: median error {100 * statistics.median(size):.0f} %, "
          f"{sum(error <= 0.15 for error in size)} within 15 %, largest {100 * size[-1]:.0f} %")
    missing = [option for option in ("cifar10", "photographs") if not getattr(args, option)]
    if missing:
        print(f"left out, for want of --{' and --'.join(missing)}")


if __name__ == "__main__":
    main()
