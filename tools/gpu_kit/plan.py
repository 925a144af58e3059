"""The order and the time limits of checks: quarters of an hour on a GPU (plans 1 to 5), or checks by name."""
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

from gpu_kit import box, cifar, machine, places, speed, training
from gpu_kit.check import HOPELESS, Check, Settings

CHECKS = {
    "load": machine.load,
    "kernels": machine.kernels,
    "sanitizer": machine.sanitizer,
    "probe": machine.probe,
    "training": training.training,
    "same": lambda check: training.training(check, ["same"]),
    "graphs": lambda check: training.training(check, ["graphs"]),
    "precision": lambda check: training.training(check, ["precision"]),
    "race": training.race,
    "capture": training.capture,
    "pretrain": training.pretrain,
    "decode": speed.decode,
    "waits": speed.waits,
    "profile": speed.profile,
    "step": speed.step,
    "step-s": speed.step_s,
    "step-b": speed.step_b,
    "step-l": speed.step_l,
    "compiled-s": speed.compiled("s"),
    "compiled-b": speed.compiled("b"),
    "compiled-l": speed.compiled("l", 0),
    "cifar": cifar.first_part,
    "cifar-on": cifar.second_part,
    "cifar-bootleg": cifar.whole,
    "cifar-ijepa": cifar.ijepas_target,
}
BY_DEFAULT = ["same", "graphs", "precision", "kernels", "decode", "waits", "step"]
ALONE = 1800  # seconds of a check that is asked for by name
UNTIL = 530  # of a plan's last check, seconds from the plan's start

# Seconds of each box, and the checks that share it. None: what is left.
PLANS = {
    1: [(10, ["load"]), (35, ["kernels", "probe"]), (55, ["training"]), (30, ["race", "capture"]), (20, ["pretrain"]), (50, ["step-s"]), (60, ["step-b"]),
        (75, ["step-l"]), (35, ["profile"]), (20, ["decode"]), (None, ["cifar"])],
    3: [(10, ["load"]), (None, ["cifar-bootleg"])],
    4: [(10, ["load"]), (None, ["cifar-ijepa"])],
    5: [(10, ["load"]), (100, ["compiled-s"]), (150, ["compiled-b"]), (None, ["compiled-l"])],
}
EARLY = ["load", "kernels", "training", "same", "graphs", "precision", "race", "capture"]  # of plan 1's first 130 s
# A failed check is repeated, each time with fewer possible causes.
VARIANTS = {"no-graphs": ["run.cuda_graphs=off"], "no-side-stream": ["targets.side_stream=false"]}
TRAINS = ["training", "same", "graphs", "precision", "race", "pretrain", "profile", "cifar"]


class Runner:
    def __init__(self, settings, archive):
        self.settings, self.archive = settings, archive
        self.file = pathlib.Path(settings.work) / "settings.json"
        settings.write(self.file)
        self.summary = box.Summary(settings.summaries, settings.plan, settings.started)

    def elapsed(self):
        return time.time() - self.settings.started

    def command(self, name, limit, *more):
        return [sys.executable, places.SCRIPTS / "gpu", "check", name, "--settings", self.file, "--limit", f"{limit:.1f}", *more]

    def box(self, limit, *names, label="", sets=()):
        """Runs checks side by side. Returns their exit statuses; 0: all requirements of the check hold."""
        if self.settings.rehearse:
            limit = max(limit, 90)  # other work may share the machine
        more = ["--label", label, *(word for one in sets for word in ("--set", one))] if label else []
        limits = [2 if name == os.environ.get("FLOWRUN_TEST_HANG") else limit for name in names]
        print(f"{self.elapsed():6.1f} s  {', '.join(names)}{' ' + label if label else ''}, at most {limit:.0f} s", flush=True)
        return box.side_by_side(self.summary, self.archive, [(f"box-{name}{'-' + label if label else ''}", seconds, self.command(name, seconds, *more))
                                                             for name, seconds in zip(names, limits)])


def run_check(name, settings_file, limit, label, sets):
    """Runs in a separate process."""
    if name == os.environ.get("FLOWRUN_TEST_HANG"):  # tests/cli/test_gpu_plan.py: neither ends nor can be asked to
        os.execvp("sh", ["sh", "-c", "trap '' TERM; while :; do sleep 1; done"])
    check = Check(Settings.read(settings_file), name, limit, sets, label)
    try:
        CHECKS[name](check)
    except Exception as error:  # the other checks go on
        check.say(False, f"the check itself failed: {type(error).__name__}: {error}")
        raise
    return HOPELESS if check.hopeless else 1 if check.failed else 0


