"""Lists of merges, each with a text behind a zero byte, to begin with."""
import pathlib

FORMS = {
    "clip": "#version: 0.2\nt h\nth e</w>\nĠ a\nâ Ģ\n\0The  naïve café — 12 o'clock\n",
    "gpt2": "#version: 0.2\nĠ t\nĠt h\nĠth e\n\0 the\n\n then  it's 123 🙂\u3000x",
    "bytes": "\0any text",
}
for name, text in FORMS.items():
    pathlib.Path(name).write_bytes(text.encode())
