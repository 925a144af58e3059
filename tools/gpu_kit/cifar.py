"""CIFAR-10 within a time limit: as many epochs as fit, by the speed of the first seconds, with kNN and linear accuracy."""
import json
import pathlib
import shutil
import signal
import statistics
import subprocess
import time

from gpu_kit import box, places

IMAGES = 50_000
# Seconds that a run takes before its first step, and for the evaluations at its end.
START, END = 8, 20


def data(check):
    """The unpacked images. The plan unpacks them beside its first checks; alone, the check does."""
    folder = check.work / "cifar10"
    if not folder.exists() and not check.settings.plan:
        places.unpack(check.places.cifar, folder)
    while not folder.exists() and check.left() > END:
        time.sleep(0.2)
    # The archive may hold train/ and test/ at its top or one folder further down.
    return next((inside for inside in [folder, *sorted(folder.glob("*"))] if (inside / "train").is_dir()), None)


def sets_of(check, images):
    sets = [f"let.path={images}", f"run.device={check.settings.device}"]
    if check.rehearse:
        return [*sets, "batch.size=32", "batch.group=32", "known_batch.size=20", "unseen_batch.size=20", "student.depth=2", "let.blocks=[1, 2]",
                "predictor.depth=1", "run.intra_op=1"]
    return [*sets, "batch.group=256", "run.precision=bf16"]


def command(check, pipeline, sets, out, *more):
    return list(map(str, [check.places.flowrun, pipeline, *check.changes(*sets), "--out", out, "--quiet", *more]))


