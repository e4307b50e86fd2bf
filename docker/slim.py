"""Run by the image's own Python while the image is built: leaves out of the libraries what the engine never
reads, and compiles the rest (where nothing can be written, every start would compile it anew)."""

from __future__ import annotations

import compileall
import re
import shutil
import sysconfig
from pathlib import Path

UNREAD = (
    # Places and carriers of numbers: nine tenths of what the library holds.
    *("phonenumbers/geodata", "phonenumbers/carrierdata"),
    *("numpy/f2py", "sqlalchemy/testing", "alembic/testing", "alembic/templates", "pip", "pip-*"),
    *("numpy/**/tests", "**/*.pyx", "**/*.pxd", "**/*.pyi", "**/*.c", "**/*.h"),
)
SELDOM_IMPORTED = re.compile(r"/twilio/rest/(?!api/|__init__)|/pygments/(lexers|styles)/")


def main() -> None:
    libraries = Path(sysconfig.get_path("purelib"))
    for pattern in UNREAD:
        for path in libraries.glob(pattern):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()
    if not compileall.compile_dir(libraries, quiet=1, rx=SELDOM_IMPORTED):
        raise SystemExit("a library cannot be compiled")


if __name__ == "__main__":
    main()
