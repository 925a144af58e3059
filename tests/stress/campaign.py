#!/usr/bin/env python3
"""Kills, damage and made-up files, many of each: nothing may be lost, wrong in silence, or without an end.

    campaign.py FLOWRUN [--kills 100] [--pipelines 2000] [--files 2000] [--only PART…] [--seed 0] [--keep]

- kills: a run is killed (SIGKILL) at random moments and resumed, until it is done: steps, ledgers, losses and the last
  checkpoint equal those of a run that was left alone.
- pipelines: random changes, rough ones of the text of shipped pipelines and gentle ones of values and names (gentle.py):
  `check` ends at once with 0 or 2, and never with a signal, an exception's own words or an empty message. Small ones that
  it finds right are run for a step, which ends the same way.
- files: pictures with random changes, by tens in folders: a run over them replaces what can't be read, and ends.
- checkpoint: each file of a checkpoint is cut, emptied, extended, deleted, and changed in single bytes: a resume goes on
  from the one before with a warning and ends with the same history, or says what is wrong; never with other numbers.

Prints one line for each part, and exits with 1 at the first finding, whose files stay. For the nightly: not in ctest.
"""
import argparse
import io
import json
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "cli"))
import support  # noqa: E402
from gentle import Gentle  # noqa: E402
from PIL import Image  # noqa: E402

parser = argparse.ArgumentParser()
parser.add_argument("flowrun", type=pathlib.Path)
parser.add_argument("--kills", type=int, default=100)
parser.add_argument("--pipelines", type=int, default=2000)
parser.add_argument("--files", type=int, default=2000)
parser.add_argument("--only", nargs="+", choices=("kills", "pipelines", "files", "checkpoint"))
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--keep", action="store_true")
options = parser.parse_args()
flowrun = options.flowrun.resolve()
chance = random.Random(options.seed)
work = pathlib.Path(tempfile.mkdtemp(prefix="flowrun-campaign-"))


class Finding(Exception):
    pass


def call(*args, timeout=600):  # the machine may have much other load
    try:
        return subprocess.run([flowrun, *map(str, args)], cwd=work, capture_output=True, timeout=timeout)
    except subprocess.TimeoutExpired as error:
        raise Finding(f"{args} did not end in {timeout} s") from error


def must_end_in_words(done, statuses, what):
    text = (done.stdout + done.stderr).decode(errors="replace")
    bad = done.returncode not in statuses or "json.exception" in text or "std::" in text or (done.returncode != 0 and not text.strip())
    if bad:
        raise Finding(f"{what}: exit {done.returncode}\n{text[-2000:]}")


def history(out):
    lines = [json.loads(line) for line in (work / out / "metrics.jsonl").read_text().splitlines()]
    return [(line["step"], line["ledger"], line["loss"]) for line in lines]


def last_checkpoint(out):
    newest = max((work / out / "checkpoints").glob("step-*"), key=lambda path: int(path.name[5:]))
    return newest.name, {path.name: path.read_bytes() for path in newest.glob("*.safetensors")}


def training(epochs):
    (work / "train.json").write_text(json.dumps(support.training_pipeline(epochs=epochs)))


