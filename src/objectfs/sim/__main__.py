"""``python -m objectfs.sim``"""

import sys

from objectfs.sim.cli import main

if __name__ == "__main__":
    sys.exit(main())
