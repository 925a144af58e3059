"""The first promise: the outputs for a sample depend only on (seed, epoch, sample, node name)."""
import support


class Determinism(support.Folder):
    def reference(self, pipeline):
        self.write(pipeline)
        self.flowrun("pipeline.json", "--serial", "--out", "serial")
        return self.history("serial"), self.last_checkpoint("serial")

    def test_any_number_of_threads(self):
        history, weights = self.reference(support.training_pipeline())
        self.assertEqual(len(history), 12)
        self.assertEqual(len({ledger for _, ledger, _ in history}), 12)
        for threads, jitter in [(1, 0), (2, 0), (4, 0), (8, 0), (2, 1), (4, 2), (8, 3)]:
            out = f"threads-{threads}-{jitter}"
            self.flowrun("pipeline.json", "--threads", threads, "--jitter", jitter, "--out", out)
            self.assertEqual(self.history(out), history, out)
            self.assertEqual(self.last_checkpoint(out), weights, out)

    def test_data_at_any_number_of_threads(self):
        self.write(support.data_pipeline(epochs=20))
        self.flowrun("pipeline.json", "--serial", "--out", "serial")
        history = self.history("serial")
        for threads, jitter in [(1, 7), (2, 8), (4, 9), (8, 10)]:
            out = f"threads-{threads}"
            self.flowrun("pipeline.json", "--threads", threads, "--jitter", jitter, "--out", out)
            self.assertEqual(self.history(out), history, out)

    def test_another_node_changes_nothing(self):
        pipeline = support.training_pipeline()
        history, weights = self.reference(pipeline)
        # Another reader of the same crops, with its own random numbers and its own stack.
        pipeline["nodes"]["aside"] = {"type": "image.random_flip", "in": "view"}
        pipeline["nodes"]["aside_batch"] = {"type": "batch.stack", "in": "aside", "size": 16, "group": 8}
        pipeline["nodes"]["aside_sheet"] = {"type": "report.contact_sheet", "in": {"image": "aside_batch"}, "file": "aside.png"}
        self.write(pipeline)
        self.flowrun("pipeline.json", "--threads", 4, "--out", "more")
        self.assertEqual(self.history("more"), history)
        self.assertEqual(self.last_checkpoint("more"), weights)

    def test_a_renamed_node_changes_its_numbers_unless_the_stream_is_pinned(self):
        pipeline = support.data_pipeline()
        self.write(pipeline)
        self.flowrun("pipeline.json", "--out", "before")
        nodes = pipeline["nodes"]
        nodes["mirror"] = nodes.pop("flip")
        nodes["batch"]["in"] = "mirror"
        self.write(pipeline, "renamed.json")
        self.flowrun("renamed.json", "--out", "renamed")
        self.assertNotEqual(self.history("renamed"), self.history("before"))
        nodes["mirror"]["stream"] = "flip"
        self.write(pipeline, "pinned.json")
        self.flowrun("pinned.json", "--out", "pinned")
        self.assertEqual(self.history("pinned"), self.history("before"))

    def test_the_seed_changes_everything(self):
        self.write(support.data_pipeline())
        self.flowrun("pipeline.json", "--out", "three")
        self.flowrun("pipeline.json", "--set", "seed=4", "--out", "four")
        pairs = list(zip(self.history("three"), self.history("four")))
        self.assertTrue(pairs and all(a[1] != b[1] for a, b in pairs))

    def test_two_processes_with_half_of_the_groups_each(self):
        self.write(support.data_pipeline(epochs=5))
        self.flowrun("pipeline.json", "--out", "one")
        for rank in (0, 1):
            self.flowrun("pipeline.json", "--rank", rank, "--world", 2, "--out", f"rank-{rank}")
        whole = {step: int(ledger, 16) for step, ledger, _ in self.history("one")}
        halves = [{step: int(ledger, 16) for step, ledger, _ in self.history(f"rank-{rank}")} for rank in (0, 1)]
        self.assertEqual(len(whole), 20)
        self.assertEqual({step: (halves[0][step] + halves[1][step]) % 2**64 for step in whole}, whole)
        self.assertNotEqual(halves[0], halves[1])
        self.write(support.training_pipeline(), "training.json")
        self.assertIn("update trains", self.flowrun("training.json", "--world", 2, status=2).stderr)

    def test_the_resolved_pipeline_runs_the_same(self):
        history, weights = self.reference(support.training_pipeline())
        self.flowrun("serial/pipeline.resolved.json", "--out", "again")
        self.assertEqual(self.history("again"), history)
        self.assertEqual(self.last_checkpoint("again"), weights)
        self.assertEqual((self.folder / "again/pipeline.resolved.json").read_text(), (self.folder / "serial/pipeline.resolved.json").read_text())


if __name__ == "__main__":
    support.main()
