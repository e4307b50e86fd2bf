"""What the engine's image leaves out of the libraries is nothing that the engine imports."""

from __future__ import annotations

import subprocess
import sys

from docker.slim import UNREAD

IMPORTS_ALL = """
import importlib, pkgutil, sys

class LeftOut:
    def find_spec(self, name, path=None, target=None):
        if name in sys.argv[1:]:
            raise ModuleNotFoundError(f"{name} is left out of the image", name=name)

sys.meta_path.insert(0, LeftOut())
import ivr_engine
for module in pkgutil.walk_packages(ivr_engine.__path__, "ivr_engine."):
    if not module.name.endswith("__main__") and ".migrations." not in module.name:
        importlib.import_module(module.name)
"""


def test_nothing_that_is_left_out_is_imported() -> None:
    left_out = [pattern.replace("/", ".") for pattern in UNREAD if "*" not in pattern]
    assert "phonenumbers.geodata" in left_out
    ran = subprocess.run(
        [sys.executable, "-c", IMPORTS_ALL, *left_out],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
