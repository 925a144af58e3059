"""What check_layout.py refuses: a tree without faults, and one fault after another planted in it."""
import pathlib
import sys
import unittest

import support

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import check_layout  # noqa: E402

NODE = """#include "graph/node.h"
FLOWRUN_NODE(L1)
"""


class Layout(support.Folder):
    def put(self, path, text):
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def setUp(self):
        super().setUp()
        self.put("graph/node.h", '#pragma once\n#include <vector>\n#include "graph/contract/params.h"\n')
        self.put("graph/contract/params.h", "#pragma once\n#include <nlohmann/json.hpp>\n")
        self.put("graph/README.md", "| room | what happens there |\n|---|---|\n| `contract` | ports |\n")
        self.put("nodes/loss/l1.cpp", f'{NODE}.type = "loss.l1"\n')
        self.put("nodes/README.md", "| `loss` | losses |\n")
        self.put("tools/app/plan/plan.cpp", '#include "graph/node.h"\n')
        self.put("tools/app/README.md", "| `plan` | plans |\n")

    def faults(self):
        return check_layout.faults_of(self.folder)[0]

    def test_a_tree_without_faults(self):
        self.assertEqual(self.faults(), [])

    def test_each_fault_is_found(self):
        for path, text, fault in (
                ("graph/text/names.h", '#pragma once\n#include "graph/engine/engine.h"\n', "graph/text/names.h:2: may not include graph/engine/engine.h"),
                ("graph/text/names.cpp", '#include "io/codec/jpeg.h"\n', "may not include io/codec/jpeg.h"),
                ("nodes/loss/l2.cpp", '#include "nodes/loss/l1.h"\n#include "nodes/mask/random.h"\n', "may not include nodes/mask/random.h"),
                ("nodes/mask/random.cpp", '#include "nodes/lib/tensor/model/module.h"\n', "may not include nodes/lib/tensor/model/module.h"),
                ("nodes/mask/random.cpp", "#include <ATen/core/Tensor.h>\n", "nodes of the host may not include <ATen/core/Tensor.h>"),
                ("graph/text/names.cpp", "#include <ATen/core/Tensor.h>\n", "graph/ may not include <ATen/core/Tensor.h>"),
                ("io/codec/jpeg.cpp", "#include <arrow/api.h>\n", "io/ may not include <arrow/api.h>"),
                ("nodes/loss/l2.cpp", "#include <torch/torch.h>\n", "include the narrowest header instead of torch/torch.h"),
                ("nodes/loss/l2.cpp", '#include "l1.h"\n', 'not "l1.h"'),
                ("nodes/loss/l2.cpp", '#include "graph/contract/params.cpp"\n', "a source file is included"),
                ("nodes/loss/two.cpp", f"{NODE}FLOWRUN_NODE(L2)\n", "one node type per file, here are 2"),
                ("nodes/loss/l2.h", f"#pragma once\n{NODE}", "a node type belongs into a .cpp of its own"),
                ("nodes/loss/random.cpp", '.type = "mask.random"\n', "mask.random belongs into nodes/mask/"),
                ("nodes/loss/l3.cpp", '.type = "loss.l4"\n', "loss.l4 belongs into l4.cpp"),
                ("nodes/lost/l1.cpp", "\n", "nodes/lost is no room of check_layout.py's DISTRICTS"),
                ("nodes/mask/fixed.cpp", "\n", "nodes/README.md: has no line for the room mask"),
                ("tools/app/README.md", "| `plan` | plans |\n| `dream` | dreams |\n", "tools/app/README.md: dream is no room"),
                ("tools/app/plan/plan.cpp", "std::cout << 1;\n", "tools/app may not print"),
                ("tools/app/plan/plan.cpp", 'if (type == "loss.l1") return;\n', "tools/app/plan/plan.cpp:1: mentions a type"),
                ("tools/app/replay/show.cpp", "return Image::type_name;\n", "tools/app/replay/show.cpp:1: mentions a type"),
                ("graph/text/names.cpp", "return value.dump();\n", "write JSON by json_text()"),
                ("graph/contract/long.h", "#pragma once\n" + "\n" * 300, "301 lines; headers have at most 300"),
                ("graph/contract/twice.h", "\n", "no #pragma once")):
            with self.subTest(fault):
                before = (self.folder / path).read_text() if (self.folder / path).exists() else None
                self.put(path, text)
                self.assertTrue(any(fault in found for found in self.faults()), self.faults())
                if before is None:
                    (self.folder / path).unlink()
                    for folder in (self.folder / path).parent, (self.folder / path).parent.parent:
                        if not any(folder.iterdir()):
                            folder.rmdir()
                else:
                    self.put(path, before)
        self.assertEqual(self.faults(), [])


if __name__ == "__main__":
    unittest.main()
