"""`python -m handseg_bundle_common.cli VERB`."""

import sys

from handseg_bundle_common.cli import main

sys.exit(main())
