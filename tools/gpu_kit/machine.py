"""Checks of the machine and of single kernels: versions, whether Flowrun starts, the case table, plain torch."""
import ctypes
import importlib.metadata
import json
import os
import pathlib
import platform
import subprocess

from gpu_kit import places
from gpu_kit.training import quickstart

TORCH = "2.11"
HERE = pathlib.Path(__file__).resolve().parent


def driver():
    """nvidia-smi's line about the GPU, or the reason why there is none."""
    query = ["name", "driver_version", "memory.total", "clocks.max.sm"]
    try:
        out = subprocess.run(["nvidia-smi", f"--query-gpu={','.join(query)}", "--format=csv,noheader,nounits"], capture_output=True, text=True, timeout=8)
    except (OSError, subprocess.TimeoutExpired) as error:
        return {}, f"nvidia-smi does not run: {error}"
    if out.returncode != 0 or not out.stdout.strip():
        return {}, f"nvidia-smi shows no GPU: {(out.stdout + out.stderr).strip()[:200]}"
    return dict(zip(query, (word.strip() for word in out.stdout.splitlines()[0].split(",")))), ""


def driver_is_there():
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    return True


def check_torch(check):
    try:
        version = importlib.metadata.version("torch")
    except importlib.metadata.PackageNotFoundError:
        return check.give_up(f"this Python has no torch, whose libraries Flowrun needs: start tools/gpu with a Python that has torch {TORCH}")
    wheels = {name: importlib.metadata.version(name) for name in ("nvidia-cudnn-cu13", "nvidia-nccl-cu13", "nvidia-cublas", "triton")
              if any(importlib.metadata.distributions(name=name))}
    check.say(version.startswith(TORCH + "."), f"torch is {version}; Flowrun is built for {TORCH}", torch=version, wheels=wheels)


def load(check):
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    check.say(None, f"Python {platform.python_version()}, {' '.join(platform.libc_ver())}, {len(os.sched_getaffinity(0))} cores, {memory:.0f} GiB",
              cores=len(os.sched_getaffinity(0)), memory_gib=memory)
    check_torch(check)
    facts, why_not = driver()
    if check.settings.device == "cpu":
        check.say(None, why_not or f"there is a GPU, which a rehearsal leaves alone: {facts['name']}")
    elif not driver_is_there():
        check.give_up("there is no NVIDIA driver (libcuda.so.1) on this machine: only --rehearse works here")
    elif why_not:
        check.say(None, why_not)
    else:
        check.say(True, f"{facts['name']}, driver {facts['driver_version']}, {facts['memory.total']} MiB", gpu=facts)
    if check.hopeless:
        return
    pipeline = quickstart(check)
    status = check.call("load-check", check.places.flowrun, "check", pipeline, "--set", f"run.device={check.settings.device}")
    check.say(status == 0, f"flowrun check: {check.last_line('load-check')}")
    run = check.train("load", pipeline, "run.steps=1", f"run.device={check.settings.device}")
    check.say(run.done and len(run.losses) == 1, f"a step on {check.settings.device}; loss {run.losses}")


def test_program(check, name, pattern, what, *before, **more):
    """GoogleTests by name. Skipped ones fail on a GPU."""
    status = check.call(name, *before, check.places.test_program, f"--gtest_filter={pattern}", **more)
    text = check.text_file(name).read_text()
    if "SKIPPED" in text and check.settings.device != "cuda":
        reason = next((after for line, after in zip(text.splitlines(), text.splitlines()[1:]) if line.endswith(": Skipped")), "only a GPU has it")
        return check.skip(reason)
    check.say(status == 0 and "SKIPPED" not in text and "[  PASSED  ]" in text, f"{what} (see {check.text_file(name).name})")


def kernels(check):
    test_program(check, "kernels", "Kernels.CudaGivesTheSame", "the case table of kernels")


def sanitizer(check):
    """Slow: only after kernels that failed."""
    if check.needs_gpu():
        test_program(check, "sanitizer", "Kernels.CudaGivesTheSame", "the case table of kernels under compute-sanitizer", "compute-sanitizer",
                     CUDA_LAUNCH_BLOCKING="1")


def probe(check):
    words = ["--device", check.settings.device, *(["--small"] if check.rehearse else [])]
    for line in check.python("probe", HERE / "probe.py", *words):
        facts = {key: value for key, value in line.items() if key not in ("probe", "skipped", "failed")}
        if "skipped" in line:
            check.skip(line["skipped"], f"probe-{line['probe']}")
        else:
            check.say(None, f"{line['probe']}: {line.get('failed') or json.dumps(facts)[:200]}", probe=line["probe"], facts=facts,
                      **({"error": line["failed"]} if "failed" in line else {}))


def nvjpeg_is_there(check):
    folders = [check.places.source / "lib", *places.torch_libraries(), *map(pathlib.Path, os.environ.get("LD_LIBRARY_PATH", "/nowhere").split(":"))]
    return any((folder / "libnvjpeg.so.13").exists() for folder in folders)
