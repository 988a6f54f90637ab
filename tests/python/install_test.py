"""pip installs the package from the source tree as docs/python.md says, and it works by itself."""

import importlib.util
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

TOP = pathlib.Path(__file__).resolve().parents[2]
SKIPPED = 77

WORKS = """
import pathlib
import widthwise

package = pathlib.Path(widthwise.__file__).parent
table = widthwise.cost_table("bitfusion_16x32", "tiny_cnn", (2, 8), (2, 8), cache=False)
assert table.layers[0] == "conv1", table.layers
assert table.cost("tiny_cnn", "w2a8")["latency_cycles"] > 0
assert (package / "share" / "widthwise" / "configs" / "energy").is_dir()
print(package)
"""


def files_of_tree():
    """What pip could write to: the package's sources, and the top of the tree."""
    inside = {path for path in (TOP / "python").rglob("*") if "__pycache__" not in path.parts}
    return inside | set(TOP.iterdir())


class Install(unittest.TestCase):
    def test_the_documented_commands_install_it(self):
        text = (TOP / "docs" / "python.md").read_text(encoding="utf-8")
        commands = re.search(r"^```sh\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)[1]
        before = files_of_tree()
        with tempfile.TemporaryDirectory() as home:
            # Nothing of this build: neither its package nor its program nor its data.
            environment = {
                key: value
                for key, value in os.environ.items()
                if key not in ("PYTHONPATH", "WIDTHWISE_PROGRAM", "WIDTHWISE_DATA")
            }
            caches = environment.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
            environment.setdefault("CCACHE_DIR", str(pathlib.Path(caches, "ccache")))
            # As the build that is tested, so that ccache has seen it all.
            environment["CMAKE_ARGS"] = "-DWIDTHWISE_WARNINGS_AS_ERRORS=ON"
            environment.update(HOME=home, PIP_NO_INDEX="1", PIP_DISABLE_PIP_VERSION_CHECK="1")
            environment["PATH"] = os.pathsep.join(
                [str(pathlib.Path(sys.executable).parent), environment.get("PATH", "")]
            )
            installing = subprocess.run(
                ["bash", "-euc", commands + f"cd {home}\npython3 -c '{WORKS}'\nwidthwise list\n"],
                cwd=TOP,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
            )
            self.assertEqual(installing.returncode, 0, installing.stdout)
            self.assertIn("bitfusion_16x32", installing.stdout)
            self.assertIn(str(pathlib.Path(home, "widthwise", "lib")), installing.stdout)
        self.assertEqual(files_of_tree(), before, "something was written into the source tree")


if __name__ == "__main__":
    missing = [
        name
        for name in ("pip", "venv", "ensurepip", "setuptools", "wheel", "numpy")
        if importlib.util.find_spec(name) is None
    ]
    if missing:
        print(f"missing: {', '.join(missing)}")
        sys.exit(SKIPPED)
    unittest.main()
