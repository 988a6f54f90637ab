"""Builds the module and the program from the source tree around this folder, with cmake and ninja.

    pip install --no-build-isolation --no-deps ./python

The package gets the program as bin/widthwise and the files that come with it as share/widthwise.
Nothing is written into the source tree. WIDTHWISE_BUILD_DIR keeps the build for the next time;
CMAKE_ARGS are passed on to cmake.
"""

import atexit
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from typing import Optional

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.dist import Distribution

TOP = pathlib.Path(__file__).resolve().parent.parent
DATA = ("configs", "workloads")


class CMakeBuild(build_ext):
    """In place of compiling an extension: build with cmake, and lay everything out."""

    def run(self) -> None:
        tree = pathlib.Path(os.environ.get("WIDTHWISE_BUILD_DIR") or self.build_temp).resolve()
        settings = {
            "CMAKE_BUILD_TYPE": "Release",
            "WIDTHWISE_BUILD_PYTHON": "ON",
            "WIDTHWISE_BUILD_TESTS": "OFF",
            "WIDTHWISE_BUILD_BENCHMARKS": "OFF",
            "WIDTHWISE_WARNINGS_AS_ERRORS": "OFF",
            "Python_EXECUTABLE": sys.executable,
        }
        if (folder := pybind11_folder()) is not None:
            settings["pybind11_DIR"] = folder
        defined = [f"-D{key}={value}" for key, value in settings.items()]
        given = shlex.split(os.environ.get("CMAKE_ARGS", ""))
        cmake("-S", TOP, "-B", tree, "-G", "Ninja", *defined, *given)
        cmake("--build", tree, "--target", "widthwise", "widthwise_python")

        package = pathlib.Path(self.build_lib, "widthwise")
        (package / "bin").mkdir(parents=True, exist_ok=True)
        for module in (tree / "python" / "widthwise").glob("_core.*.so"):
            shutil.copy(module, package)
        shutil.copy(tree / "widthwise", package / "bin")
        for folder in DATA:
            target = package / "share" / "widthwise" / folder
            shutil.copytree(TOP / folder, target, dirs_exist_ok=True)

    def get_outputs(self) -> list[str]:
        package = pathlib.Path(self.build_lib, "widthwise")
        return [str(path) for path in package.rglob("*") if path.is_file()]


def cmake(*arguments: object) -> None:
    subprocess.run(["cmake", *map(str, arguments)], check=True)


def pybind11_folder() -> Optional[str]:
    """Where the interpreter's own pybind11 lies; None: cmake finds the system's."""
    try:
        import pybind11
    except ImportError:
        return None
    return str(pybind11.get_cmake_dir())


def version() -> str:
    """The project's, which stands in its CMakeLists.txt."""
    text = (TOP / "CMakeLists.txt").read_text(encoding="utf-8")
    match = re.search(r"project\([^)]*?VERSION\s+([\d.]+)", text)
    if match is None:
        raise RuntimeError(f"{TOP / 'CMakeLists.txt'} says no version")
    return match[1]


class CompiledDistribution(Distribution):
    """The wheel is of this platform, although setuptools compiles nothing itself."""

    def has_ext_modules(self) -> bool:
        return True


# What setuptools writes goes to a folder that is removed at the end.
scratch = tempfile.mkdtemp(prefix="widthwise-build-")
atexit.register(shutil.rmtree, scratch, ignore_errors=True)

setup(
    version=version(),
    ext_modules=[Extension("widthwise._core", sources=[])],
    cmdclass={"build_ext": CMakeBuild},
    distclass=CompiledDistribution,
    options={"build": {"build_base": scratch}, "egg_info": {"egg_base": scratch}},
)
