"""Every optimizer trains, goes on where it stopped, and does the same on any number of ranks, in parts and recorded."""
import unittest

import safetensors.numpy

import support
import test_ranks
import test_recording

UPDATES = {
    "sgd": {"type": "train.sgd", "lr": {"start": 0.01, "max": 0.3}, "lr_scaling": "none", "nesterov": True, "weight_decay": 1e-3},
    "sgd_bare": {"type": "train.sgd", "lr": {"max": 0.1}, "lr_scaling": "none", "momentum": 0},
    "lars": {"type": "train.lars", "lr": {"start": 0.1, "max": 0.3}, "eta": 0.02, "lr_scaling": "none", "weight_decay": 1e-3},
}

SMALL = ["run.steps=20", "run.device=cpu", "run.intra_op=1", "files.images=640", "known.images=50", "unseen.images=50", "known_batch.size=50",
         "unseen_batch.size=50", "metrics.every=1 step", "update.warmup_epochs=0"]


def update_of(name, pipeline):
    """The pipeline with that update."""
    old = pipeline["nodes"]["update"]
    pipeline["nodes"]["update"] = {"in": old["in"], "models": old["models"], **UPDATES[name]}
    return pipeline


class Optimizers(support.Folder):
    ranks, ended, assert_same_run = test_ranks.Ranks.ranks, test_ranks.Ranks.ended, test_ranks.Ranks.assert_same_run
    both = test_recording.Recording.both

    def test_the_quickstart_trains(self):
        for name in ("sgd", "lars"):
            path = support.ROOT / f"pipelines/optimizers/{name}.json"
            self.flowrun(path, *(part for setting in SMALL for part in ("--set", setting)), "--out", name)
            losses = [line["loss"] for line in self.metrics(name)]
            self.assertLess(losses[-1], losses[0], name)

    def test_goes_on_where_it_stopped(self):
        for name in UPDATES:
            self.write(update_of(name, support.training_pipeline()))
            self.flowrun("pipeline.json", "--out", f"{name}-whole")
            self.flowrun("pipeline.json", "--out", f"{name}-parts", "--set", "run.steps=5")
            self.flowrun("pipeline.json", "--out", f"{name}-parts", "--resume")
            self.assertEqual(self.history(f"{name}-parts"), self.history(f"{name}-whole"))
            self.assertEqual(self.last_checkpoint(f"{name}-parts"), self.last_checkpoint(f"{name}-whole"))

    def test_what_a_checkpoint_holds(self):
        for name, slots in (("sgd", {"momentum_buffer"}), ("sgd_bare", set()), ("lars", {"momentum_buffer"})):
            self.write(update_of(name, support.training_pipeline(epochs=1)))
            self.flowrun("pipeline.json", "--out", name)
            state = safetensors.numpy.load(self.last_checkpoint(name)[1]["update.safetensors"])
            self.assertEqual({key.rsplit(".", 1)[1] for key in state}, slots)

    def test_any_world_trains_the_same(self):
        for name in UPDATES:
            whole = update_of(name, test_ranks.without_evaluations(epochs=2))
            whole["nodes"]["update"].update(clip=1.0, norm_every="1 step", layer_decay=0.8)
            self.write(whole)
            for world in (1, 2):
                for shard in ("false", "true"):
                    self.ended(self.ranks(world, "pipeline.json", "--out", f"{name}-{world}-{shard}", "--set", f"update.shard={shard}"))
                self.assertEqual(self.history(f"{name}-{world}-true"), self.history(f"{name}-{world}-false"))
                self.assertEqual(self.last_checkpoint(f"{name}-{world}-true"), self.last_checkpoint(f"{name}-{world}-false"))
            self.assert_same_run(f"{name}-1-false", f"{name}-2-true")

    def test_states_in_parts_go_on_on_any_number(self):
        for name in ("sgd", "lars"):
            self.write(update_of(name, test_ranks.without_evaluations(epochs=2)))
            self.ended(self.ranks(1, "pipeline.json", "--out", f"{name}-whole"))
            for world, steps in ((2, 4), (1, 8)):
                resume = ["--resume"] if steps > 4 else []
                self.ended(self.ranks(world, "pipeline.json", "--out", name, "--set", f"run.steps={steps}", "--set", "update.shard=true", *resume))
            self.assert_same_run(f"{name}-whole", name, tolerance=1e-5)

    @unittest.skipUnless(test_recording.PLUGIN, "FLOWRUN_TAPE_PLUGIN names no plug-in")
    def test_recorded_work_gives_the_same_bits(self):
        for name, precision in (("sgd", "fp32"), ("lars", "bf16")):
            whole = update_of(name, test_recording.pipeline(precision=precision, steps=24))
            whole["nodes"]["update"].update(clip=0.5, norm_every="2 steps")
            counts, _ = self.both(whole)
            self.assertGreater(counts["played"], 0)
            self.assertNotIn("why_not", counts)

    def test_nesterov_needs_momentum(self):
        wrong = update_of("sgd_bare", support.training_pipeline())
        wrong["nodes"]["update"]["nesterov"] = True
        done = self.flowrun("check", self.write(wrong), status=2)
        self.assertIn("error: update: nesterov needs a momentum above 0", done.stderr)


if __name__ == "__main__":
    support.main()