def seconds_an_epoch(check, pipeline, sets):
    """The speed, from the first seconds of a run that is discarded."""
    folder = check.out / "cifar-pilot"
    shutil.rmtree(folder, ignore_errors=True)
    sets = [*sets, "knn.at=end", "linear.at=end", "metrics.every=10 steps", "run.epochs=100000"]
    with open(check.text_file("cifar-pilot"), "w") as log:
        process = subprocess.Popen(command(check, pipeline, sets, folder), cwd=check.work, env=places.environment(), stdout=log, stderr=log)
    lines, first = [], None
    while process.poll() is None and not (first and time.monotonic() - first > (1 if check.rehearse else 5)):
        time.sleep(0.1)
        lines = box.read_lines(folder / "metrics.jsonl")
        first = first or (time.monotonic() if lines else None)
    process.terminate()
    process.wait()
    if not lines:
        return None
    # The first half still makes recordings.
    return IMAGES / statistics.median(line["images_per_second"] for line in lines[len(lines) // 2:])


def plan_epochs(check, pipeline, sets, seconds):
    """How many epochs, and how often weights are evaluated and saved."""
    epoch = seconds_an_epoch(check, pipeline, sets)
    if epoch is None:
        return None
    if check.rehearse:
        return {"epochs": 4, "evaluate": 1, "save": 1, "seconds_an_epoch": epoch}
    epochs = check.settings.epochs or max(1, int(0.85 * (seconds - (check.limit - check.left())) / epoch))
    return {"epochs": epochs, "evaluate": max(1, min(epochs, round(50 / epoch))), "save": max(1, round(30 / epoch)), "seconds_an_epoch": epoch}


def follow(check, process, folder, until):
    """Says each evaluation as it is made, and stops the run when its time is over: in a rehearsal, what has a second part is
    stopped behind its first epoch."""
    early = check.rehearse and check.name == "cifar"
    seen, stopped = len(box.read_lines(folder / "evaluations.jsonl")), False
    while process.poll() is None:
        if not stopped and (time.monotonic() > until or early and seen > 2):
            process.send_signal(signal.SIGTERM)
            stopped = True
        time.sleep(0.2)
        seen = say_evaluations(check, folder, seen)
    say_evaluations(check, folder, seen)
    return stopped


def say_evaluations(check, folder, seen):
    lines = box.read_lines(folder / "evaluations.jsonl")
    for line in lines[seen:]:
        check.say(None, f"{line['node']} after {line['epoch']:.0f} epochs: {line['accuracy']:.4f}", evaluation=line["node"], epoch=line["epoch"],
                  accuracy=line["accuracy"])
    return max(seen, len(lines))


def run(check, base, seconds, changes=None, resume=False):
    """seconds: of the whole run, including the part that another call continues."""
    images = data(check)
    if images is None:
        return check.skip(f"there is no {check.places.cifar.name}" if not check.places.cifar.exists() else "the images were not unpacked in time")
    folder, facts_file = check.out / "cifar", check.out / "cifar-epochs.json"
    more = {} if "compare" in base else {"add": {"linear": {"type": "eval.linear", "in": {"train": "known_features", "test": "unseen_features"}}}}
    pipeline = check.write_pipeline("cifar-pipeline", base, **more, **(changes or {}))
    sets = sets_of(check, images)
    resume = resume and facts_file.exists() and (folder / "pipeline.resolved.json").exists()
    facts = json.loads(facts_file.read_text()) if resume else plan_epochs(check, pipeline, sets, seconds)
    if facts is None:
        return check.say(False, f"CIFAR-10 does not run: {check.last_line('cifar-pilot')}")
    facts_file.write_text(json.dumps(facts))
    train(check, pipeline, sets, folder, facts, resume)


def train(check, pipeline, sets, folder, facts, resume):
    if not resume:
        shutil.rmtree(folder, ignore_errors=True)
    at = f'["start", "{facts["evaluate"]} epochs", "end"]'
    sets = [*sets, f"run.epochs={facts['epochs']}", f"save.every={facts['save']} epochs", f"knn.at={at}", f"linear.at={at}"]
    until = time.monotonic() + check.left() - 4
    with open(check.text_file("cifar"), "a") as log:
        process = subprocess.Popen(command(check, pipeline, sets, folder, *(["--resume"] if resume else [])), cwd=check.work, env=places.environment(),
                                   stdout=log, stderr=log)
        stopped = follow(check, process, folder, until)
    lines = box.read_lines(folder / "metrics.jsonl")
    stats = pathlib.Path(folder / "stats.json")
    groups = json.loads(stats.read_text()).get("recordings", {}) if stats.exists() else {}
    last = lines[-1] if lines else {"epoch": 0, "images_per_second": 0, "loss": None}
    rate = statistics.median(line["images_per_second"] for line in lines[len(lines) // 2:]) if lines else 0
    what = f"{last['epoch']:.1f} of {facts['epochs']} epochs, {rate:.0f} images/s, loss {last['loss']}; status {process.returncode}"
    check.say(process.returncode == (75 if stopped else 0), what + (" (stopped, as it was asked)" if stopped else ""), epochs=facts["epochs"],
              epoch=last["epoch"], images_per_second=rate, ms_a_group=256e3 / rate if rate else None, groups=groups, resumed=resume)


def first_part(check):
    """Of plan 1; another 150 s follow in plan 2."""
    run(check, "cifar10.json", check.limit + 150 - 2 * START - END)


def second_part(check):
    run(check, "cifar10.json", check.limit - START - END, resume=True)


def whole(check):
    """Of plan 3, with the probe of the comparison's pipelines."""
    run(check, "compare/cifar10/bootleg.json", check.limit - START - 2 * END, changes=LINEAR)


def ijepas_target(check):
    """Of plan 4: the last block's output, standardised, is the only target; all else is plan 3's, the number of steps too."""
    targets = {"type": "mim.hidden_targets", "model": "teacher", "blocks": "$blocks", "norm_last": True}
    run(check, "compare/cifar10/last_block.json", check.limit - START - 2 * END, changes={**LINEAR, "swap": {"targets": targets}})


LINEAR = {"add": {"linear": {"type": "eval.linear", "in": {"train": "known_features", "test": "unseen_features"}}}}
