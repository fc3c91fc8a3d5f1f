"""Generates the protobuf stubs from proto/ when this distribution is built. All metadata stands in pyproject.toml.

The stubs go to ketgate/<area>/v1/ beside the hand-written modules, are not committed and are never edited. A source
distribution carries a copy of the .proto files, since proto/ lies outside this folder.
"""

import shutil
from pathlib import Path
from typing import ClassVar

from setuptools import Command, find_packages, setup
from setuptools.command.build_py import build_py
from setuptools.command.sdist import sdist

HERE = Path(__file__).resolve().parent
CONTRACT = HERE.parents[1] / "proto"
CARRIED = HERE / "proto"


class GenerateStubs(Command):
    """Generate *_pb2.py, *_pb2.pyi and *_pb2_grpc.py from the contract."""

    description = __doc__
    user_options: ClassVar[list[tuple[str, str | None, str]]] = []

    def initialize_options(self) -> None: ...

    def finalize_options(self) -> None: ...

    def run(self) -> None:
        from importlib.util import find_spec

        import grpc_tools
        from grpc_tools import protoc

        contract = CONTRACT if CONTRACT.is_dir() else CARRIED
        protos = sorted(
            str(path.relative_to(contract)) for path in contract.glob("ketgate/**/*.proto")
        )
        if not protos:
            raise SystemExit(f"no .proto files in {contract}")
        api = find_spec("google.api")
        if api is None or not api.submodule_search_locations:
            raise SystemExit(
                "googleapis-common-protos is needed to build: pip install googleapis-common-protos"
            )
        googleapis = Path(next(iter(api.submodule_search_locations))).parents[1]
        well_known = Path(grpc_tools.__file__).parent / "_proto"
        failed = protoc.main(
            ["protoc", f"-I{contract}", f"-I{well_known}", f"-I{googleapis}"]
            + [f"--{kind}_out={HERE}" for kind in ("python", "pyi", "grpc_python")]
            + protos
        )
        if failed:
            raise SystemExit("protoc failed")
        for folder in {HERE / Path(proto).parent for proto in protos}:
            for package in (folder, folder.parent):
                (package / "__init__.py").touch()


class BuildPy(build_py):
    """Generate before the packages are collected."""

    def run(self) -> None:
        self.run_command("generate_stubs")
        self.packages = find_packages(
            str(HERE), include=["ketgate", "ketgate.*"]
        )  # the stubs' packages are new
        super().run()


class Sdist(sdist):
    """Carry the contract along."""

    def run(self) -> None:
        if CONTRACT.is_dir():
            shutil.copytree(CONTRACT, CARRIED, dirs_exist_ok=True)
        super().run()
        if CONTRACT.is_dir():
            shutil.rmtree(CARRIED)


setup(cmdclass={"generate_stubs": GenerateStubs, "build_py": BuildPy, "sdist": Sdist})
