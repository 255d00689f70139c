"""Bundles from elsewhere, verified before anything of them runs."""

from handseg_bundle_common.packaging.verify.checks import verify_bundle
from handseg_bundle_common.packaging.verify.declared import CHECKSUMS
from handseg_bundle_common.packaging.verify.findings import Check, Finding, Severity, Verification
from handseg_bundle_common.packaging.verify.opening import open_bundle

__all__ = ["CHECKSUMS", "Check", "Finding", "Severity", "Verification", "open_bundle", "verify_bundle"]
