"""Checks that train: equal losses on other devices, with graphs, with streams, in other precisions, and after failures."""
import concurrent.futures
import subprocess
import threading

from gpu_kit.check import apart

EVALUATION = ["known", "known_decode", "known_batch", "known_upload", "known_features", "known_pixels", "unseen", "unseen_decode", "unseen_batch",
              "unseen_upload", "unseen_features", "unseen_pixels", "knn", "linear", "pixels_knn", "pixels_linear", "save", "sheet"]


# Where the GPU is the limit nothing is recorded; and runs side by side make it the limit. These checks are about recordings.
ALWAYS = {"FLOWRUN_TEST_RECORD_ALWAYS": "1"}


def quickstart(check):
    """quickstart.json without evaluations and files, reported at each step."""
    return check.write_pipeline(f"quickstart-{check.name}", "quickstart.json", drop=EVALUATION, set={"metrics.every": "1 step", "run.threads": 3})


def runs_of(check):
    """Name of each run of same, graphs and precision: what it sets."""
    device, short, long = f"run.device={check.settings.device}", 5 if check.rehearse else 50, 5 if check.rehearse else 200
    exact = [device, "run.precision=fp32", f"run.steps={short}"]
    played = [device, "run.precision=fp32", f"run.steps={long}"]
    return {
        "gpu": exact,
        "cpu": ["run.device=cpu", *exact[1:]],
        "again": exact,
        "main": [*exact, "targets.side_stream=false"],
        "graphs": played,
        "no_graphs": [*played, "run.cuda_graphs=off"],
        **{name: [device, f"run.precision={name}", f"run.steps={short}"] for name in ("fp32", "tf32", "bf16")},
    }


def start(check, pool, *names):
    pipeline, runs = quickstart(check), runs_of(check)
    return [pool.submit(check.train, name, pipeline, *runs[name], **ALWAYS) for name in names]


def judge_same(check, runs):
    gpu, cpu, again, main = (run.result() for run in runs)
    check.say(bool(gpu.lines) and gpu.ledgers == cpu.ledgers == again.ledgers == main.ledgers, "ledgers of GPU and CPU are equal", "same")
    for name, limit, what in (("cpu", 1e-4, "GPU and CPU"), ("again", 1e-6, "two runs"), ("main", 1e-6, "runs with and without a side stream")):
        worst, first = apart(gpu.losses, {"cpu": cpu, "again": again, "main": main}[name].losses)
        check.say(worst < limit, f"losses of {what} are within {limit:g}: {worst:.1e}", "same", beside=name, apart=worst, first_step=first)


def judge_graphs(check, runs):
    played, submitted = (run.result() for run in runs)
    counts = played.recordings()
    check.say(counts.get("played", 0) > counts.get("submitted", 0) and "why_not" not in counts, f"groups are played as CUDA graphs: {counts}", "graphs",
              groups=counts)
    worst, first = apart(played.losses, submitted.losses)
    check.say(played.ledgers == submitted.ledgers and worst < 1e-5, f"ledgers are equal, losses with and without CUDA graphs within 1e-5: {worst:.1e}",
              "graphs", apart=worst, first_step=first)


def judge_precision(check, names, runs):
    last = {name: (run.result().losses or [float("inf")])[-1] for name, run in zip(names, runs)}
    check.say(max(last.values()) < 1.05 * min(last.values()), f"last losses are within 5 %: {last}", "precision", losses=last)


def training(check, parts=("same", "graphs", "precision")):
    """Nine short runs, four at a time: each leaves most of a GPU idle."""
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        started = {}
        if "same" in parts:
            started["same"] = start(check, pool, "gpu", "cpu", "again", "main")
        if "graphs" in parts and check.needs_gpu("graphs"):
            started["graphs"] = start(check, pool, "graphs", "no_graphs")
        precisions = ("fp32", "tf32", "bf16") if check.settings.device == "cuda" else ("fp32", "bf16")
        if "precision" in parts:
            started["precision"] = start(check, pool, *precisions)
        if "same" in started:
            judge_same(check, started["same"])
        if "graphs" in started:
            judge_graphs(check, started["graphs"])
        if "precision" in started:
            judge_precision(check, precisions, started["precision"])


