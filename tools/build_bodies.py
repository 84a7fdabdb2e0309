"""Build the open bodies from their free source (needs the extra ``build``) and write them in the compact format.

python -m tools.build_bodies [--output DIR]
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from smplifyx.body.search import OPEN_BODY_DIR
from smplifyx.errors import UsageError
from tools.bodies.family import build_family
from tools.bodies.smplx_body import build_all
from tools.bodies.texture import write_texture_coordinates


def main(arguments: Sequence[str] | None = None) -> None:
    """Build SMPL-X for three genders, then SMPL-H, SMPL, MANO and FLAME from them, and the texture coordinates."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--output", type=Path, default=OPEN_BODY_DIR, metavar="DIR", help="default: the package")
    options = parser.parse_args(arguments)

    def progress(gender: str, step: str) -> None:
        print(f"{gender}: {step}", file=sys.stderr)

    try:
        for build in (build_all, build_family):
            for path in build(options.output, progress):
                print(path)
        print(write_texture_coordinates(options.output))
    except UsageError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
