"""Runs the examples of docs/python.md, in their order and in one folder and namespace."""

import contextlib
import io
import os
import pathlib
import re
import subprocess
import tempfile
import unittest

TOP = pathlib.Path(__file__).resolve().parents[2]
DOCUMENT = TOP / "docs" / "python.md"

# Blocks in sh are not among them: install_test.py runs those.
BLOCK = re.compile(r"^```(python|bash)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class Document(unittest.TestCase):
    def test_every_example_runs(self):
        text = DOCUMENT.read_text(encoding="utf-8")
        blocks = list(BLOCK.finditer(text))
        self.assertGreater(len(blocks), 5)
        namespace = {"__name__": "docs"}
        started_in = os.getcwd()
        with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
            for block in blocks:
                line = text.count("\n", 0, block.start()) + 1
                with self.subTest(line=line):
                    if block[1] == "bash":
                        subprocess.run(["bash", "-euc", block[2]], check=True)
                        continue
                    # Errors name the document's own lines.
                    code = compile("\n" * line + block[2], str(DOCUMENT), "exec")
                    printed = io.StringIO()
                    with contextlib.redirect_stdout(printed):
                        exec(code, namespace)
                    print(printed.getvalue(), end="")
        self.assertEqual(os.getcwd(), started_in)


if __name__ == "__main__":
    unittest.main()
