"""``python3 -m scripts.stack run|test|root``; people use ``scripts/run`` and ``scripts/test``."""

from __future__ import annotations

import sys

from dialplan.configure import Unusable
from scripts.stack import checks, packages, service
from scripts.stack.errors import StackError
from scripts.stack.root import asterisk_root


def main() -> int:
    """The exit status. What is wrong is said in one sentence."""
    command, arguments = sys.argv[1], sys.argv[2:]
    try:
        if command == "run":
            return service.main(arguments)
        if command == "test":
            return checks.main(arguments)
        if command == "root":
            packages.install(packages.for_asterisk())
            print(asterisk_root())
            return 0
        raise StackError(f"There is no command {command!r}.")
    except (StackError, Unusable) as error:
        print(f"{error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
