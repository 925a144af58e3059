"""Seeds: the JPEGs of tests/support/image_files.py, and some with restart markers."""
import pathlib
import runpy

from PIL import Image

runpy.run_path(str(pathlib.Path(__file__).parents[1] / "support/image_files.py"))
for path in list(pathlib.Path().iterdir()):
    if path.read_bytes()[:2] != b"\xff\xd8":
        path.unlink()
for blocks in (1, 2, 4):
    for subsampling in (0, 1, 2):
        image = Image.effect_noise((64, 48), 90).convert("RGB")
        image.save(f"restart-{blocks}-{subsampling}.jpg", restart_marker_blocks=blocks, subsampling=subsampling)