def kills():
    training(30)
    must_end_in_words(call("train.json", "--out", "whole", "--quiet"), {0}, "the run that is left alone")
    done = rounds = 0
    while done < options.kills:
        rounds += 1
        out = f"killed-{rounds}"
        for attempt in range(1000):
            args = ["train.json", "--out", out, "--quiet", *(["--resume"] if (work / out / "pipeline.resolved.json").exists() else [])]
            process = subprocess.Popen([flowrun, *args], cwd=work, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            try:
                _, err = process.communicate(timeout=chance.choice((0.2, 0.4, 0.6, 0.8, 1.2)) * (1 + attempt / 10))
                if process.returncode != 0:
                    raise Finding(f"a resumed run failed: {err.decode(errors='replace')}")
                break
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()
                done += 1
        if history(out) != history("whole") or last_checkpoint(out) != last_checkpoint("whole"):
            raise Finding(f"{work / out} is not the run that was left alone")
        shutil.rmtree(work / out)
    return f"{done} kills of {rounds} runs, all equal to the run that was left alone"


def changed(data, words=()):
    """A few random changes: bits, pieces lost, doubled, moved, or replaced by a word."""
    data = bytearray(data)
    for _ in range(chance.choice((1, 1, 1, 2, 3, 8))):
        at, length = chance.randrange(len(data) + 1), chance.choice((1, 1, 2, 4, 16, 64))
        kind = chance.randrange(6)
        if kind == 0 and at < len(data):
            data[at] ^= 1 << chance.randrange(8)
        elif kind == 1:
            del data[at : at + length]
        elif kind == 2:
            data[at:at] = data[at : at + length] * chance.choice((1, 2, 50))
        elif kind == 3:
            data[at : at + length] = chance.randbytes(length)
        elif kind == 4 and words:
            data[at : at + length] = chance.choice(words)
        elif kind == 5:
            del data[at:]
        data = data or bytearray(b" ")
    return bytes(data)


def small_pipelines():
    """Makes a step of them fast."""
    evaluated = support.training_pipeline()
    evaluated["nodes"].update(support.frozen_streams())
    evaluated["nodes"]["knn"] = {"type": "eval.knn", "in": {"train": "known_features", "test": "unseen_features"}, "at": ["start", "end"]}
    return [support.training_pipeline(), support.data_pipeline(), evaluated, support.probe_pipeline("linear"), support.probe_pipeline("attentive")]


def pipelines():
    """Half of them changed as text, mostly beyond repair, half of them gently: many of these are right, and run for a step."""
    seeds = [path.read_bytes() for path in (support.ROOT / "pipelines").rglob("*.json")]
    gentle = Gentle(chance, json.loads((support.ROOT / "docs/pipeline.schema.json").read_text()))
    small, shipped = small_pipelines(), [pipeline for pipeline in map(json.loads, seeds) if "nodes" in pipeline]
    words = [b"null", b"-1", b"0", b"1e999", b"99999999999999999999", b"[]", b"{}", b'""', b'"$x"', b'"${x}"', b"[" * 100, b'"nodes"', b"\xff\xfe",
             b'"extends": "quickstart.json"', b'"source.folder"', b'"/dev/zero"', b"1e308", b"true"]
    found, ran = {0: 0, 2: 0}, {0: 0, 1: 0, 2: 0}
    for index in range(options.pipelines):
        is_gentle, is_small = index % 2 == 1, index % 4 == 1
        text = json.dumps(gentle.change(chance.choice(small if is_small else shipped)), indent=1).encode() if is_gentle else changed(chance.choice(seeds), words)
        (work / "mutant.json").write_bytes(text)
        what = f"mutant {index} ({work / 'mutant.json'})"
        done = call("check", "mutant.json", timeout=120)
        must_end_in_words(done, {0, 2}, what)
        found[done.returncode] += 1
        if done.returncode != 0 or not is_small:
            continue
        shutil.rmtree(work / "step", ignore_errors=True)
        done = call("mutant.json", "--set", "run.steps=1", "--out", "step", "--quiet", "--threads", 1, timeout=300)
        must_end_in_words(done, set(ran), f"a step of {what}")
        ran[done.returncode] += 1
    return (f"{options.pipelines} pipelines: {found[2]} refused, {found[0]} still right; {sum(ran.values())} of these were run for a step: "
            f"{ran[0]} to its end, {ran[1] + ran[2]} until a sentence said what is wrong")


def pictures():
    drawn = [Image.effect_noise((40 + i, 30), 60).convert(mode) for i, mode in enumerate(("RGB", "L", "RGB", "P"))]
    for format_name, kwargs in (("JPEG", {}), ("JPEG", {"progressive": True}), ("PNG", {}), ("TIFF", {}), ("TIFF", {"compression": "tiff_lzw"}),
                                ("GIF", {}), ("WEBP", {})):
        for image in drawn:
            out = io.BytesIO()
            image.convert("RGB" if format_name in ("JPEG", "WEBP") else image.mode).save(out, format_name, **kwargs)
            yield format_name.lower().replace("tiff", "tif"), out.getvalue()


def files():
    seeds = list(pictures())
    each = 50
    nodes = {
        "files": {"type": "source.folder", "path": "made"},
        "decode": {"type": "image.decode", "in": "files"},
        "view": {"type": "image.resize", "in": "decode", "size": 24},
        "batch": {"type": "batch.stack", "in": {"image": "view"}, "size": each},
        "metrics": {"type": "report.metrics", "in": {"image": "batch"}, "every": "1 step", "tensorboard": False},
    }
    run = {"epochs": 1, "device": "cpu", "precision": "fp32", "intra_op": 1, "max_bad": each, "memory_mib": 64}
    (work / "files.json").write_text(json.dumps({"run": run, "nodes": nodes}))
    replaced = 0
    for begin in range(0, options.files, each - 2):
        shutil.rmtree(work / "made", ignore_errors=True)
        (work / "made").mkdir()
        for index in range(each):
            kind, data = chance.choice(seeds)
            (work / f"made/{index:03}.{kind}").write_bytes(data if index < 2 else changed(data))
        shutil.rmtree(work / "out", ignore_errors=True)
        must_end_in_words(call("files.json", "--out", "out", "--quiet"), {0}, f"pictures from {begin} on ({work / 'made'})")
        quarantine = work / "out/quarantine.jsonl"
        replaced += sum("kept" not in json.loads(line) for line in quarantine.read_text().splitlines()) if quarantine.exists() else 0
    return f"{options.files} pictures: {replaced} replacements, all runs ended"


def checkpoint():
    training(6)
    must_end_in_words(call("train.json", "--out", "good", "--quiet"), {0}, "the run that is left alone")
    must_end_in_words(call("train.json", "--out", "half", "--quiet", "--set", "run.steps=13"), {0}, "the half")
    newest = max((work / "half/checkpoints").glob("step-*"), key=lambda path: int(path.name[5:]))
    tried = refused = 0
    for path in sorted(newest.iterdir()):
        data = path.read_bytes()
        ways = [b"", data[: len(data) // 2], data[:-1], data + b"x", None, bytes(len(data))]
        ways += [data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :] for at in sorted(chance.sample(range(len(data)), min(12, len(data))))]
        for way in ways:
            shutil.rmtree(work / "try", ignore_errors=True)
            shutil.copytree(work / "half", work / "try")
            victim = work / "try/checkpoints" / newest.name / path.name
            victim.unlink() if way is None else victim.write_bytes(way)
            done = call("train.json", "--out", "try", "--quiet", "--resume")
            must_end_in_words(done, {0, 1, 2}, f"{path.name} damaged")
            tried += 1
            if done.returncode != 0:
                refused += 1
            elif history("try") != history("good"):
                raise Finding(f"{path.name} damaged: the run went on with other numbers ({work / 'try'})")
    return f"{tried} damaged files of a checkpoint: {tried - refused} runs went on and ended as if nothing had been, {refused} said what was wrong"


def main():
    for part in (kills, pipelines, files, checkpoint):
        if options.only and part.__name__ not in options.only:
            continue
        begun = time.time()
        try:
            print(f"{part.__name__}: {part()} ({time.time() - begun:.0f} s)", flush=True)
        except Finding as finding:
            print(f"{part.__name__}: FINDING: {finding}\nfiles: {work}")
            return 1
    if not options.keep:
        shutil.rmtree(work)
    return 0


if __name__ == "__main__":
    sys.exit(main())