def race(check):
    """A model so wide that the host is ahead of the GPU: batches that are overwritten too early change the losses."""
    sizes = [48, 2, 3, 16, 3] if check.rehearse else [768, 12, 12, 256, 40]
    names = ("student.width", "student.depth", "student.heads", "batch.group", "run.steps")
    sets = [f"{name}={value}" for name, value in zip(names, sizes)]
    sets += [f"batch.size={sizes[3]}", f"run.device={check.settings.device}", "run.precision=fp32"]
    sets += ["let.blocks=[1, 2]"] if check.rehearse else []
    pipeline = quickstart(check)
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        plain = pool.submit(check.train, "race", pipeline, *sets)
        blocking = pool.submit(check.train, "race-blocking", pipeline, *sets, CUDA_LAUNCH_BLOCKING="1")
        submitted = pool.submit(check.train, "race-submitted", pipeline, *sets, "run.cuda_graphs=off")
    for other, what in ((blocking, "with CUDA_LAUNCH_BLOCKING=1"), (submitted, "without CUDA graphs")):
        worst, first = apart(plain.result().losses, other.result().losses)
        check.say(worst < 1e-6, f"losses {what} are equal at each step (within 1e-6): {worst:.1e}", apart=worst, first_step=first)


def capture(check):
    """A recording fails; the run goes on for 200 steps."""
    if not check.needs_gpu():
        return
    run = check.train("capture", quickstart(check), "run.steps=250", "run.device=cuda", FLOWRUN_TEST_FAIL_CAPTURE="1", **ALWAYS)
    failed = "recording failed" in check.text_file("capture").read_text()
    check.say(failed, "a recording was made to fail")
    check.say(run.done and len(run.lines) == 250, f"a recording that fails ends no run: {len(run.lines)} of 250 steps; {run.recordings()}",
              groups=run.recordings())


def synthetic(check, name, **changes):
    """pretrain.json, ViT-S of 224 pixels, on drawn pictures. Those have 64 pixels and are enlarged: drawing 224 would keep the
    cores so busy that the GPU waited for them."""
    sets = {"batch.size": 512, "batch.group": 256, "run.device": check.settings.device, "run.precision": "bf16", **changes}
    swap = {"files": {"type": "source.synthetic", "images": 1000000, "size": 64}}
    if check.rehearse:
        swap["student"] = {"type": "model.vit", "image": "$size", "patch": "$patch", "width": 48, "depth": 2, "heads": 3}
        sets |= {"let.size": 128, "let.blocks": [1, 2], "batch.size": 4, "batch.group": 2, "run.precision": "fp32", "run.intra_op": 1,
                 "predictor.depth": 1, "predictor.width": 48, "predictor.heads": 3}
    return check.write_pipeline(name, "pretrain.json", swap=swap, set=sets)


class Memory:
    """The most that the GPU's programs hold, MiB, asked once a second."""

    def __init__(self):
        self.most, self.ended = 0.0, threading.Event()
        self.thread = threading.Thread(target=self.watch, daemon=True)
        self.thread.start()

    def watch(self):
        while not self.ended.wait(1):
            try:
                out = subprocess.run(["nvidia-smi", "--query-gpu=memory.used", "--format=csv,noheader,nounits"], stdout=subprocess.PIPE, text=True, timeout=5)
                self.most = max(self.most, *map(float, out.stdout.split()))
            except (OSError, ValueError, TypeError, subprocess.TimeoutExpired):
                return

    def stop(self):
        self.ended.set()
        return self.most


def pretrain(check):
    steps = 2 if check.rehearse else 120
    pipeline = synthetic(check, "pretrain", **{"run.steps": steps, "health.every": "10 steps", "metrics.every": "10 steps"})
    memory = Memory()
    run = check.train("pretrain", pipeline, **ALWAYS)
    rate = run.lines[-1]["images_per_second"] if run.lines else 0
    check.say(run.done and bool(run.lines) and run.lines[-1]["step"] == steps, f"{steps} steps with report.health: {rate:.0f} images/s; {run.recordings()}",
              images_per_second=rate, groups=run.recordings(), gpu_mib=memory.stop())
