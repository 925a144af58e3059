"""Seeds: the files that tests/fuzz/image_decoder.py makes, of this format."""
import pathlib
import runpy

runpy.run_path(str(pathlib.Path(__file__).with_name("image_decoder.py")))
for path in pathlib.Path().iterdir():
    if path.suffix != ".gif":
        path.unlink()
