"""A contender of tools/bench: Flowrun's batches as torch tensors in Python.

    python_door.py PIPELINE EPOCHS THREADS

For every line on its standard input it reads all epochs of the pipeline, and answers with the time of the second half as a line of JSON.
"""
import json
import pathlib
import resource
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "build/release/python"))


def main():
    path, epochs, threads = sys.argv[1:]
    import torch  # so that its import counts for nobody

    import flowrun

    torch.set_num_threads(1)
    for _ in sys.stdin:
        with flowrun.open(path, epochs=int(epochs), threads=int(threads)) as batches:
            images = 0
            for epoch in range(int(epochs)):
                if epoch == int(epochs) // 2:
                    begin, images = time.perf_counter(), 0
                for batch in batches:
                    images += len(next(iter(batch.values())))
            seconds = time.perf_counter() - begin
        print(json.dumps({"seconds": seconds, "images": images, "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}), flush=True)


if __name__ == "__main__":
    main()
