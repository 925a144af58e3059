"""Any number of processes that divides the groups trains on the same samples, crops and masks, and computes the same up to
rounding; it stops, fails and resumes as one."""
import json
import os
import pathlib
import random
import signal
import socket
import subprocess
import sys
import time
import unittest

import numpy as np
from PIL import Image
import safetensors.numpy

import support
from support import free_port

TORCHRUN = pathlib.Path(sys.executable).parent / "torchrun"
needs_torchrun = unittest.skipUnless(TORCHRUN.exists(), f"no {TORCHRUN}")


def without_evaluations(**run):
    """Sixteen images a step in four groups."""
    out = support.training_pipeline(rank_timeout=30, **run)
    out["nodes"]["batch"]["group"] = 4
    out["nodes"]["health"] = {"type": "report.health", "in": {"tokens": "encode", "prediction": "predict", "target": "targets"}, "every": "4 steps"}
    return out


def pipeline(**run):
    out = without_evaluations(**run)
    out["nodes"].update(support.frozen_streams(train=110, test=60))
    out["nodes"]["knn"] = {"type": "eval.knn", "in": {"train": "known_features", "test": "unseen_features"}, "at": ["start", "4 steps", "end"]}
    out["nodes"]["probe"] = {"type": "eval.linear", "in": {"train": "known_features", "test": "unseen_features"}}
    return out


def faulty(kind, **run):
    """A pipeline whose seventh sample throws or hangs."""
    if "FLOWRUN_FAULT_NODES" not in os.environ:
        raise unittest.SkipTest("FLOWRUN_FAULT_NODES names no plug-in")
    out = pipeline(**run)
    out["plugins"] = [os.environ["FLOWRUN_FAULT_NODES"]]
    out["nodes"]["fault"] = {"type": "fault.sample", "in": "view", "kind": kind, "at": 7}
    out["nodes"]["flip"]["in"] = "fault"
    return out


def failing_evaluations():
    """Beside one that works: three that fail on one rank or on all, somewhere between their calls, and one whose stream fails."""
    if "FLOWRUN_FAULT_NODES" not in os.environ:
        raise unittest.SkipTest("FLOWRUN_FAULT_NODES names no plug-in")
    out = pipeline(epochs=3)
    nodes = out["nodes"]
    del nodes["probe"]
    out["plugins"] = [os.environ["FLOWRUN_FAULT_NODES"]]
    for name, rank, before in (("works", -2, 0), ("first", 1, 0), ("between", -1, 2), ("last", 0, 3)):
        nodes[name] = {"type": "fault.evaluation", "in": {"image": "known_batch"}, "rank": rank, "before": before, "at": ["4 steps", "end"]}
    nodes.update({name.replace("unseen", "broken"): json.loads(json.dumps(node).replace("unseen", "broken"))
                  for name, node in nodes.items() if name.startswith("unseen")})
    nodes["broken_fault"] = {"type": "fault.sample", "in": "broken_decode", "kind": "throw", "at": 30}  # in the second batch
    nodes["broken_batch"]["in"]["image"] = "broken_fault"
    nodes["unread"] = {"type": "eval.knn", "in": {"train": "known_features", "test": "broken_features"}, "at": ["4 steps", "end"]}
    return out


