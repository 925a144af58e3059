"""The parts of tools/gpu: the kit, the checks, their time limits, and the report."""
