"""flowrun sweep: variants equal separate runs, continue where they were stopped, and are compared over seeds."""
import hashlib
import json
import shutil
import signal
import statistics

import numpy
import scipy.stats
import support
from PIL import Image
from support import training_pipeline



class Sweep(support.Folder):
    def sweep(self, variants, **more):
        self.write(training_pipeline(steps=4), "base.json")
        return self.write({"base": "base.json", "variants": variants, **more}, "masks.json")

    def test_variants_equal_their_runs(self):
        name = self.sweep({"four": {}, "one": {"mask.regions": 1}, "other": "other.json"}, set={"seed": 5})
        self.write({**training_pipeline(steps=2), "about": "of its own"}, "other.json")
        done = self.flowrun("sweep", name, "--quiet")
        self.flowrun("base.json", "--set", "seed=5", "--set", "mask.regions=1", "--out", "alone")
        self.assertEqual(self.history("runs/masks/one"), self.history("alone"))
        self.assertNotEqual(self.history("runs/masks/four"), self.history("alone"))
        found = json.loads((self.folder / "runs/masks/sweep.json").read_text())
        rows = found["runs"]
        self.assertEqual([(row["variant"], row["status"], row["steps"]) for row in rows], [("four", "done", 4), ("one", "done", 4), ("other", "done", 2)])
        self.assertEqual(rows[1]["loss"], self.metrics("alone")[-1]["loss"])
        self.assertEqual((self.folder / "runs/masks/sweep.md").read_text(), done.stdout)
        self.assertRegex(done.stdout, r"\| one \| done \| 4 \| [\d.]+ \| 0\.\d+ \|")
        again = self.flowrun("sweep", name, "--json")
        self.assertEqual(again.stderr.count("is done already"), 3)
        self.assertEqual(json.loads(again.stdout), found)
        self.assertIn("One run of each variant: no test is possible. --seeds 3", done.stdout)

    def test_a_stopped_sweep_goes_on(self):
        self.write(training_pipeline(), "base.json")
        name = self.write({"base": "base.json", "variants": {"a": {"run.epochs": 60}, "b": {}}}, "masks.json")
        process = self.start("sweep", name, "--out", "out")
        self.wait_for_steps("out/a", 5)
        children = support.subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, text=True).stdout.split()
        support.os.kill(int(children[0]), signal.SIGINT)
        out, _ = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 75)
        self.assertRegex(out, r"\| a \| stopped \|")
        self.assertRegex(out, r"\| b \| not run \|")
        self.flowrun("sweep", name, "--out", "out")
        self.flowrun("base.json", "--set", "run.epochs=60", "--out", "alone")
        self.assertEqual(self.history("out/a"), self.history("alone"))

    def test_a_variant_that_fails_does_not_stop_the_others(self):
        (self.folder / "empty").mkdir()
        name = self.sweep({"broken": {"update.lr.max": 1e30, "update.lr.start": 1e30, "update.lr.final": 1e30}, "whole": {}})
        done = self.flowrun("sweep", name, status=1)
        self.assertRegex(done.stdout, r"\| broken \| failed \|")
        self.assertRegex(done.stdout, r"\| whole \| done \| 4 \|")

    def test_checkpoints_of_all_variants_must_fit(self):
        name = self.sweep({"a": {}, "b": {"mask.regions": 1}})
        self.flowrun("base.json", "--out", "alone")
        one = sum(path.stat().st_size for path in next((self.folder / "alone/checkpoints").iterdir()).iterdir())
        # One variant has room, two haven't.
        space = support.os.statvfs(self.folder)
        many = {"save.every": "1 steps", "save.keep": int(0.7 * space.f_bavail * space.f_frsize / one), "run.epochs": 2_000_000_000, "run.steps": 0}
        name = self.sweep({"a": {}, "b": {"mask.regions": 1}}, set=many)
        for more in ([], ["--share"]):
            done = self.flowrun("sweep", name, "--out", "parent/out", *more, status=1)
            self.assertRegex(done.stderr, r"the checkpoints of the 2 variants that are to run need [\d.]+ GiB, but the disk of parent/out has only "
                                          r"[\d.]+ GiB left: free some space")
            self.assertNotIn("variant 1 of 2", done.stderr)
            self.assertFalse((self.folder / "parent").exists())
        # Finished variants need no more room, and short runs write few checkpoints, even if many may be kept.
        name = self.sweep({"a": {}, "b": {"mask.regions": 1}}, set={"save.keep": many["save.keep"]})
        self.flowrun("sweep", name, "--out", "out")

    def wait_for_steps(self, run, count):
        metrics = self.folder / run / "metrics.jsonl"
        self.wait_until(lambda: metrics.exists() and len(metrics.read_text().splitlines()) > count)

    def assert_alone(self, run, pipeline, *sets):
        """A variant under --share equals the separate run: ledgers, losses, checkpoints, evaluations, quarantine."""
        alone = run.replace("/", "-") + "-alone"
        self.flowrun(pipeline, *(word for each in sets for word in ("--set", each)), "--quiet", "--out", alone)
        self.assertEqual(self.history(run), self.history(alone))
        self.assertEqual(self.last_checkpoint(run), self.last_checkpoint(alone))
        for name in ("evaluations.jsonl", "quarantine.jsonl"):
            texts = [(self.folder / out / name).read_text() if (self.folder / out / name).exists() else None for out in (run, alone)]
            self.assertEqual(*texts)

    def shared_sweep(self, variants, pipeline=None, **more):
        self.write(pipeline or training_pipeline(), "base.json")
        return self.write({"base": "base.json", "variants": variants, **more}, "masks.json")

    def test_shared_input_gives_what_runs_alone_give(self):
        pipeline = training_pipeline()
        streams = support.frozen_streams()
        pipeline["nodes"].update(streams)
        pipeline["nodes"]["knn"] = {"type": "eval.knn", "in": {"train": "known_features", "test": "unseen_features"}, "at": ["start", "5 steps", "end"]}
        variants = {
            "four": {},
            "one": {"mask.regions": 1},
            "short": {"run.steps": 5, "mask.regions": 2},
            "slow": {"update.lr.max": 1e-3, "run.memory_mib": 1},
            "seed": {"seed": 8},
            "crop": {"crop.area": [0.5, 1]},
        }
        done = self.flowrun("sweep", self.shared_sweep(variants, pipeline), "--share", "--quiet", "--threads", 2)
        self.assertIn("sharing files, crop, decode, view, flip, batch among 4 variants; mask is each one's own", done.stderr)
        self.assertIn("variant 1 to 4 of 6: four, one, short, slow\n", done.stderr)
        self.assertIn("variant 6 of 6: crop\n", done.stderr)
        for name in ("four", "one", "short", "slow"):
            self.assert_alone(f"runs/masks/{name}", "base.json", *(f"{path}={json.dumps(value)}" for path, value in variants[name].items()))
            log = (self.folder / f"runs/masks/{name}/log.txt").read_text()
            self.assertRegex(log, rf"^\S+ \S+ run runs/masks/{name}: ")
            self.assertEqual(log.count("done: "), 1)
            nodes = json.loads((self.folder / f"runs/masks/{name}/stats.json").read_text())["nodes"]
            self.assertEqual((nodes["decode"]["count"], nodes["batch"]["count"]), (0, 0))
            self.assertGreater(nodes["mask"]["count"], 0)
        self.assertIn("one: done: runs/masks/one", done.stderr)

    def test_masks_are_shared_where_they_are_equal(self):
        done = self.flowrun("sweep", self.shared_sweep({"a": {}, "b": {"update.lr.max": 1e-3}}), "--share", "--quiet")
        self.assertIn("sharing files, crop, decode, view, flip, batch, mask among 2 variants\n", done.stderr)
        self.assert_alone("runs/masks/b", "base.json", "update.lr.max=1e-3")

    def test_shared_input_outlives_a_variant_that_fails(self):
        huge = {"update.lr.max": 1e30, "update.lr.start": 1e30, "update.lr.final": 1e30}
        variants = {"broken": huge, "deeper": {"student.depth": 3}, "whole": {}}
        done = self.flowrun("sweep", self.shared_sweep(variants), "--share", "--quiet", status=1)
        self.assertRegex(done.stdout, r"\| broken \| failed \|")
        self.assertRegex(done.stdout, r"\| deeper \| done \|")
        self.assert_alone("runs/masks/whole", "base.json")
        self.flowrun("base.json", *(word for path, value in huge.items() for word in ("--set", f"{path}={value}")), "--out", "alone", status=1)
        self.assertEqual(self.result("runs/masks/broken")["error"], self.result("alone")["error"])

    def test_a_stopped_shared_sweep_goes_on(self):
        name = self.shared_sweep({"a": {"run.epochs": 100}, "b": {"run.epochs": 90, "mask.regions": 1}, "c": {"seed": 5}}, set={"save.every": "20 steps"})
        for signal_sent in (signal.SIGTERM, signal.SIGINT):
            process = self.start("sweep", name, "--share", "--quiet", "--out", "out")
            self.wait_for_steps("out/b", 5)
            self.wait_until(lambda: all((self.folder / "out" / run / "process.json").exists() for run in "ab"))
            if signal_sent == signal.SIGTERM:
                for run in ("out/a", "out/b"):  # one process answers for both
                    self.assertEqual(json.loads(self.flowrun("top", run, "--once", "--json").stdout)["run"], run)
                process.send_signal(signal_sent)
            else:  # from a terminal it comes to all
                child = support.subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, text=True).stdout.split()[0]
                support.os.kill(int(child), signal_sent)
            out, err = process.communicate(timeout=120)
            self.assertEqual(process.returncode, 75, err)
            self.assertRegex(out, r"\| a \| stopped \|")
            self.assertRegex(out, r"\| c \| not run \|")
        self.flowrun("sweep", name, "--share", "--quiet", "--out", "out")
        self.assert_alone("out/a", "base.json", "save.every=20 steps", "run.epochs=100")
        self.assert_alone("out/b", "base.json", "save.every=20 steps", "run.epochs=90", "mask.regions=1")

    def test_bad_files_are_listed_in_every_shared_run(self):
        images = self.folder / "images"
        images.mkdir()
        for number in range(48):
            Image.effect_noise((48, 40), 60 + number).convert("RGB").save(images / f"{number:04}.jpg")
        for name in ("0007.jpg", "0030.jpg"):
            (images / name).write_bytes(b"no picture")
        pipeline = training_pipeline(max_bad=9)
        pipeline["nodes"]["files"] = {"type": "source.folder", "path": "images"}
        done = self.flowrun("sweep", self.shared_sweep({"a": {}, "b": {"mask.regions": 1, "run.max_bad": 8}, "few": {"run.max_bad": 1}}, pipeline), "--share", "--quiet", status=1)
        self.assertIn("among 3 variants", done.stderr)
        self.assert_alone("runs/masks/a", "base.json")
        self.assert_alone("runs/masks/b", "base.json", "mask.regions=1", "run.max_bad=8")
        self.assertEqual(len((self.folder / "runs/masks/a/quarantine.jsonl").read_text().splitlines()), 6)  # two files, three epochs
        self.assertIn("more than run.max_bad = 1", self.result("runs/masks/few")["error"])
        name = self.shared_sweep({"a": {"run.max_bad": 0}, "b": {"run.max_bad": 0, "mask.regions": 1}}, pipeline)
        self.flowrun("sweep", name, "--share", "--quiet", "--out", "strict", status=1)
        self.flowrun("base.json", "--set", "run.max_bad=0", "--out", "alone", status=1)
        error = self.result("alone")["error"]
        self.assertIn("replay: flowrun replay alone", error)
        self.assertEqual(self.result("strict/a")["error"], error.replace("replay alone", "replay strict/a"))

    def test_memory_says_how_many_run_side_by_side(self):
        pipeline = training_pipeline(steps=2)
        pipeline["models"]["student"].update(width=96)  # 0.23 million weights: 0.9 MiB, five times with the teacher
        name = self.shared_sweep({"a": {}, "b": {"mask.regions": 1}, "c": {"mask.regions": 2}}, pipeline)
        done = self.flowrun("sweep", name, "--share", "--quiet", "--memory", 12)
        self.assertRegex(done.stderr, r"^side by side the 3 variants with the same input need 1[4-9] MiB, and 12 MiB are free: they run in 2 rounds\n")
        self.assertIn("variant 1 to 2 of 3: a, b\nsharing ", done.stderr)
        self.assertIn("variant 3 of 3: c\n", done.stderr)
        self.assertEqual(done.stdout.count("| done |"), 3)
        self.assertIn("--memory requires --share", self.flowrun("sweep", name, "--memory", 1, status=2).stderr)

    def test_faults(self):
        for sweep, *messages in (
            ({"base": "base.json", "variants": {"a": {"mask.regionz": 1}}}, "variant a of masks.json:"),
            ({"base": "base.json", "variants": {"a": 3}}, "variants.a must be an object from path to value"),
            ({"base": "base.json", "variants": {"../a": {}}}, 'the name "../a" of a variant becomes a folder\'s name'),
            ({"base": "base.json", "variant": {}}, 'masks.json:3:3: error: unknown key "variant"', 'did you mean "variants"?', "variants must be an object"),
            ({"variants": {"a": {}}}, "base must name the pipeline"),
            ({"base": "base.json"}, "variants must be an object", "may be left out where there is grid, zip or seeds"),
            ({"base": "base.json", "grid": {"mask.regionz": [1, 2]}}, "variant regionz-1 of masks.json:", "mask.regionz"),
            ({"base": "base.json", "grid": {"mask.regions": []}}, "mask.regions needs values"),
            ({"base": "base.json", "zip": {"mask.regions": [1, 2], "seed": [3]}}, "mask.regions has 2 and seed has 1"),
            ({"base": "base.json", "grid": {"mask.regions": [1]}, "zip": {"mask.regions": [2]}}, "zip varies mask.regions, which the sweep sets in another place, too"),
            ({"base": "base.json", "set": {"mask.regions": 3}, "grid": {"mask.regions": [1]}}, "grid varies mask.regions, which the sweep sets"),
            ({"base": "base.json", "grid": {"seed": [1, 2]}, "seeds": 3}, 'seed is set by "seeds"'),
            ({"base": "base.json", "grid": {"a.b": []}, "zip": {"c": [1, 2], "d": [1]}, "gaol": "max"}, "a.b needs values", "c has 2 and d has 1", 'unknown key "gaol"', "3 errors"),
            ({"base": "base.json", "seeds": [1, 2, 1]}, "the seed 1 is listed twice"),
            ({"base": "base.json", "seeds": 0}, "a count of at least 1, or a list of seeds"),
            ({"base": "base.json", "seeds": 2, "goal": "more"}, 'goal is "max" or "min"'),
            ({"base": "base.json", "seeds": 2, "difference": -1}, "difference must be a number above 0"),
            ({"base": "base.json", "variants": {"one": {}, "two": {}}, "baseline": "ome"}, 'the baseline "ome" is no variant', 'did you mean "one"?'),
            ({"base": "base.json", "seeds": 2, "decide": "knn.accuracy"}, 'decide "knn.accuracy": there is no evaluation "knn"', "there are none"),
            ({"base": "base.json", "seeds": 2, "decide": "accuracy"}, 'decide "accuracy" must be NODE.METRIC of an evaluation, such as knn.accuracy, or loss'),
        ):
            self.write(training_pipeline(), "base.json")
            err = self.flowrun("sweep", self.write(sweep, "masks.json"), status=2).stderr
            for message in messages:
                self.assertIn(message, err)
            self.assertFalse((self.folder / "runs").exists())

    def test_faults_of_options(self):
        name = self.sweep({"a": {}, "b": {"mask.regions": 1}})
        self.write(training_pipeline(), "other.json")
        for options, message in (
            ([name, "other.json"], "masks.json is a sweep file: give it alone, or pipelines"),
            (["nothing.json"], "nothing.json: No such file"),
            (["other.json", "nothing.json"], "nothing.json: there is no such file"),
            (["other.json", "./other.json"], "would both be other"),
            ([name, "--seeds", "0,x"], "--seeds 0,x: a seed is an integer"),
            ([name, "--seeds", "0"], "--seeds 0: a count is at least 1"),
            ([name, "--seeds", 2, "--set", "seed=1"], "--set seed=1 would be without effect"),
            ([name, "--set", "mask.regions=2"], "--set mask.regions=2 would be without effect: the sweep varies mask.regions"),
            ([name, "--cells", "cells.jsonl"], "--cells holds runs by seed: give --seeds"),
            ([name, "--only", 2], "numbered from 0 to 1"),
        ):
            self.assertIn(message, self.flowrun("sweep", *options, status=2).stderr)
        self.assertIn("no run of the sweep is done in runs/masks", self.flowrun("sweep", name, "--report", status=1).stderr)
        self.assertFalse((self.folder / "runs").exists())