class Ranks(support.Folder):
    def assert_same_run(self, a, b, tolerance=1e-6):
        one, other = self.metrics(a), self.metrics(b)
        self.assertEqual([(line["step"], line["ledger"]) for line in one], [(line["step"], line["ledger"]) for line in other])
        for mine, theirs in zip(one, other):
            for name in mine:
                if name.startswith("loss"):
                    self.assertAlmostEqual(mine[name] / theirs[name], 1, delta=tolerance, msg=f"{name} of step {mine['step']}")
                if name.startswith("health"):
                    self.assertAlmostEqual(mine[name], theirs[name], delta=1e-3 * abs(mine[name]) + 1e-6, msg=f"{name} of step {mine['step']}")

    def test_an_evaluation_that_fails_ends_no_run(self):
        self.write(failing_evaluations())
        for world in (1, 2):
            texts = self.ended(self.ranks(world, "pipeline.json", "--out", f"of-{world}"), status=1)
            result = self.result(f"of-{world}")
            self.assertEqual((result["status"], result["steps"]), ("done", 12))
            failed = result["evaluations_failed"]
            self.assertEqual(failed.pop("between"), "between: fault asked for")
            self.assertEqual(failed.pop("last"), ("rank 0: " if world == 2 else "") + "last: fault asked for")
            self.assertRegex(failed.pop("unread"), "^rank 1: .*fault asked for at 30" if world == 2 else "fault asked for at 30")
            self.assertEqual(failed, {"first": "rank 1: first: fault asked for"} if world == 2 else {})
            self.assertEqual([line["images"] for line in result["works"]["history"]], [110, 110, 110])
            self.assertEqual(len(result["knn"]["history"]), 4)
            said = "".join(texts)
            self.assertEqual(said.count("the evaluation unread failed after step 4"), 1, said)
        self.assert_same_run("of-1", "of-2")

    def test_one_rank_tells_of_16_bits(self):
        for index in range(64):
            path = self.folder / f"data/c{index % 2}/{index:02}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.random.default_rng(index).integers(0, 4000, (48, 48), dtype=np.uint16)).save(path)
        deep = without_evaluations(epochs=1)
        deep["nodes"]["files"] = {"type": "source.folder", "path": "data"}
        self.write(deep)
        said = "".join(self.ended(self.ranks(2, "pipeline.json", "--out", "run")))
        self.assertEqual(said.count("16 bits a sample"), 1, said)

    def test_any_world_trains_the_same(self):
        self.write(pipeline(epochs=2))
        for world in (1, 2, 4):
            self.ended(self.ranks(world, "pipeline.json", "--out", f"of-{world}"))
        for world in (2, 4):
            self.assert_same_run("of-1", f"of-{world}")
            for node in ("knn", "probe"):
                whole, shared = self.result("of-1")[node], self.result(f"of-{world}")[node]
                self.assertAlmostEqual(whole["accuracy"], shared["accuracy"], delta=0.02)
                self.assertEqual(len(whole["history"]), len(shared["history"]))
        # At the start the weights are equal bit by bit, and so must be what an evaluation over ranks finds.
        self.assertEqual(*(self.result(f"of-{world}")["knn"]["history"][0]["accuracy"] for world in (1, 4)))
        self.assertEqual(self.result("of-4")["steps"], 8)
        self.flowrun("verify", "of-4")  # in one process
        slowest = [line["slowest_rank"] for line in self.metrics("of-4")]
        self.assertTrue(all(rank in range(4) for rank in slowest), slowest)

    def test_linear_probes_train_the_same(self):
        # Batch norm normalises each group separately; the running statistics are moved by the groups of all ranks in
        # order.
        probe = support.probe_pipeline("linear", epochs=2, rank_timeout=30)
        probe["nodes"]["batch"]["group"] = 8
        self.write(probe)
        for world in (1, 2, 4):
            self.ended(self.ranks(world, "pipeline.json", "--out", f"of-{world}"))
        saved = {world: safetensors.numpy.load_file(self.newest_checkpoint(f"of-{world}") / "probe.safetensors") for world in (1, 2, 4)}
        for world in (2, 4):
            self.assert_same_run("of-1", f"of-{world}")
            for name in ("running_mean", "running_variance"):
                self.assertGreater(np.abs(saved[1][name] - (name == "running_variance")).max(), 1e-3, "they have moved")
                np.testing.assert_allclose(saved[world][name], saved[1][name], rtol=1e-6, atol=1e-9)
            for name, values in saved[1].items():
                np.testing.assert_allclose(saved[world][name], values, atol=2e-5, err_msg=name)
            one, other = self.result("of-1")["heads"], self.result(f"of-{world}")["heads"]
            self.assertEqual(one["history"][0]["accuracy"], other["history"][0]["accuracy"])
            self.assertAlmostEqual(one["accuracy"], other["accuracy"], delta=0.03)

    def newest_checkpoint(self, out):
        return max((self.folder / out / "checkpoints").iterdir(), key=lambda path: int(path.name.split("-")[1]))

    def test_probes_train_the_same(self):
        probe = support.probe_pipeline("attentive", epochs=2, rank_timeout=30)
        self.write(probe)
        for world in (1, 2):
            self.ended(self.ranks(world, "pipeline.json", "--out", f"of-{world}"))
        self.assert_same_run("of-1", "of-2", tolerance=1e-5)
        one, other = self.result("of-1")["heads"], self.result("of-2")["heads"]
        self.assertEqual(one["history"][0]["accuracy"], other["history"][0]["accuracy"])
        self.assertAlmostEqual(one["accuracy"], other["accuracy"], delta=0.03)

    def test_sharded_states_train_the_same(self):
        whole = without_evaluations(epochs=2)
        whole["nodes"]["update"].update(clip=1.0, norm_every="1 step")
        sharded = json.loads(json.dumps(whole))
        sharded["nodes"]["update"]["shard"] = True
        self.write(whole, "whole.json")
        self.write(sharded, "sharded.json")
        for world in (1, 2, 4):
            for name in ("whole", "sharded"):
                self.ended(self.ranks(world, f"{name}.json", "--out", f"{name}-{world}"))
            # Each parameter is updated from the same numbers, on any rank.
            self.assertEqual(self.history(f"whole-{world}"), self.history(f"sharded-{world}"))
            self.assertEqual(self.last_checkpoint(f"whole-{world}"), self.last_checkpoint(f"sharded-{world}"))
        for world in (2, 4):
            self.assert_same_run("whole-1", f"sharded-{world}")

    def test_large_sharded_states_travel_in_pieces(self):
        whole = without_evaluations(steps=2)
        whole["models"]["student"].update(width=640)
        del whole["nodes"]["health"]
        self.write(whole)
        for shard in ("false", "true"):
            self.ended(self.ranks(2, "pipeline.json", "--out", shard, "--set", f"update.shard={shard}"))
        self.assertEqual(self.history("false"), self.history("true"))
        one, other = self.last_checkpoint("false"), self.last_checkpoint("true")
        self.assertGreater(len(one[1]["update.safetensors"]), 2 * 4 * 9_000_000, "more than one piece of 32 MiB")
        self.assertEqual(one, other)

    def test_sharded_states_go_on_on_any_number(self):
        whole = without_evaluations(epochs=3)
        whole["nodes"]["save"]["every"] = "3 steps"
        self.write(whole)
        self.ended(self.ranks(1, "pipeline.json", "--out", "whole"))
        for world, steps, shard in ((2, 3, "true"), (1, 5, "true"), (2, 8, "true"), (4, 10, "false"), (2, 12, "true")):
            resume = ["--resume"] if steps > 3 else []
            self.ended(self.ranks(world, "pipeline.json", "--out", "run", "--set", f"run.steps={steps}", "--set", f"update.shard={shard}", *resume))
        self.assert_same_run("whole", "run", tolerance=1e-5)
        self.assertEqual(self.result("run")["steps"], 12)
        states = [safetensors.numpy.load_file(self.newest_checkpoint(out) / "update.safetensors") for out in ("whole", "run")]
        self.assertEqual(states[0].keys(), states[1].keys())
        for name, values in states[0].items():
            np.testing.assert_allclose(states[1][name], values, rtol=1e-3, atol=1e-6, err_msg=name)

    def test_a_signal_stops_sharded_ranks(self):
        sharded = pipeline(epochs=500)
        sharded["nodes"]["update"]["shard"] = True
        self.write(sharded)
        processes = self.ranks(2, "pipeline.json", "--out", "run")
        self.wait_for_lines("run", 3, processes)
        processes[0].send_signal(signal.SIGTERM)
        self.ended(processes, status=75)
        steps = self.result("run")["steps"]
        self.assertTrue((self.folder / f"run/checkpoints/step-{steps}/manifest.json").exists())
        self.ended(self.ranks(1, "pipeline.json", "--out", "run", "--resume", "--set", f"run.steps={steps + 2}"))

    def test_a_rank_that_fails_alone_leaves_no_torn_state(self):
        broken = faulty("throw", epochs=500)
        broken["nodes"]["update"]["shard"] = True
        self.write(broken)  # run.max_bad is 0
        for text in self.ended(self.ranks(2, "pipeline.json", "--out", "run"), status=1):
            self.assertIn("max_bad", text)
        for step in (self.folder / "run/checkpoints").glob("step-*"):
            self.assertEqual(int(step.name[5:]) % 2, 0, "only what all wrote together")

    def test_weights_that_are_not_finite_end_all(self):
        broken = without_evaluations(epochs=2)
        broken["nodes"]["update"].update(schedule="linear", warmup_epochs=1.75, lr={"start": 1e-4, "max": 2e-3, "final": 1e39})
        broken["nodes"]["metrics"]["every"] = "1000 steps"
        del broken["nodes"]["health"]
        self.write(broken)
        for text in self.ended(self.ranks(2, "pipeline.json", "--out", "run"), status=1):
            self.assertIn("save: predictor is not finite after step 8", text)
        self.assertEqual(self.newest_checkpoint("run").name, "step-6")

    def test_a_bad_sample_counts_on_all(self):
        self.write(faulty("throw", epochs=2, max_bad=4))
        for world in (1, 2):
            self.ended(self.ranks(world, "pipeline.json", "--out", f"of-{world}"))
        self.assert_same_run("of-1", "of-2")
        lists = [[(bad["step"], bad["position"], bad["sample"])
                  for bad in map(json.loads, (self.folder / out / "quarantine.jsonl").read_text().splitlines())] for out in ("of-1", "of-2")]
        self.assertTrue(lists[0])
        self.assertEqual(*lists)

    def test_goes_on_with_another_number(self):
        self.write(pipeline(epochs=6))
        self.ended(self.ranks(1, "pipeline.json", "--out", "whole"))
        for world in (4, 2, 1):
            resume = ["--resume"] if world < 4 else []
            processes = self.ranks(world, "pipeline.json", "--out", "run", *resume)
            self.wait_for_lines("run", {4: 4, 2: 10, 1: 15}[world], processes)
            for process in processes:
                process.send_signal(signal.SIGKILL)
            self.ended(processes, status=None)
        self.ended(self.ranks(4, "pipeline.json", "--out", "run", "--resume"))
        self.assert_same_run("whole", "run", tolerance=1e-5)
        self.assertEqual(len(self.metrics("run")), 24)

    def wait_for_lines(self, out, count, processes):
        def written():
            try:
                return len(self.metrics(out)) >= count
            except (FileNotFoundError, json.JSONDecodeError):
                return False

        support.wait_until(lambda: written() or any(process.poll() is not None for process in processes))
        if written():
            return
        self.fail(f"no {count} lines in {out}: " + str([process.communicate() if process.poll() is not None else "runs" for process in processes]))

    def test_a_signal_to_one_stops_all(self):
        self.write(pipeline(epochs=500))
        processes = self.ranks(2, "pipeline.json", "--out", "run")
        self.wait_for_lines("run", 3, processes)
        processes[1].send_signal(signal.SIGTERM)
        self.ended(processes, status=75)
        result = self.result("run")
        self.assertEqual(result["status"], "stopped")
        self.assertTrue((self.folder / f"run/checkpoints/step-{result['steps']}/manifest.json").exists())

    def test_the_others_name_a_rank_that_dies(self):
        patient = pipeline(epochs=500)
        patient["run"]["rank_timeout"] = 600
        self.write(patient)
        for killed in (1, 0):
            out = f"without-{killed}"
            processes = self.ranks(3 if killed else 2, "pipeline.json", "--out", out, *(["--set", "nodes.batch.size=12"] if killed else []))
            self.wait_for_lines(out, 3, processes)
            processes[killed].kill()
            begun = time.monotonic()
            texts = self.ended(processes, status=None)
            self.assertLess(time.monotonic() - begun, 90, "it is found out long before the timeout")
            for rank, process in enumerate(processes):
                if rank != killed:
                    self.assertEqual(process.returncode, 1, texts[rank])
                    self.assertIn(f"rank {killed}", texts[rank])

    def test_the_others_say_where_a_rank_that_stands_still_is(self):
        self.write(pipeline(epochs=500))
        processes = self.ranks(2, "pipeline.json", "--set", "run.rank_timeout=10", "--out", "run")
        self.wait_for_lines("run", 3, processes)
        # Once a second a rank says where it is: steps must have been written for two.
        metrics = self.folder / "run/metrics.jsonl"
        first = metrics.stat().st_mtime
        self.wait_until(lambda: metrics.stat().st_mtime > first + 2, processes[0], "steps of two seconds")
        processes[1].send_signal(signal.SIGSTOP)
        text, _ = self.ended(processes[:1], status=1)[0], processes[1].kill()
        # The message names both ranks, their places, the collective, the node and the step.
        self.assertRegex(text, r"rank 1 is gone \(last seen (at|after) [^)]+\)")
        self.assertRegex(text, r"found out by rank 0 at (\w+: [^,]+, step \d+|the end of step \d+|agreeing to stop or go on) \(all-(reduce|gather)\): ")

    def test_the_others_say_where_a_rank_that_hangs_is(self):
        broken = faulty("hang", epochs=500)
        broken["run"]["rank_timeout"] = 10
        self.write(broken)
        processes = self.ranks(2, "pipeline.json", "--out", "run")
        support.wait_until(lambda: any(process.poll() is not None for process in processes), 90)
        living = 0 if processes[0].poll() is not None else 1
        text = self.ended([processes[living]], status=1)[0]
        self.assertIn("all ranks live, but they are not at the same place", text)
        self.assertRegex(text, rf"rank {living}: at update: the exchange of gradients, step \d+")
        self.assertRegex(text, rf"rank {1 - living}: (before its first step|after .*)")
        self.assertRegex(text, rf"found out by rank {living} at update: the exchange of gradients, step \d+ \(all-reduce\)")

    def test_the_others_tell_why_a_rank_failed(self):
        broken = faulty("throw", epochs=500)
        self.write(broken)  # run.max_bad is 0
        texts = self.ended(self.ranks(2, "pipeline.json", "--out", "run"), status=1)
        for text in texts:
            self.assertIn("fault", text)
            self.assertIn("max_bad", text)

    def test_a_rank_that_does_not_come(self):
        self.write(pipeline(epochs=1))
        environment = {**os.environ, "RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()), "GLOO_SOCKET_IFNAME": "lo"}
        done = subprocess.run([support.FLOWRUN, "pipeline.json", "--set", "run.rank_timeout=3"], cwd=self.folder, text=True, capture_output=True,
                              env=environment, timeout=90)
        self.assertEqual(done.returncode, 1)
        for words in ("rank 0 of 2", "torchrun", environment["MASTER_PORT"], "rank 1"):
            self.assertIn(words, done.stderr)
        self.assertFalse((self.folder / "runs").exists())

    def test_rank_0_that_stands_still_is_named(self):
        """Rank 0 holds the store, through which the others diagnose failures."""
        self.write(without_evaluations(epochs=500))
        processes = self.ranks(2, "pipeline.json", "--set", "run.rank_timeout=3", "--out", "run")
        self.wait_for_lines("run", 3, processes)
        processes[0].send_signal(signal.SIGSTOP)
        text, _ = self.ended(processes[1:], status=1)[0], processes[0].kill()
        self.assertRegex(text, r"rank 0, or the torchrun that holds the store, does not answer")

    def test_a_port_that_says_nothing_is_named(self):
        self.write(without_evaluations(epochs=1))
        for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
            with self.subTest(host), socket.socket(family) as mute:
                mute.bind((host, 0))
                mute.listen()
                port = mute.getsockname()[1]
                environment = {**os.environ, "RANK": "1", "WORLD_SIZE": "2", "MASTER_ADDR": host, "MASTER_PORT": str(port), "GLOO_SOCKET_IFNAME": "lo"}
                done = self.flowrun("pipeline.json", "--set", "run.rank_timeout=2", status=1, env=environment)
                self.assertIn(f"another program has port {port} of {host}", done.stderr)
                self.assertFalse((self.folder / "runs").exists())

    def test_the_store_is_reached_only_at_its_address(self):
        self.write(without_evaluations(epochs=500))
        for host in ("127.0.0.1", "localhost", "::1", socket.gethostname()):
            with self.subTest(host):
                environment = {rank: {"MASTER_ADDR": host} for rank in range(2)}
                processes = self.ranks(2, "pipeline.json", "--out", f"run-{host.replace(':', '_')}", environments=environment)
                self.wait_for_lines(f"run-{host.replace(':', '_')}", 2, processes)
                listening = self.listening(processes[0].pid, self.port)
                self.assertTrue(listening)
                if host != socket.gethostname():
                    self.assertFalse(listening & {"00000000", "0" * 32}, "not on all interfaces")
                processes[0].send_signal(signal.SIGTERM)
                self.ended(processes, status=75)

    def test_a_port_that_is_taken_is_named(self):
        self.write(without_evaluations(epochs=1))
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            other.listen()
            port = other.getsockname()[1]
            environment = {**os.environ, "RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "GLOO_SOCKET_IFNAME": "lo"}
            done = self.flowrun("pipeline.json", "--set", "run.rank_timeout=2", status=1, env=environment)
            self.assertIn(f"port {port} of 127.0.0.1 is taken", done.stderr)

    @staticmethod
    def listening(pid, port):
        """The local addresses at which a process takes connections to the port, as the kernel writes them."""
        out = set()
        for table in ("tcp", "tcp6"):
            for line in pathlib.Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
                fields = line.split()
                address, at = fields[1].split(":")
                if int(at, 16) == port and fields[3] == "0A":
                    out.add(address)
        return out

    def test_other_pipelines_are_refused(self):
        self.write(pipeline(epochs=1))
        port = free_port()
        processes = []
        for rank in range(2):
            environment = {**os.environ, "RANK": str(rank), "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "GLOO_SOCKET_IFNAME": "lo"}
            processes.append(self.start("pipeline.json", "--set", f"nodes.crop.area=[0.{rank + 4},1]", "--out", "run", env=environment))
        for text in self.ended(processes, status=2):
            self.assertIn("rank 1 has another pipeline than rank 0", text)
            self.assertIn("nodes.crop.area", text)

    def test_half_set_variables_are_refused(self):
        self.write(pipeline(epochs=1))
        for variables, words in (({"WORLD_SIZE": "2"}, "RANK is not"),
                                 ({"WORLD_SIZE": "2", "RANK": "2"}, 'RANK is "2"'),
                                 ({"RANK": "1"}, "WORLD_SIZE is not"),
                                 ({"WORLD_SIZE": "2", "RANK": "0"}, "MASTER_"),
                                 ({"SLURM_STEP_NUM_TASKS": "4"}, "SLURM_PROCID is not"),
                                 ({"OMPI_COMM_WORLD_SIZE": "4", "OMPI_COMM_WORLD_RANK": "0"}, "MASTER_")):
            done = self.flowrun("pipeline.json", status=2, env={**os.environ, **variables})
            self.assertIn(words, done.stderr, variables)

    def test_groups_must_be_shared(self):
        self.write(pipeline(epochs=1))
        for text in self.ended(self.ranks(3, "pipeline.json", "--out", "run"), status=2):
            self.assertIn("3 ranks can't share 4 groups", text)

    @needs_torchrun
    def test_torchrun_starts_again_from_the_newest_checkpoint(self):
        self.write(pipeline(epochs=40))
        self.ended(self.ranks(1, "pipeline.json", "--out", "whole"))
        run = subprocess.Popen([TORCHRUN, "--no-python", "--nproc-per-node=2", "--max-restarts=2", "--monitor-interval=0.2", f"--master-port={free_port()}",
                                support.FLOWRUN, "pipeline.json", "--out", "run", "--threads", "1"],
                               cwd=self.folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
                               env={**os.environ, "GLOO_SOCKET_IFNAME": "lo"})
        self.addCleanup(lambda: run.poll() is None and os.killpg(run.pid, signal.SIGKILL))
        self.wait_for_lines("run", 30, [run])
        workers = subprocess.run(["pgrep", "-P", str(run.pid), "-f", "pipeline.json"], text=True, capture_output=True).stdout.split()
        self.assertEqual(len(workers), 2, workers)
        os.kill(int(workers[1]), signal.SIGKILL)
        text, _ = run.communicate(timeout=180)
        self.assertEqual(run.returncode, 0, text)
        self.assertIn("resumed after step", (self.folder / "run/log.txt").read_text())
        lines = self.metrics("run")
        self.assertEqual([line["step"] for line in lines], list(range(1, 161)))
        self.assertEqual([line["ledger"] for line in lines], [line["ledger"] for line in self.metrics("whole")])
        self.assertEqual(self.result("run")["status"], "done")


if __name__ == "__main__":
    support.main()
