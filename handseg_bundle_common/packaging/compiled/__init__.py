"""Networks as files that run without their Python code: TorchScript, torch.export and ONNX."""

from handseg_bundle_common.packaging.compiled.forms import TOLERANCE, Compiled, Form, require_packages
from handseg_bundle_common.packaging.compiled.process import compile_network

__all__ = ["TOLERANCE", "Compiled", "Form", "compile_network", "require_packages"]
