"""Seeds: the pictures of tests/support/image_files.py, whole and cut."""
import pathlib
import runpy

runpy.run_path(str(pathlib.Path(__file__).parents[1] / "support/image_files.py"))
for path in list(pathlib.Path().iterdir()):
    data = path.read_bytes()
    (path.parent / f"cut-{path.name}").write_bytes(data[: len(data) * 7 // 10])
