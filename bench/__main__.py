"""``scripts/bench``: installs what is missing, then runs ``bench.calls`` in the project's environment."""

from __future__ import annotations

import os
import sys
from typing import NoReturn

from scripts.stack import StackError, packages, venv
from scripts.stack.system import become_root


def main() -> NoReturn:
    try:
        wanted = {*packages.ENVIRONMENT, *packages.SPEECH, *packages.CALLERS, *packages.for_asterisk()}
        if "--database" in sys.argv:
            wanted.update(packages.DATABASES)
        packages.install(wanted)
        python = venv.ensure("run")
        become_root()
    except StackError as error:
        print(error, file=sys.stderr)
        sys.exit(1)
    command = [str(python), "-m", "bench.calls", *sys.argv[1:]]
    if os.geteuid() != 0:
        # SIPp's keys and the measuring of packets take raw sockets.
        command = ["sudo", "-n", "--preserve-env", "--", *command]
    os.execvp(command[0], command)


if __name__ == "__main__":
    main()
