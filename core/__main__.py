"""python -m core"""

import os
import sys

from core.cli import main

status = main()
if os.environ.get("WORLD_SIZE", "1") != "1":
    # Under torchrun: gloo's threads can abort a process while its interpreter is being torn down,
    # after all is saved, and torchrun would call the whole run failed.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
sys.exit(status)
