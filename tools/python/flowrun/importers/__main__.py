"""Makes a pipeline of a configuration of another project; `flowrun import` starts this program.

    python FOLDER FILE [--out FILE.json [--overwrite]] [--from PROJECT] [--data FOLDER] [--gpus N] [--pictures N] [--set PATH=VALUE …] [--json]

Needs PyYAML. Exit status: 0 done, 1 the file could not be written, 2 the configuration or the command line is wrong.
"""
import argparse
import json
import pathlib
import sys
from typing import Any

sys.dont_write_bytecode = True  # this folder may be shared, or not ours

import config
import dinov2
import ijepa
import mae
import solo_learn
from config import Config, ConfigError
from options import Options
from recipe import Recipe, text_of

PROJECTS: dict[str, Any] = {"ijepa": ijepa, "dinov2": dinov2, "solo-learn": solo_learn, "mae": mae}


def opened(args: argparse.Namespace) -> tuple[str, Config, Recipe]:
    content = config.read(args.file)
    if not isinstance(content, dict) or not content:
        raise ConfigError("the file has no keys", "name a configuration of I-JEPA, MAE, DINOv2 or solo-learn")
    folder = pathlib.Path(args.file).parent
    entries, read, gone = content.get("defaults"), [], []
    if entries is not None:
        content, read, gone = config.compose(content, folder)
    values = config.resolve(config.flat(content))
    name = args.project or next((name for name, project in PROJECTS.items() if project.belongs(values)), "")
    if not name:
        raise ConfigError("the keys are not those of I-JEPA, MAE, DINOv2 or solo-learn", "name the project: --from ijepa, mae, dinov2 or solo-learn")
    if entries is not None:
        values["defaults"] = entries
    project = PROJECTS[name]
    c = Config(values, getattr(project, "DEFAULTS", {}))
    options = Options("standard input" if args.file == "-" else pathlib.Path(args.file).name, args.data, args.gpus, args.pictures)
    r = project.convert(c, options)
    if entries is not None:
        c.used["defaults"] = []
        r.notes = [f"read with it: {', '.join(read)}"] * bool(read) + r.notes
        for file in gone:
            if not file.startswith("wandb"):
                r.note(f"defaults: {file} was not found beside the file; its values are those of shipped:{r.base}")
    for text in args.sets:
        path, equal, value = text.partition("=")
        if not equal or not path:
            raise ConfigError(f"--set {text}: it must be PATH=VALUE", "--set run.epochs=100")
        try:
            r.set(path, json.loads(value, parse_constant=int), because="--set")  # int refuses NaN and Infinity
        except ValueError:
            r.set(path, value, because="--set")
    return name, c, r


def reasons(found: dict[str, str], values: dict[str, Any]) -> list[str]:
    """Lines of keys and the reason why they are not used. Keys with the same reason share a line; more than six of one section are shown as its name."""
    lines = []
    for why in dict.fromkeys(found.values()):
        keys = [key for key, reason in found.items() if reason == why]
        sections = {key.split(".")[0] for key in keys}
        if len(keys) > 6 and len(sections) == 1:
            shown = [f"{sections.pop()}.* ({len(keys)} keys)"]
        else:
            shown = [f"{key} {config.shown(values[key])}" if len(keys) == 1 else key for key in keys]
        lines.append(f"  {', '.join(shown)}: {why}")
    return lines


def report(c: Config, r: Recipe) -> list[str]:
    lines = [f"note: {note}" for note in r.notes]
    if c.none:
        lines += ["no counterpart:", *reasons(c.none, c.values)]
    if c.idle:
        lines += ["no meaning here:", *reasons(c.idle, c.values)]
    if c.unknown():
        lines += ["not known, and not read:", *(f"  {key} {text_of(c.values[key])}" for key in c.unknown())]
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("file")
    parser.add_argument("--out", default="")
    parser.add_argument("--overwrite", action="store_true")
    parser.add_argument("--from", dest="project", choices=PROJECTS, default="")
    parser.add_argument("--data", default="")
    parser.add_argument("--gpus", type=int, default=0)
    parser.add_argument("--pictures", type=int, default=0)
    parser.add_argument("--set", dest="sets", action="append", default=[])
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    out = pathlib.Path(args.out)
    if args.out and out.exists():
        if args.file != "-" and pathlib.Path(args.file).exists() and out.samefile(args.file):
            sys.exit(say(f"error: {args.out} is the configuration itself: give another -o; nothing was written", 2))
        if not args.overwrite:
            sys.exit(say(f"error: {args.out} exists already: give another -o, or --overwrite; nothing was written", 2))
    try:
        name, c, r = opened(args)
    except ConfigError as error:
        fix = f"\n  {error.fix}" if error.fix else ""
        sys.exit(say(f"error: {args.file}: {error}{fix}", 2))
    lines = report(c, r)
    title = f"Made by flowrun import from {args.file}, {PROJECTS[name].NAME}. The comment behind a line names the key that it comes from."
    text = r.text([title, *lines, ""])
    if args.out:
        try:
            out.write_text(text)
        except OSError as error:
            sys.exit(say(f"error: {args.out} can't be written: {error.strerror}", 1))
    if args.json:
        keys = {"used": c.used, "no_counterpart": c.none, "no_meaning": c.idle, "unknown": c.unknown()}
        print(json.dumps({"project": name, "extends": r.base, "keys": keys, "notes": r.notes, **({"out": args.out} if args.out else {"pipeline": text})}, indent=2))
        return
    if not args.out:
        print(text, end="")
    say("\n".join(lines))
    if args.out:
        print(f"{args.out}: {PROJECTS[name].NAME}, on shipped:{r.base}; {len(c.used)} keys used, {len(c.none)} without counterpart, {len(c.idle)} without meaning, "
              f"{len(c.unknown())} not known\nnext: flowrun check {args.out}")


def say(text: str, status: int = 0) -> int:
    if text:
        print(text, file=sys.stderr)
    return status


if __name__ == "__main__":
    main()
