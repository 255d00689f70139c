"""Verbs about bundles that are handed on: verify."""

from __future__ import annotations

import json as json_format

from handseg_bundle_common.cli.arguments import Job, Result, check_values, yes_or_no


def verify(path: str, *, json: bool | str = False, trust: bool | str = False) -> Job:
    """Look at everything in a bundle from elsewhere before anything of it runs; a clean archive is kept unpacked.

    The exit code is 0 for a clean bundle, 3 for one that is not safe to run, 4 for one that is not complete, 5 for
    one whose network is not what its metadata says, and 2 if there is no such bundle.

    Args:
        path: folder or archive of a bundle, or its name.
        json: True prints JSON, for programs.
        trust: True goes on past configurations and code that are not on the list. This can run whatever they say.
    """
    check_values(path=path)
    as_json, trusted = yes_or_no("json", json), yes_or_no("trust", trust)

    def start() -> Result:
        from handseg_bundle_common import packaging  # noqa: PLC0415

        found = packaging.verify_bundle(path, trust=trusted)
        return Result(json_format.dumps(found.as_dict(), indent=1) if as_json else found.text(), found.exit_code)

    return Job(start)
