"""Checks of speed: a step beside PyTorch's, training beside its input, JPEGs decoded on either side, waits of the host."""
from gpu_kit import machine, places
from gpu_kit.training import synthetic

STEP = "tests/perf/step/compare.py"


def compare(check, size, batch, peers, rounds=10):
    """A line for each program, as soon as it is measured."""
    amount = ["--precision", "bf16", "--size", size, "--batch", batch, "--rounds", rounds, "--warm-up", 4]
    if check.rehearse:  # one size is enough there, and one start of PyTorch
        amount = ["--size", "tiny", "--batch", 2, "--rounds", 1, "--warm-up", 1]
        peers = [peer for peer in peers if peer == "played" or size == "s"]
    words = [check.places.bin / "perf_step", "--json", "--device", check.settings.device, *amount, "--threads", 1, "--peak", check.settings.peak,
             "--libraries", places.library_path(), "--peers", *peers]
    for line in check.python(f"step-{size}", check.places.source / STEP, *words):
        what = f"{line['size']}, {line['program']}: " + (f"did not run: {line['failed']}" if "failed" in line else f"{line['ms']:.1f} ms")
        # Flowrun's own step must run; whether a recording has room, and what peers do, is a fact.
        check.say(False if "failed" in line and line["program"] == "flowrun" else None, what, step=line)


def large_batch(check):
    """ViT-L with 256 images takes more than the 80 GB of an H100."""
    return 256 if float(machine.driver()[0].get("memory.total", 0)) > 100_000 else 128


def step_s(check):
    compare(check, "s", 256, ["played", "eager"] if check.rehearse else ["played", "eager", "graphs"])


def step_b(check):
    compare(check, "b", 256, ["played", "eager"])


def step_l(check):
    compare(check, "l", large_batch(check), ["eager", "played"])


def compiled(size, batch=256):
    def run(check):
        compare(check, size, batch or large_batch(check), ["compile", "eager", "played"])
    return run


def step(check):
    """All sizes and peers, as tools/bench step has them."""
    peers = ["played", "eager", "compile", "graphs"]
    if check.settings.quick:
        return compare(check, "s", 64, peers)
    for size in ("s", "b", "l"):
        compare(check, size, large_batch(check) if size == "l" else 256, peers)


def say_waits(check, result):
    waits = result.get("waits_for_gpu_per_step", float("inf"))
    check.say(waits <= 0.01, f"the host waits for the GPU {waits:.3f} times a step", "waits", waits=waits)


FACTS = ("images_per_second", "input_alone", "device_alone", "waits_for_gpu_per_step", "groups", "batches_waiting", "device_busy", "data_threads_busy",
         "bound_by", "threads", "batch", "device", "peak_mib")


def profile(check):
    """Training of pretrain.json beside its input alone and its device's work alone."""
    pipeline = synthetic(check, "profile", **{"health.every": "1000 steps"})
    seconds = 1 if check.rehearse else 18
    result = check.result("profile", check.places.flowrun, "profile", pipeline, *check.changes(), "--seconds", seconds, "--json")
    if not result:
        return check.say(False, f"flowrun profile: {check.last_line('profile')}")
    facts = {name: result[name] for name in FACTS if name in result}
    check.say(None, f"{result['images_per_second']:.0f} images/s together; input alone {result['input_alone']:.0f}, device alone {result['device_alone']:.0f}",
              profile=facts)
    if check.settings.device == "cuda":
        say_waits(check, result)


def waits(check):
    if check.needs_gpu():
        result = check.result("waits", check.places.flowrun, "profile", check.places.pipeline("quickstart.json"), "--set", "run.device=cuda", "--seconds", 20,
                              "--json")
        say_waits(check, result)


def decode(check):
    """nvJPEG's tests, then images a second of the input side with either decoder."""
    ways = [("image.decode", {"type": "image.decode"})]
    if check.settings.device == "cuda" and machine.nvjpeg_is_there(check):
        machine.test_program(check, "nvjpeg", "Nvjpeg*", "nvJPEG's pixels, regions and threads")
        ways.insert(0, ("nvJPEG", {"type": "image.nvjpeg_decode"}))
        if not check.settings.plan:
            ways.append(("nvJPEG, all codes read on the GPU", {"type": "image.nvjpeg_decode", "gpu_huffman_megapixels": 0}))
    else:
        check.skip("only a GPU has it" if check.settings.device != "cuda" else "there is no libnvjpeg.so.13", "nvjpeg")
    if not check.places.photographs.is_dir():
        return check.skip("there are no photographs: --data names a folder of JPEGs")
    seconds = 1 if check.rehearse else 5 if check.settings.plan else 15
    for name, node in ways:
        pipeline = check.out / "decode.json"
        check.write_pipeline("decode", "pretrain.json", swap={"decode": node},
                             set={"files.path": str(check.places.photographs.resolve()), "batch.size": 64, "batch.group": 64})
        file = "decode-" + "".join(letter for letter in name.lower() if letter.isalpha())
        result = check.result(file, check.places.flowrun, "profile", pipeline, "--input-only", "--seconds", seconds, "--json")
        rate = result.get("images_per_second")
        check.say(bool(rate), f"{name}: " + (f"{rate:.0f} images/s" if rate else check.last_line(file)), decoder=name, images_per_second=rate)
