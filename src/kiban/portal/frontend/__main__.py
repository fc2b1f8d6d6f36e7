"""`python -m kiban.portal.frontend`: fill static/packages; `--development FOLDER`: and a folder of what tests want."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from kiban.kit.errors import KibanError
from kiban.portal.frontend import DEVELOPMENT, PACKAGES, SERVED, install


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m kiban.portal.frontend", description=__doc__)
    parser.add_argument("--development", type=Path, metavar="FOLDER", help="where the tests' packages go")
    options = parser.parse_args()
    try:
        if install(PACKAGES, SERVED):
            print(f"fetched the pages' packages into {PACKAGES}", file=sys.stderr)
        if options.development is not None and install(options.development, DEVELOPMENT, development=True):
            print(f"fetched the tests' packages into {options.development}", file=sys.stderr)
    except KibanError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
