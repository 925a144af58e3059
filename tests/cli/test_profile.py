"""flowrun profile --input-only: what it reports, and that the input's memory does not grow."""
import json
import os
import re
import subprocess
import unittest

from PIL import Image

from test_live import with_fault
from support import MEASURES, PHOTOGRAPHS, ROOT, Folder, data_pipeline, needs_photographs, frozen_streams, images, needs_cifar10, training_pipeline, unpack_cifar10


class Profile(Folder):
    def profile(self, pipeline, *args):
        return json.loads(self.flowrun("profile", self.write(pipeline), "--input-only", "--json", *args).stdout)

    def test_only_the_host_side_runs(self):
        result = self.profile(training_pipeline(), "--seconds", "0.5", "--threads", "2")
        self.assertEqual([node["node"] for node in result["nodes"]], ["files", "crop", "decode", "view", "flip", "batch", "mask"])
        self.assertEqual(result["threads"], 2)
        self.assertEqual(result["bound_by"], "cpu")
        self.assertAlmostEqual(result["images_per_second"], result["images"] / result["seconds"], delta=1)
        share = sum(node["share"] for node in result["nodes"])
        self.assertGreater(share, 0.5 if MEASURES else 0)
        self.assertFalse((self.folder / "runs").exists(), "a profile writes nothing")

    def test_a_folder_smaller_than_a_batch(self):
        """Its samples are repeated within a batch: only the speed matters."""
        for index in range(5):
            path = self.folder / f"few/{index}.jpg"
            path.parent.mkdir(exist_ok=True)
            Image.effect_noise((40, 40), 60).convert("RGB").save(path)
        pipeline = data_pipeline()
        pipeline["nodes"]["files"] = {"type": "source.folder", "path": "few"}
        self.assertGreater(self.profile(pipeline, "--seconds", "0.3")["images"], 16)
        self.assertIn("fewer than the batch", self.flowrun(self.write(pipeline), "--out", "run", status=2).stderr)

    def test_the_table(self):
        out = self.flowrun("profile", self.write(data_pipeline()), "--input-only", "--seconds", "0.3").stdout
        self.assertRegex(out, r"images/s, \d+ for each thread")
        self.assertRegex(out, r"decode +image.decode +\d")
        self.assertRegex(out, r"bound by the CPU, which was busy \d+ %")

    @needs_photographs
    def test_slow_files(self):
        library = self.preloaded("slow_files")
        pipeline = data_pipeline()
        pipeline["nodes"]["files"] = {"type": "source.folder", "path": str(PHOTOGRAPHS)}
        pipeline["run"]["read_ahead"] = 0
        for delay, bound in ("0", "cpu"), ("100", "storage"):
            done = self.flowrun("profile", self.write(pipeline), "--input-only", "--json", "--seconds", "1",
                                env={**os.environ, "LD_PRELOAD": str(library), "SLOW_FILES_MS": delay})
            result = json.loads(done.stdout)
            self.assertEqual(result["bound_by"], bound)
        self.assertGreater(result["waiting_share"], 0.2)

    def test_the_source_is_chosen(self):
        pipeline = {"models": {"teacher": {"type": "model.vit", "image": 24, "patch": 4, "width": 24, "depth": 1, "heads": 2}},
                    "nodes": {**frozen_streams(), "knn": {"type": "eval.knn", "in": {"train": "known_features", "test": "unseen_features"}}}}
        name = self.write(pipeline)
        failed = self.flowrun("profile", name, "--input-only", status=2)
        self.assertIn("name the one to measure with --source, one of known, unseen", failed.stderr)
        failed = self.flowrun("profile", name, "--input-only", "--source", "knwn", status=2)
        self.assertIn('there is no source "knwn"; the sources are known, unseen', failed.stderr)
        done = self.flowrun("profile", name, "--input-only", "--source", "unseen", "--seconds", "0.2", "--json")
        self.assertEqual(json.loads(done.stdout)["nodes"][0]["node"], "unseen")

    def whole(self, pipeline, *args):
        return json.loads(self.flowrun("profile", self.write(pipeline), "--json", *args).stdout)

    def test_the_whole(self):
        result = self.whole(training_pipeline(), "--steps", 40)
        nodes = {node["node"]: node for node in result["nodes"]}
        self.assertNotIn("save", nodes)
        self.assertEqual(result["steps"], 40)
        self.assertEqual(result["images"], 40 * 16)
        self.assertEqual(nodes["encode"]["calls"], 80, "two groups a step")
        self.assertGreater(result["input_alone"], 0)
        if MEASURES:
            self.assertGreater(result["input_alone"], result["images_per_second"])
        self.assertLessEqual(result["batches_waiting"], result["slots"])
        text = self.flowrun("profile", "pipeline.json", "--seconds", 1).stdout
        for pattern in (r"update +step +\d+ +\d+\.\d %", r"images/s together; the input side alone \d+; the device side alone \d+", r"bottleneck: "):
            self.assertRegex(text, pattern)
        self.assertFalse((self.folder / "runs").exists(), "a profile leaves nothing")

    def test_exactly_these_images_of_the_whole(self):
        """As tools/bench whole asks: after so many images, for so many, and nothing else is measured."""
        done = self.flowrun("profile", self.write(training_pipeline()), "--skip", 32, "--images", 64, "--json")
        result = json.loads(done.stdout)
        self.assertEqual((result["images"], result["steps"]), (64, 4))
        self.assertEqual((result["input_alone"], result["device_alone"]), (None, None))
        self.assertEqual(done.stderr.strip(), "measuring the whole")

    def test_a_slow_sample_node_is_the_bottleneck(self):
        pipeline = with_fault("sample", kind="sleep", ms=10)
        result = self.whole(pipeline, "--seconds", 3, "--threads", 1)
        stubbed = self.whole(pipeline, "--steps", 30, "--threads", 1, "--stub", "batch=record")
        if MEASURES:
            self.assertIn("data threads", result["bound_by"])
            self.assertIn("most of it in fault", result["verdict"])
            self.assertTrue(any("one more data thread" in line for line in result["advice"]), result["advice"])
            self.assertGreater(stubbed["images_per_second"], 1.5 * result["images_per_second"])
        self.assertEqual({node["node"]: node["calls"] for node in stubbed["nodes"]}["fault"], 0)

    @unittest.skipUnless(MEASURES, "compares measured times")
    def test_a_slow_step_is_the_bottleneck(self):
        result = self.whole(with_fault("step", kind="sleep", ms=100), "--steps", 8)
        self.assertEqual(result["bound_by"], "device")
        self.assertIn("most of it in fault", result["verdict"])
        self.assertIn("a device twice as fast", "".join(result["advice"]))

    @unittest.skipUnless(MEASURES, "compares measured times")
    def test_a_slow_tail_shows(self):
        node = next(n for n in self.whole(with_fault("sample", kind="tail", ms=1), "--steps", 30)["nodes"] if n["node"] == "fault")
        self.assertLess(node["p50_ms"], 4)
        self.assertGreater(node["busy_seconds"] / node["calls"] * 1e3, 1.5)

    def test_advise(self):
        pipeline = with_fault("sample", kind="sleep", ms=10)
        name = self.write(pipeline)
        result = json.loads(self.flowrun("advise", name, "--threads", 1, "--seconds", 5, "--cores", 64, "--device-scale", 3, "--json").stdout)
        forecasts = {line["what"]: line for line in result["forecasts"]}
        self.assertAlmostEqual(forecasts["as it is"]["gain"], 0, places=6)
        asked = next(line for what, line in forecasts.items() if what.startswith("64 cores"))
        if MEASURES:
            self.assertGreater(forecasts["one more data thread"]["gain"], 0.3)
            self.assertLess(forecasts["a device twice as fast"]["gain"], 0.3)
            self.assertGreater(asked["images_per_second"], forecasts["one more data thread"]["images_per_second"])
            # Two threads, measured: a sleeping node has room for them.
            measured = self.whole(pipeline, "--threads", 2, "--seconds", 3)["images_per_second"]
            self.assertLess(abs(measured / forecasts["one more data thread"]["images_per_second"] - 1), 0.5)
        text = self.flowrun("advise", name, "--threads", 1, "--seconds", 3).stdout
        self.assertRegex(text, r"one more data thread +\d+ +\+\d+ %")

    def record_times(self, out):
        """Typical times of a run, in place of measured ones: fault takes 10 ms a sample, others little."""
        path = self.folder / out / "stats.json"
        stats = json.loads(path.read_text())
        for name, node in stats["nodes"].items():
            each = 10e-3 if name == "fault" else 0.5e-3 if node["scope"] in ("device", "step") else 0.05e-3
            node.update(busy=each * node["count"], wait_input=0, wait_slot=0)
        images = stats["nodes"]["fault"]["count"]
        stats["nodes"]["upload"]["wait_input"] = 8e-3 * images
        stats.update(seconds=10.4e-3 * images, cpu_seconds=1e-3 * images, threads=1, cores=2)
        path.write_text(json.dumps(stats))
        lines = [{**line, "images_per_second": 96 + line["step"] % 3} for line in self.metrics(out)]
        (self.folder / out / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))

    def test_advise_of_a_run(self):
        self.flowrun(self.write(with_fault("sample", kind="sleep", ms=1)), "--out", "run", "--quiet", "--threads", 1)
        self.record_times("run")
        done = self.flowrun("advise", "run", "--trust", "--cores", 8, "--json")
        self.assertNotIn("measuring", done.stderr)
        result = json.loads(done.stdout)
        self.assertEqual((result["from"], result["threads"], result["bound_by"]), ("run", 1, "data threads"))
        rates = sorted(line["images_per_second"] for line in self.metrics("run"))
        self.assertAlmostEqual(result["images_per_second"], rates[len(rates) // 2], places=6)
        self.assertGreater(result["ms_per_image"]["host_waiting"], 5, "it sleeps")
        forecasts = {line["what"]: line["gain"] for line in result["forecasts"]}
        self.assertAlmostEqual(forecasts["as it is"], 0, places=6)
        self.assertGreater(forecasts["one more data thread"], 0.3)
        self.assertLess(forecasts["a device twice as fast"], 0.1)
        self.assertIn("by its own statistics", self.flowrun("advise", "run", "--trust").stdout)
        # A changed value, or a directory without statistics: the run has no answer.
        self.assertIn("measuring the whole", self.flowrun("advise", "run", "--trust", "--set", "crop.area=[0.5, 1]", "--seconds", 1).stderr)
        (self.folder / "run/stats.json").unlink()
        done = self.flowrun("advise", "run", "--trust", "--seconds", 1, "--json")
        self.assertIn("run has no statistics to forecast from: measuring", done.stderr)
        self.assertEqual(json.loads(done.stdout)["from"], "measurement")

    def test_advise_on_groups(self):
        pipeline = training_pipeline()
        pipeline["nodes"]["batch"].update(size=32, group=8)
        name = self.write(pipeline)
        for _ in range(3 if MEASURES else 1):  # a busy machine changes its speed between a trial and what it is compared with
            result = json.loads(self.flowrun("advise", name, "--groups", 16, "--threads", 1, "--seconds", 8 if MEASURES else 1, "--verify", "--json").stdout)
            tried = next(line for line in result["verified"] if line["what"] == "other groups")
            if abs(tried["error"]) < 0.6:
                break
        regrouped = result["regrouped"]
        self.assertEqual((regrouped["groups"], regrouped["group_size"], regrouped["groups_now"], regrouped["records"]), (16, 2, 4, 17))
        self.assertGreaterEqual(regrouped["ms_per_device_call"], 0)
        self.assertAlmostEqual(regrouped["mib_in_flight"] / regrouped["mib_in_flight_now"], 2 * 17 / (8 * 5), places=6)
        if MEASURES:
            self.assertGreater(regrouped["ms_per_device_call"], 0, "a model of a few thousand parameters is all overhead")
            self.assertLess(regrouped["gain"], -0.2)
            self.assertLess(abs(tried["error"]), 0.6)
        self.assertIn("batch can't cut its batch of 32 into 5 equal groups", self.flowrun("advise", name, "--groups", 5, "--seconds", 1, status=2).stderr)

    def test_a_leak_is_its_node_s(self):
        for scope, calls, steps in (("step", 1, 200), ("sample", 16, 50)):  # much, beside what a process grows by anyway
            with self.subTest(scope):
                result = self.whole(with_fault(scope, kind="leak"), "--steps", steps, "--leaks")
                (leak,) = result["memory"]["leaks"]
                self.assertEqual(leak["node"], "fault")
                self.assertAlmostEqual(leak["bytes_per_call"] / 2**20, 1, delta=0.15)
                self.assertAlmostEqual(leak["growth"] / result["memory"]["process_growth"], 1, delta=0.2)
                self.assertAlmostEqual(leak["calls"], steps * calls, delta=0.3 * steps * calls)
        text = self.flowrun("profile", self.write(with_fault("step", kind="leak")), "--leaks", "--steps", 50).stdout
        self.assertRegex(text, r"\nleak: fault, \d+\.\d MiB more in \d+ calls, \d+\.\d KiB a call; the process grew by \d+\.\d MiB\n")
        input_side = self.profile(with_fault("sample", kind="leak"), "--leaks", "--skip", 64, "--images", 320)
        self.assertEqual([leak["node"] for leak in input_side["memory"]["leaks"]], ["fault"])

    def test_a_pipeline_without_leaks(self):
        text = self.flowrun("profile", ROOT / "pipelines/quickstart.json", "--leaks", "--steps", 40).stdout
        self.assertIn("no node's memory grows", text)
        short = self.flowrun("profile", self.write(training_pipeline()), "--leaks", "--steps", 8).stdout
        self.assertRegex(short, r"memory was read \d times: 16 are needed to tell whether it grows; measure longer")
        result = self.whole(training_pipeline(), "--leaks", "--steps", 200)
        self.assertEqual(result["memory"]["leaks"], [])
        held = {node["node"]: node["bytes"] for node in result["memory"]["nodes"]}
        self.assertGreaterEqual(held["batch"], 2 * 8 * 24 * 24 * 3, "the groups in flight are the stack's")

    def test_a_run_that_grows_says_so(self):
        pipeline = data_pipeline(epochs=250)  # of 4 steps
        pipeline["plugins"] = with_fault("sample")["plugins"]
        pipeline["nodes"]["metrics"]["every"] = "100 steps"
        pipeline["nodes"]["leak"] = {"type": "fault.sample", "in": "flip", "kind": "leak", "at": 0}  # once in an epoch
        pipeline["nodes"]["batch"]["in"] = "leak"
        log = self.flowrun(self.write(pipeline), "--out", "grows").stderr
        said = re.findall(r"warning: memory grows: (\d+) MiB after step (\d+), (\d+) MiB after step (\d+), and more at each look between\n"
                          r"  to see which node's: flowrun profile (.*) --leaks --trust\n", log)
        self.assertEqual(len(said), 1, log)
        self.assertEqual((said[0][1], said[0][3]), ("100", "900"))
        self.assertAlmostEqual(int(said[0][2]) - int(said[0][0]), 200, delta=40)
        leaks = json.loads(self.flowrun("profile", said[0][4], "--trust", "--input-only", "--leaks", "--json", "--seconds", 1).stdout)["memory"]["leaks"]
        self.assertEqual([leak["node"] for leak in leaks], ["leak"])
        pipeline["nodes"]["leak"]["kind"] = "work"
        pipeline["nodes"]["leak"]["ms"] = 0
        self.assertNotIn("memory grows", self.flowrun(self.write(pipeline), "--out", "stays").stderr)

    def test_wrong_words(self):
        name = self.write(training_pipeline())
        self.assertIn('did you mean "batch"', self.flowrun("profile", name, "--stub", "bach=record", status=2).stderr)
        self.assertIn("has no output to replay", self.flowrun("profile", name, "--stub", "update", status=2).stderr)
        ranks = {**os.environ, "RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29500"}
        for command, what in (("profile", "a profile"), ("advise", "advice")):
            self.assertIn(f"{what} is one process: start it without torchrun", self.flowrun(command, name, status=2, env=ranks).stderr)
        self.assertIn("no node uses a model", self.flowrun("advise", self.write(data_pipeline()), status=2).stderr)

    @needs_photographs
    def test_samples_allocate_nothing(self):
        """libjpeg's malloc calls for each image are not counted; and the few steps may allocate."""
        library = self.preloaded("count_allocations")
        nodes = {"files": {"type": "source.folder", "path": str(PHOTOGRAPHS)}, "crop": {"type": "image.random_crop", "in": "files"},
                 "decode": {"type": "image.decode", "in": {"bytes": "files", "region": "crop"}},
                 "view": {"type": "image.resize", "in": {"image": "decode", "region": "crop"}, "size": 64},
                 "flip": {"type": "image.random_flip", "in": "view"},
                 "batch": {"type": "batch.stack", "in": "flip", "size": 64},
                 "metrics": {"type": "report.metrics", "in": {"image": "batch"}, "tensorboard": False}}
        name = self.write({"nodes": nodes})

        def allocations(images):
            done = self.flowrun("profile", name, "--input-only", "--json", "--threads", 1, "--skip", 512, "--images", images,
                                env={**os.environ, "LD_PRELOAD": str(library)})
            return int(re.search(r"allocations: (\d+)", done.stderr)[1])

        self.assertLess(allocations(1536) - allocations(512), 1024 / 4)

    @needs_cifar10
    def test_memory_is_flat_over_fifty_epochs(self):
        nodes = images()
        del nodes["mask"]
        nodes["files"] = {"type": "source.folder", "path": str(unpack_cifar10(self.folder, 16))}
        pipeline = {"nodes": {**nodes, "metrics": {"type": "report.metrics", "in": {"image": "batch"}, "tensorboard": False}}}
        short, long = (self.profile(pipeline, "--skip", "160", "--images", str(160 * epochs), "--threads", "2") for epochs in (4, 50))
        self.assertLess(long["peak_mib"], short["peak_mib"] + 4)


if __name__ == "__main__":
    unittest.main()
