"""``python -m smplifyx`` is the command ``smplifyx``."""

from smplifyx.cli.main import main

if __name__ == "__main__":
    raise SystemExit(main())
