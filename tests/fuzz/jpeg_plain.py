"""Seeds: those of jpeg_tiles."""
import pathlib
import runpy

runpy.run_path(str(pathlib.Path(__file__).with_name("jpeg_tiles.py")))
