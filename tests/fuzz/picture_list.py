"""Lists in the forms that are read, to begin with."""
import pathlib

FORMS = {
    "find": "./cat/a.jpg\n./cat/b c.jpg\n",
    "labels": "cat/a.jpg 0\ndog/a.jpg 1\nf.jpg\t2\n",
    "comma": "cat/a.jpg,cat\ndog/d,e.png,dog\n",
    "table": "path,label\ncat/a.jpg,cat\n\"dog/d,e.png\",dog\n",
    "tabs": "filename\ttarget\nf.jpg\t3\n",
    "captions": "image,caption\nf.jpg,\"a cat, or two\"\nf.jpg,a dog\n",
    "caption tabs": "f.jpg\ta cat\n",
    "mark": "\ufefff.jpg\n",
    "colours": "# name\n0 128 0 0 road\n1 0 128 0\n",
}
for name, text in FORMS.items():
    pathlib.Path(name).write_bytes(text.encode())
