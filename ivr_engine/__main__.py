"""``python -m ivr_engine`` is ``ivr-engine``."""

from ivr_engine.cli import main

if __name__ == "__main__":
    main()
