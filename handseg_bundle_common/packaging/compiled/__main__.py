"""`python -m handseg_bundle_common.packaging.compiled BUNDLE FOLDER FORM...`, which `compile_network` starts."""

from __future__ import annotations

import json
import logging
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path

from handseg_bundle_common.errors import EXIT_CODE, HandsegInputError, input_error
from handseg_bundle_common.inference import load_predictor
from handseg_bundle_common.packaging.compiled.forms import Form
from handseg_bundle_common.packaging.compiled.networks import compiled
from handseg_bundle_common.packaging.compiled.process import DONE, REFUSED


def _main(arguments: Sequence[str]) -> int:
    bundle, folder, *forms = arguments
    # PyTorch warns of every form in favour of another one.
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    try:
        predictor = load_predictor(bundle, device="cpu")
        for form in map(Form, forms):
            told = compiled(predictor, form, Path(folder), Path(bundle, "configs"))
            print(DONE + json.dumps(told), flush=True)
    except HandsegInputError as error:
        print(REFUSED + json.dumps([error.source, error.problem, error.remedy]), flush=True)
        return EXIT_CODE
    except Exception as error:  # compilers fail in many ways, and a network may be anybody's
        found = input_error(error)
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        parts = [Path(bundle).name, f"cannot be compiled ({reason})", "export without this form"]
        print(REFUSED + json.dumps([found.source, found.problem, found.remedy] if found else parts), flush=True)
        return EXIT_CODE
    return 0


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1:]))
