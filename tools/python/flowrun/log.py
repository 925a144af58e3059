"""Hands what a run writes to an experiment tracker, from outside the run: while it goes on, or afterwards.

    python -m flowrun.log wandb|mlflow|trackio RUN [--project NAME] [--name NAME] [--once]

Follows metrics.jsonl and evaluations.jsonl until the run has ended (--once: hands on what is there, and ends). Metrics keep their steps, evaluations
are NODE/NAME, the resolved pipeline is the configuration, pictures of the run's folder come with it. What was handed on is noted in
RUN/log-TRACKER.json: called again, it goes on from there, in the same run of the tracker. The run itself knows nothing of it.
"""
import argparse
import json
import math
import pathlib
import sys
import time

from ._run import Run
from ._sets import Path


class Wandb:
    """Weights & Biases; WANDB_MODE=offline writes to the disk alone."""

    def __init__(self, project, name, identity, config, folder):
        import wandb

        self._wandb = wandb
        self._run = wandb.init(project=project, name=name, id=identity, resume="allow" if identity else None, config=config, dir=str(folder))
        self.identity = self._run.id

    def values(self, step, values):
        self._run.log(values, step=step)

    def picture(self, name, path, step):
        self._run.log({name: self._wandb.Image(str(path), caption=f"step {step}")}, step=step)

    def end(self, failed):
        self._run.finish(exit_code=1 if failed else 0)


class Trackio:
    """Trackio, Hugging Face's tracker on the local disk."""

    def __init__(self, project, name, identity, config, folder):
        import trackio

        self._trackio = trackio
        self.identity = identity or name
        trackio.init(project=project, name=self.identity, config=config, resume="allow")

    def values(self, step, values):
        self._trackio.log(values, step=step)

    def picture(self, name, path, step):
        self._trackio.log({name: self._trackio.Image(str(path), caption=f"step {step}")}, step=step)

    def end(self, failed):
        self._trackio.finish()


class Mlflow:
    """MLflow; MLFLOW_TRACKING_URI says where its store is."""

    def __init__(self, project, name, identity, config, folder):
        import mlflow

        self._mlflow = mlflow
        mlflow.set_experiment(project)
        self.identity = mlflow.start_run(run_id=identity, run_name=None if identity else name).info.run_id
        if not identity:
            items = [(key, str(value)[:500]) for key, value in flat(config)]
            for first in range(0, len(items), 100):
                mlflow.log_params(dict(items[first:first + 100]))

    def values(self, step, values):
        self._mlflow.log_metrics(values, step=step)

    def picture(self, name, path, step):
        self._mlflow.log_artifact(str(path), f"step-{step}")

    def end(self, failed):
        self._mlflow.end_run("FAILED" if failed else "FINISHED")


TRACKERS = {"wandb": Wandb, "mlflow": Mlflow, "trackio": Trackio}


def flat(value, prefix=""):
    """(path, value) of every leaf of nested dicts; lists are leaves."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from flat(inner, f"{prefix}.{key}" if prefix else str(key))
    else:
        yield prefix, value


def numbers(line, prefix=""):
    """The finite numbers of a line, by name."""
    return {prefix + name: float(value) for name, value in line.items()
            if name != "step" and isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)}


class Follower:
    """Reads what is new in a run's folder, and hands it to a tracker."""

    def __init__(self, run, tracker_name, project, name):
        self._run = run
        self._note = run.path / f"log-{tracker_name}.json"
        note = json.loads(self._note.read_text()) if self._note.exists() else {}
        self._done = note.get("bytes", {})
        self._pictures = note.get("pictures", {})
        self._last = note.get("step", 0)
        self._tracker = TRACKERS[tracker_name](project, name, note.get("id"), run.pipeline, run.path)

    def _new_lines(self, name):
        """Whole lines that were not handed on yet."""
        file = self._run.path / name
        if not file.exists():
            return []
        with open(file, "rb") as opened:
            opened.seek(self._done.get(name, 0))
            text = opened.read()
        text = text[:text.rfind(b"\n") + 1]
        self._done[name] = self._done.get(name, 0) + len(text)
        return [json.loads(line) for line in text.splitlines()]

    def step(self):
        """Hands on what is new, in the order of the steps; the number of lines."""
        entries = [(line["step"], numbers(line)) for line in self._new_lines("metrics.jsonl")]
        entries += [(line["step"], numbers(line, f"{line['node']}/")) for line in self._new_lines("evaluations.jsonl")]
        entries.sort(key=lambda entry: entry[0])
        merged = {}
        for step, values in entries:
            merged.setdefault(step, {}).update(values)
        for step, values in merged.items():
            if values:
                self._tracker.values(step, values)
        if entries:
            self._last = max(self._last, entries[-1][0])
            self._write_note()
        return len(entries)

    def pictures(self):
        for path in sorted(self._run.path.glob("*.png")):
            name, stamp = path.name, path.stat().st_mtime_ns
            if self._pictures.get(name) != stamp:
                self._tracker.picture(path.stem, path, self._last)
                self._pictures[name] = stamp
        self._write_note()

    def end(self):
        self.pictures()
        self._tracker.end(self._run.status in ("failed", "killed"))

    def _write_note(self):
        temporary = self._note.with_suffix(".part")
        temporary.write_text(json.dumps({"id": self._tracker.identity, "bytes": self._done, "step": self._last, "pictures": self._pictures}))
        temporary.rename(self._note)


def follow(run: Run | Path, tracker: str, *, project: str = "flowrun", name: str | None = None, once: bool = False, every: float = 2.0) -> int:
    """Hands a run (a Run or its folder) to `tracker`; returns when the run has ended, or at once, how many lines it handed on. `every`: seconds
    between looks."""
    run = run if isinstance(run, Run) else Run(run)
    follower = Follower(run, tracker, project, name or run.path.resolve().name)
    lines = follower.step()
    while not once and run.status == "running":
        time.sleep(every)
        lines += follower.step()
    lines += follower.step()  # written between the last look and the end
    follower.end()
    return lines


def main():
    parser = argparse.ArgumentParser(prog="python -m flowrun.log", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tracker", choices=sorted(TRACKERS))
    parser.add_argument("run", type=pathlib.Path)
    parser.add_argument("--project", default="flowrun", help="of the tracker; MLflow's experiment")
    parser.add_argument("--name", default=None, help="of the run there; default: that of its folder")
    parser.add_argument("--once", action="store_true", help="hand on what is there, and end")
    args = parser.parse_args()
    try:
        lines = follow(args.run, args.tracker, project=args.project, name=args.name, once=args.once)
    except ModuleNotFoundError as error:
        sys.exit(f"flowrun.log: {error.name} is not installed: pip install {error.name}")
    except ValueError as error:
        sys.exit(f"flowrun.log: {error}")
    print(f"{lines} lines of {args.run} handed to {args.tracker}")


if __name__ == "__main__":
    main()