class Answer(support.Folder):
    """Over seeds."""

    def pipeline(self, **run):
        pipeline = training_pipeline(**run)
        pipeline["nodes"].update(support.frozen_streams(60, 100))
        pipeline["nodes"]["knn"] = {"type": "eval.knn", "in": {"train": "known_features", "test": "unseen_features"}, "k": [5], "at": ["start", "1 epoch", "end"]}
        pipeline["nodes"]["save"]["best"] = "knn.accuracy"
        return pipeline

    def test_variants_are_compared_seed_by_seed(self):
        self.write(self.pipeline(steps=3), "base.json")
        sweep = {"base": "base.json", "grid": {"update.lr.max": {"slow": 1e-4, "fast": 1e-2}}, "zip": {"mask.regions": [1, 2], "mask.min_keep": [2, 3]}, "seeds": 3,
                 "baseline": "fast_regions-1_min_keep-2"}
        done = self.flowrun("sweep", self.write(sweep, "lr.json"), "--quiet", "--share")
        names = [f"{lr}_regions-{n}_min_keep-{n + 1}" for lr in ("slow", "fast") for n in (1, 2)]
        self.assertIn("4 variants with 3 seeds; knn.accuracy decides (higher is better), against fast_regions-1_min_keep-2\n", done.stderr)
        self.assertIn(f"run 1 to 4 of 12: {', '.join(f'{name}-seed0' for name in names)}\n", done.stderr)
        self.flowrun("base.json", "--set", "seed=2", "--set", "update.lr.max=1e-2", "--set", "mask.regions=2", "--set", "mask.min_keep=3", "--out", "alone", "--quiet")
        self.assertEqual(self.history(f"runs/lr/{names[3]}-seed2"), self.history("alone"))
        found = json.loads((self.folder / "runs/lr/sweep.json").read_text())
        self.assertEqual([(row["variant"], row["seed"]) for row in found["runs"]], [(name, seed) for name in names for seed in range(3)])

        self.assertEqual([key for key in found["runs"][0] if " " in key], ["knn accuracy"])
        accuracies = {name: [self.result(f"runs/lr/{name}-seed{seed}")["knn"]["accuracy"] for seed in range(3)] for name in names}
        self.assertEqual((found["decide"], found["goal"], found["baseline"]), ("knn.accuracy", "max", names[2]))
        for variant in found["variants"]:
            values = variant["metrics"]["knn.accuracy"]
            self.assertEqual(values["values"], accuracies[variant["variant"]])
            self.assertAlmostEqual(values["deviation"], statistics.stdev(values["values"]), 12)
            self.assertIn(f"| {variant['variant']} | 3 | {100 * statistics.mean(values['values']):.1f} ± ", done.stdout)
        base, raw = accuracies[names[2]], []
        compared = {entry["variant"]: entry for entry in found["comparisons"]}
        self.assertEqual(list(compared), [names[0], names[1], names[3]])
        tested = [name for name in compared if numpy.subtract(accuracies[name], base).std() > 1e-12]
        for name, entry in compared.items():
            differences = numpy.subtract(accuracies[name], base)
            self.assertAlmostEqual(entry["difference"], differences.mean(), 12)
            self.assertEqual("p" in entry, name in tested)
            if name in tested:
                test = scipy.stats.ttest_rel(accuracies[name], base)
                self.assertAlmostEqual(entry["p"], test.pvalue, 10)
                numpy.testing.assert_allclose(entry["interval"], test.confidence_interval(), rtol=1e-9, atol=1e-12)
                unpaired = scipy.stats.ttest_ind(accuracies[name], base, equal_var=False)
                numpy.testing.assert_allclose(entry["unpaired_interval"], unpaired.confidence_interval(), rtol=1e-9, atol=1e-12)
                raw.append(entry["p"])
        order = numpy.argsort(raw, kind="stable")
        stepped = numpy.maximum.accumulate([min(1, (len(raw) - i) * raw[at]) for i, at in enumerate(order)])
        numpy.testing.assert_allclose([compared[name]["p_holm"] for name in tested], stepped[numpy.argsort(order)])
        for line in found["answer"]:
            self.assertIn(line + "\n", done.stdout)
        self.assertEqual(found["answer"][-1].startswith("Recommendation: "), bool(tested))
        self.assertRegex(done.stdout, r"\| at the start \|  \| \d+\.\d ± ", "the same weights at first")

        # Given again nothing runs; more seeds run alone; a report runs nothing.
        again = self.flowrun("sweep", "lr.json", "--seeds", "0,1,2", "--quiet")
        self.assertEqual((again.stderr.count("is done already"), again.stdout), (12, done.stdout))
        shutil.rmtree(self.folder / f"runs/lr/{names[1]}-seed1")
        report = self.flowrun("sweep", "lr.json", "--report", "--decide", "loss", "--difference", "9")
        self.assertIn(f"1 of 12 runs are not done: {names[1]} (1 not run).", report.stdout)
        self.assertIn(f"{names[3]} and {names[2]} differ by less than 9.0 of the loss", report.stdout)
        self.assertFalse((self.folder / f"runs/lr/{names[1]}-seed1").exists())

        # A metric that no evaluation reports is a fault before anything runs, one that the first run lacks ends the sweep.
        wrong = self.flowrun("sweep", "lr.json", "--decide", "knn.acuracy", "--out", "wrong", status=2).stderr
        self.assertEqual(wrong, 'error: decide "knn.acuracy": knn reports no "acuracy"\n  did you mean "accuracy"? it reports accuracy, accuracy_k*\n')
        self.assertFalse((self.folder / "wrong").exists())
        wrong = self.flowrun("sweep", "lr.json", "--decide", "knn.accuracy_k5", "--set", "run.steps=1", "--out", "wrong", "--quiet", status=2).stderr
        self.assertIn('error: decide "knn.accuracy_k5": wrong/slow_regions-1_min_keep-2-seed0 has no such metric\n  did you mean "knn.accuracy"? it has knn.accuracy\n', wrong)
        self.assertEqual(len([path for path in (self.folder / "wrong").iterdir() if path.is_dir()]), 1)

        # A finished run of another pipeline is never used.
        sweep["set"] = {"student.width": 32}
        self.write(sweep, "lr.json")
        refused = self.flowrun("sweep", "lr.json", status=1).stderr
        self.assertIn(f"runs/lr/{names[0]}-seed0 is a run of another pipeline:\n  models.student.width is now 32\nmove it away", refused)
        self.assertIn("no run of the sweep is done", self.flowrun("sweep", "lr.json", "--report", status=1).stderr)

    def test_an_array_job_runs_each_run_once(self):
        self.write(self.pipeline(steps=2), "base.json")
        name = self.write({"base": "base.json", "variants": {"b": {}, "a": {"mask.regions": 1}}, "seeds": [0, 4]}, "it's masks.json")
        said = self.flowrun("sweep", name, "--slurm", "job.sh", "--at-once", 3, "--set", "run.epochs=1", "--threads", 1).stderr
        script = (self.folder / "job.sh").read_text()
        self.assertIn("#SBATCH --array=0-3%3\n", script)
        self.assertIn("job.sh: 4 tasks", said)
        self.assertFalse((self.folder / "runs").exists())
        environment = {key: value for key, value in support.os.environ.items() if not key.startswith("SLURM")}
        for task in (3, 0, 0, 2):
            done = support.subprocess.run(["bash", "job.sh"], cwd=self.folder, env={**environment, "SLURM_ARRAY_TASK_ID": str(task)}, text=True, capture_output=True)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertEqual(sorted(path.name for path in (self.folder / "runs/it's masks").iterdir()), ["a-seed4", "b-seed0", "b-seed4"])
        self.assertIn("b-seed0 is done already", self.flowrun("sweep", name, "--set", "run.epochs=1", "--only", 0).stderr)
        report = said.splitlines()[-1].strip()
        self.assertIn("--report", report)
        table = support.subprocess.run(["bash", "-c", report], cwd=self.folder, text=True, capture_output=True)
        self.assertEqual(table.returncode, 0, table.stderr)
        self.assertIn("| b | 2 | ", table.stdout)
        self.assertIn("1 of 4 runs are not done: a (1 not run).", table.stdout)
        self.assertIn("One seed in common with b, so that no test is possible; differences in points of knn.accuracy: a ", table.stdout)

    def test_pipelines_and_folders_are_variants(self):
        """And finished runs are kept in a file, from which another machine goes on."""
        (self.folder / "methods").mkdir()
        for name, steps in (("fast", 2), ("slow", 4), ("_base", 1)):
            self.write(self.pipeline(steps=steps, epochs=1), f"methods/{name}.json")
        self.write({"base": "fast.json", "seeds": 2}, "methods/own.sweep.json")
        self.write(self.pipeline(steps=2), "third.json")
        words = ["methods", "third.json", "--seeds", "1,2", "--set", "run.intra_op=1", "--cells", "cells.jsonl", "--quiet"]
        done = self.flowrun("sweep", *words)
        self.assertEqual(sorted(path.name for path in (self.folder / "runs/compare/methods").iterdir() if path.is_dir()),
                         [f"{name}-seed{seed}" for name in ("fast", "slow", "third") for seed in (1, 2)])
        lines = [json.loads(line) for line in (self.folder / "cells.jsonl").read_text().splitlines()]
        self.assertEqual([(line["pipeline"], line["seed"], line["set"]) for line in lines],
                         [(name, seed, ["run.intra_op=1"]) for seed in (1, 2) for name in ("fast", "slow", "third")])
        result = self.result("runs/compare/methods/slow-seed1")
        self.assertEqual(lines[1]["curves"], {"knn": [[entry["step"], entry["accuracy"]] for entry in result["knn"]["history"]]})
        self.assertEqual(lines[1]["metrics"], {"loss": self.metrics("runs/compare/methods/slow-seed1")[-1]["loss"], "knn.accuracy": result["knn"]["accuracy"]})
        by_loss = [self.flowrun("sweep", *words, "--decide", "loss", "--report", "--json", *more).stdout for more in ([], ["--out", "nowhere"])]
        self.assertEqual(*(json.loads(text)["comparisons"] for text in by_loss))
        self.assertEqual(json.loads(by_loss[0])["comparisons"][0]["seeds"], [1, 2])
        kept = self.flowrun("sweep", *words, "--out", "elsewhere", "--baseline", "third")
        self.assertNotIn(": run ", kept.stderr, "what is in the file is not run again")
        rows = [[line.split("|")[1:4] for line in text.splitlines() if line.startswith(("| fast", "| slow", "| third"))][:3] for text in (done.stdout, kept.stdout)]
        self.assertEqual(rows[0], rows[1])
        self.assertIn("difference to third in knn.accuracy", kept.stdout)
        shutil.rmtree(self.folder / "elsewhere")
        report = self.flowrun("sweep", *words, "--out", "elsewhere", "--report")
        self.assertIn("| fast | 2 | ", report.stdout)
        self.assertFalse((self.folder / "elsewhere").exists())

        # Lines of other files are not used.
        self.write(self.pipeline(steps=3), "third.json")
        report = self.flowrun("sweep", *words, "--out", "elsewhere", "--report")
        self.assertIn("third-seed1 in cells.jsonl was made by other files: not used", report.stderr)
        self.assertIn("third (2 not run)", report.stdout)

    def test_lines_of_old_files_have_accuracies_alone(self):
        """Their other metrics are taken from the runs' folders, where these are there."""
        for name in ("a", "b"):
            self.write(self.pipeline(steps=2), f"{name}.json")
        words = ["a.json", "b.json", "--seeds", "2", "--cells", "cells.jsonl", "--quiet"]
        self.flowrun("sweep", *words)
        lines = [json.loads(line) for line in (self.folder / "cells.jsonl").read_text().splitlines()]
        (self.folder / "cells.jsonl").write_text("".join(json.dumps({key: line[key] for key in line if key != "metrics"}) + "\n" for line in lines))
        done = json.loads(self.flowrun("sweep", *words, "--decide", "loss", "--json").stdout)
        self.assertEqual((done["decide"], done["comparisons"][0]["seeds"]), ("loss", [0, 1]))
        self.assertIn("b and a have equal loss with all 2 seeds.", done["answer"])
        done = self.flowrun("sweep", *words, "--decide", "loss", "--report", "--out", "elsewhere").stdout
        self.assertIn("No run that is done has loss, so that nothing is compared: they have knn.accuracy, of which --decide names one.", done)

    def test_shipped_pipelines_are_variants(self):
        """As base, as variant, on the command line, and as what a pipeline with a line in the file of finished runs extends."""
        tiny = {"run.steps": 1, "run.device": "cpu", "run.intra_op": 1, "known.images": 50, "unseen.images": 50}
        self.write({"extends": "shipped:quickstart.json", "set": tiny}, "mine.json")
        self.flowrun("sweep", "mine.json", "--seeds", "1", "--cells", "cells.jsonl", "--quiet", "--out", "mine")
        shipped = support.ROOT / "pipelines/quickstart.json"
        texts = (self.folder / "mine.json").read_bytes() + b"\0" + shipped.read_bytes()
        self.assertEqual(json.loads((self.folder / "cells.jsonl").read_text())["sources"], hashlib.sha256(texts).hexdigest()[:16])
        self.write({"base": "shipped:quickstart.json", "set": tiny, "variants": {"own": {}, "other": "shipped:quickstart.json"}}, "both.json")
        done = self.flowrun("sweep", "both.json", "--quiet").stdout
        self.assertRegex(done, r"\| own \| done \| 1 \|.*\n\| other \| done \| 1 \|")
        words = [word for path, value in tiny.items() for word in ("--set", f"{path}={value}")]
        done = self.flowrun("sweep", "shipped:quickstart.json", *words, "--quiet").stdout
        self.assertRegex(done, r"\| quickstart \| done \| 1 \|")
        self.assertIn("no such pipeline is shipped; flowrun pipelines lists them", self.flowrun("sweep", "shipped:none.json", "mine.json", status=2).stderr)

    def test_finished_runs_of_the_repository_are_found(self):
        """A line counts while the pipeline's files are those that made it: whoever changes one of pipelines/compare makes docs/results again."""
        for name in ("distill", "regions", "shapes", "textures", "twins"):
            cells = support.ROOT / f"docs/results/{name}.jsonl"
            lines = [json.loads(line) for line in cells.read_text().splitlines()]
            seeds = ",".join(map(str, sorted({line["seed"] for line in lines})))
            folder = support.ROOT / "pipelines/compare" / name
            files = [folder if folder.is_dir() else f"{folder}.sweep.json", "--seeds", f"[{seeds}]"]
            report = self.flowrun("sweep", *files, "--set", "run.intra_op=1", "--set", "run.threads=1", "--cells", cells, "--out", "none", "--report", "--json", "--decide", "loss")
            self.assertNotIn("made by other files", report.stderr)
            done = {(row["variant"], row["seed"]) for row in json.loads(report.stdout)["runs"] if row["status"] == "done"}
            self.assertEqual(done, {(line["pipeline"], line["seed"]) for line in lines}, name)

    def test_no_run_begins_when_the_minutes_are_over(self):
        self.write(training_pipeline(steps=1), "base.json")
        done = self.flowrun("sweep", self.write({"base": "base.json", "seeds": 3}, "seeds.json"), "--minutes", 1e-6, "--quiet")
        self.assertIn("the minutes are over: 3 of 3 runs are left", done.stderr)
        self.assertIn("3 of 3 runs are not done: base (3 not run).", done.stdout)


if __name__ == "__main__":
    support.main()
