"""``python -m objectfs.cli``"""

from objectfs.cli.main import main

main()
