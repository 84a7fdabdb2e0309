"""Modules that a command imports, seen from a process of its own."""

import subprocess
import sys
from collections.abc import Sequence

#: Modules that take long to import.
HEAVY = {"torch", "warp", "scipy", "pyrender", "trimesh", "ai_edge_litert", "cv2", "numpy"}
_CODE = """
import contextlib, io, sys
from smplifyx.cli.main import main
with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
    main(sys.argv[1:])
print(*sys.modules, sep="\\n")
"""


def heavy_modules_of(argv: Sequence[str]) -> set[str]:
    """The heavy modules that ``smplifyx`` has imported after one command."""
    done = subprocess.run([sys.executable, "-c", _CODE, *argv], capture_output=True, text=True, check=True)
    return HEAVY & set(done.stdout.split())
