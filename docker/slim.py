"""Run by the image's own Python while the image is built: leaves out of the libraries what the engine never
reads, and compiles what it imports (where nothing can be written, every start would compile it anew)."""

from __future__ import annotations

import importlib
import pkgutil
import shutil
import sys
from pathlib import Path

LIBRARIES = Path(next(entry for entry in sys.path if entry.endswith("site-packages")))
UNREAD = [
    # Places, carriers and time zones of numbers: two thirds of what the library holds.
    *("phonenumbers/geodata", "phonenumbers/carrierdata", "phonenumbers/tzdata"),
    *("numpy/f2py", "sqlalchemy/testing", "alembic/testing", "alembic/templates"),
    *("numpy/**/tests", "**/*.pyx", "**/*.pxd", "**/*.pyi", "**/*.c", "**/*.h"),
]
USED_LATE = ("numpy", "soundfile", "soxr", "psycopg", "alembic.command", "uvloop", "httptools", "tzdata")


def main() -> None:
    for pattern in UNREAD:
        for path in LIBRARIES.glob(pattern):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()
    engine = importlib.import_module("ivr_engine")
    modules = [module.name for module in pkgutil.walk_packages(engine.__path__, "ivr_engine.")]
    for name in [*modules, *USED_LATE]:
        if not name.endswith("__main__") and ".migrations." not in name:
            importlib.import_module(name)


if __name__ == "__main__":
    main()
