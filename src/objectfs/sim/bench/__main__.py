"""``python -m objectfs.sim.bench``."""

import sys

from objectfs.sim.bench.run import main

sys.exit(main())
