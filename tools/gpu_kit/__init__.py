"""The parts of tools/gpu: what goes to a GPU, what is checked there, within which limits, and what its results say."""
