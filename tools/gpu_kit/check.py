"""Shared by all checks: paths, starting programs, and reporting results."""
import dataclasses
import json
import os
import pathlib
import shutil
import subprocess
import sys
import time

from gpu_kit import box, places


@dataclasses.dataclass
class Settings:
    """Settings of a whole run; each check is a separate process that reads them from a file."""

    device: str  # cuda, or cpu in a rehearsal
    rehearse: bool
    quick: bool
    plan: int  # 0: none
    started: float  # seconds since 1970
    work: str
    out: str  # a folder for each program's output
    summaries: list
    peak: float  # TFLOP/s in bf16
    epochs: int = 0  # of CIFAR-10; 0: as many as there is time for
    data: str = ""  # a folder of JPEGs in place of the kit's

    def write(self, file):
        pathlib.Path(file).write_text(json.dumps(dataclasses.asdict(self)))

    @staticmethod
    def read(file):
        return Settings(**json.loads(pathlib.Path(file).read_text()))


@dataclasses.dataclass
class Run:
    """The files of a training run."""

    done: bool
    folder: pathlib.Path
    lines: list

    @property
    def ledgers(self):
        return [line["ledger"] for line in self.lines]

    @property
    def losses(self):
        return [line["loss"] for line in self.lines]

    def recordings(self):
        file = self.folder / "stats.json"
        return json.loads(file.read_text()).get("recordings", {}) if file.exists() else {}


def apart(a, b):
    """The largest relative difference of two lists of losses, and the first step at which they differ (0: none)."""
    if not a or len(a) != len(b):
        return float("inf"), 1
    steps = [step for step, (x, y) in enumerate(zip(a, b), 1) if x != y]
    return max(abs(x - y) / abs(y) for x, y in zip(a, b)), steps[0] if steps else 0


HOPELESS = 3  # exit status of a check after which no other can run


class Check:
    def __init__(self, settings, name, limit, sets=(), label=""):
        self.settings, self.name, self.limit, self.sets = settings, name, limit, list(sets)
        self.started = time.monotonic()
        self.label = f"-{label}" if label else ""
        self.work, self.out = pathlib.Path(settings.work), pathlib.Path(settings.out)
        self.places = places.find(self.work)
        if settings.data:
            self.places.photographs = pathlib.Path(settings.data)
        self.summary = box.Summary(settings.summaries, settings.plan, settings.started)
        self.failed = self.hopeless = False

    @property
    def rehearse(self):
        return self.settings.rehearse

    def left(self):
        """Seconds of the box."""
        return self.limit - (time.monotonic() - self.started)

    def say(self, holds, what, check="", **values):
        """holds: true, false, or none for a fact without a requirement."""
        check = (check or self.name) + self.label
        self.failed |= holds is False
        self.summary.write(check, **({} if holds is None else {"holds": holds}), what=what, **values)
        print(f"{ {True: 'ok  ', False: 'FAIL', None: '    '}[holds]} {check}: {what}", flush=True)

    def give_up(self, what):
        """Without it no check can run."""
        self.say(False, what)
        self.hopeless = True

    def skip(self, why, check=""):
        check = (check or self.name) + self.label
        self.summary.write(check, skipped=why)
        print(f"skip {check}: {why}", flush=True)

    def needs_gpu(self, check=""):
        if self.settings.device != "cuda":
            self.skip("only a GPU has it", check)
            return False
        return True

    def text_file(self, name):
        return self.out / f"{name}{self.label}.txt"

    def call(self, name, *words, **more):
        """Exit status; output goes to NAME.txt."""
        with open(self.text_file(name), "w") as log:
            return subprocess.run(list(map(str, words)), cwd=self.work, env=places.environment(**more), stdin=subprocess.DEVNULL,
                                  stdout=log, stderr=subprocess.STDOUT).returncode

    def result(self, name, *words, **more):
        """The JSON that a program prints after other output; {} if there is none."""
        self.call(name, *words, **more)
        text = self.text_file(name).read_text()
        try:
            return json.loads(text[text.index("\n{") if "\n{" in text else text.index("{"):])
        except ValueError:
            return {}

    def lines(self, name, *words, python=False):
        """The JSON lines that a program prints, as they come."""
        env = {**os.environ, "PYTHONUNBUFFERED": "1"} if python else places.environment()
        with open(self.text_file(name), "w") as log:
            process = subprocess.Popen(list(map(str, words)), cwd=self.work, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, text=True)
            for line in process.stdout:
                log.write(line)
                log.flush()
                if line.startswith("{"):
                    yield json.loads(line)
            if process.wait() != 0:
                self.say(False, f"{pathlib.Path(words[1 if python else 0]).name} ended with status {process.returncode}: {self.last_line(name)}")

    def python(self, name, script, *words):
        return self.lines(name, sys.executable, script, *words, python=True)

    def last_line(self, name):
        lines = self.text_file(name).read_text().strip().splitlines()
        return lines[-1][:300] if lines else "it printed nothing"

    def write_pipeline(self, name, base, **changes):
        file = self.out / f"{name}.json"
        file.write_text(json.dumps({"extends": str(self.places.pipeline(base).resolve()), **changes}))
        return file

    def changes(self, *sets):
        """Arguments of flowrun's command line; a repeated check has changes of its own."""
        return [word for one in (*sets, *self.sets) for word in ("--set", one)]

    def train(self, name, pipeline, *sets, **more):
        """Runs to the end, and reports a failure."""
        folder = self.out / f"{name}{self.label}"
        shutil.rmtree(folder, ignore_errors=True)
        if self.rehearse:
            sets = [*sets, "run.threads=1", "run.intra_op=1"]  # runs side by side share few cores
        status = self.call(name, self.places.flowrun, pipeline, *self.changes(*sets), "--out", folder, "--quiet", **more)
        if status != 0:
            self.say(False, f"{name} ended with status {status}: {self.last_line(name)}", run=name)
        return Run(status == 0, folder, box.read_lines(folder / "metrics.jsonl"))