def start_unpacking(work):
    """CIFAR-10's 60,000 files, beside the first checks."""
    archive = places.SCRIPTS / places.CIFAR if places.KIT.exists() else places.SCRIPTS.parents[1] / "shared/data" / places.CIFAR
    if not archive.exists() or (work / "cifar10").exists():
        return None
    command = [sys.executable, "-c", "import pathlib, sys; sys.path.insert(0, sys.argv[1]); from gpu_kit import places; "
               "places.unpack(pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3]))", places.SCRIPTS, archive, work / "cifar10"]
    return subprocess.Popen(["timeout", "-k", "2", "300", *map(str, command)], stdin=subprocess.DEVNULL, preexec_fn=box.end_with_parent)


def follow(runner, steps):
    """The boxes of a plan, one after another."""
    all_hold = True
    for limit, names in steps:
        statuses = runner.box(UNTIL + 4 - runner.elapsed() if limit is None else limit, *names)
        all_hold &= not any(statuses)
        if HOPELESS in statuses:
            print("nothing else can run here", flush=True)
            break
    return all_hold


def failures(lines):
    """Checks of plan 1 that failed or were cut, in its order."""
    names = []
    for line in lines:
        name = line["check"].removeprefix("box-")
        bad = line.get("holds") is False or line.get("cut")
        if bad and name not in names and (name in TRAINS or name in EARLY):
            names.append(name)
    return names


def second_call(runner, work):
    """Plan 2: what plan 1 left: CIFAR-10 goes on, and the first check that failed is made again with less around it."""
    failed = failures(box.read_lines(work / "plan-1.jsonl"))
    early = [name for name in failed if name in EARLY]
    statuses = runner.box(10, "load")
    if HOPELESS in statuses:
        return False
    if not early:
        statuses += runner.box(154, "cifar-on")
    if not failed:
        print("plan 1 left no failure to look at", flush=True)
    if "kernels" in failed:
        runner.box(60, "sanitizer")
    first = next((name for name in failed if name in TRAINS), None)
    if first:
        variants = [(label, sets) for label, sets in VARIANTS.items() if (first, label) != ("graphs", "no-graphs")]
        for done, (label, sets) in enumerate(variants):
            runner.box(max(10, (206 - runner.elapsed()) / (len(variants) - done)), first, label=label, sets=sets)
    return not any(statuses) and not failed


def run(args):
    """True: all holds."""
    work = (args.work or places.work_folder()).resolve()
    out = args.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    work.mkdir(parents=True, exist_ok=True)
    os.environ["PYTHONUNBUFFERED"] = "1"
    summary = out / "summary.jsonl"
    results = work / "results" if args.plan else out
    if args.plan != 2 and args.plan:
        shutil.rmtree(results, ignore_errors=True)
    results.mkdir(exist_ok=True)
    for old in (summary, work / f"plan-{args.plan}.jsonl", out / "log.txt", out / "r.tgz", out / "r.tgz.new"):
        old.unlink(missing_ok=True)
    # The work folder's copy is what plan 2 reads.
    settings = Settings(device="cpu" if args.rehearse else "cuda", rehearse=args.rehearse, quick=args.quick, plan=args.plan, started=time.time(),
                        work=str(work), out=str(results), summaries=[str(summary), str(work / f"plan-{args.plan}.jsonl")], peak=args.peak,
                        epochs=args.epochs, data=str(args.data.resolve()) if args.data else "")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # the last archive is written then, too
    log, archive = box.Log(out / "log.txt"), box.Archive(results, out / "r.tgz")
    unpacking = start_unpacking(work) if args.plan in (1, 2, 3, 4) else None
    try:
        places.find(work)
        holds = run_steps(Runner(settings, archive), args, work)
        print("all hold" if holds else "something failed: see the lines that begin with FAIL", flush=True)
    finally:
        if unpacking:
            unpacking.terminate()
            unpacking.wait()
        archive.close()
        log.close()
    return holds


def run_steps(runner, args, work):
    if args.plan == 2:
        return second_call(runner, work)
    if args.plan:
        return follow(runner, PLANS[args.plan])
    return follow(runner, [(ALONE, [name]) for name in ["load", *(args.only or BY_DEFAULT)]])
