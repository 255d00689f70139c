"""Expressions: those of the bundles pass, and every way out of the list is refused without being taken."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handseg_bundle_common.packaging.verify.expressions import MAX_LENGTH, expression_problem


def texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    for child in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from texts(child)


def test_those_of_all_bundles_pass(repository: Path) -> None:
    files = list((repository / "bundles").glob("*/configs/*.json"))
    found = {text for file in files for text in texts(json.loads(file.read_text())) if text.startswith("$")}
    assert len(found) > 30
    assert not {text: problem for text in found if (problem := expression_problem(text[1:]))}


@pytest.mark.parametrize(
    "text",
    [
        "@a",
        "@train#handlers + @logs + [@checkpoint]",
        "-@a // 2 if not @b and @c > 0.5 else None",
        "(1, 2.5, True, 'text')",
        "round(@a * 2)",
        "lambda output: output['loss']",
        "import numpy as np",
        "@output_dir + '/overlays/' + @run_name",
        "'+'.join(@recipe)",
        "(@a + 1) * len(@b) * -2",
        "@a + 1",
    ],
)
def test_what_the_list_allows(text: str) -> None:
    assert expression_problem(text) is None


REFUSED = {
    "built-in import": "__import__('os').mkdir('x')",
    "eval": "eval('1')",
    "exec": "exec('1')",
    "compile": "compile('1', '', 'eval')",
    "open": "open('x', 'w')",
    "getattr": "getattr(torch, 'load')('x')",
    "vars": "vars(torch)['load']",
    "globals": "globals()",
    "breakpoint": "breakpoint()",
    "name written in other characters": "\uff45val('1')",  # Python reads full-width letters as e
    "import of os": "import os",
    "import of subprocess": "import subprocess as torch",
    "import under a known name": "from os import system as from_engine",
    "import of a submodule": "from torch import hub",
    "relative import": "from . import x",
    "two imports": "import torch, os",
    "import and more": "import torch; import os",
    "torch.load": "torch.load('x.pt')",
    "torch.hub": "torch.hub.load('a/b', 'c')",
    "module of a module": "torch.serialization.os.mkdir('x')",
    "numpy.load": "np.load('x.npy', allow_pickle=True)",
    "monai.utils.run_cmd": "monai.utils.run_cmd(['ls'])",
    "monai.bundle.run": "monai.bundle.run()",
    "monai.apps": "monai.apps.download_url('x')",
    "partial": "functools.partial(@f, 1)",
    "module as a value": "torch",
    "function as a value": "torch.device",
    "method of a module by reference": "@imports#0.load('x')",
    "attribute of a reference": "@network.forward",
    "dunder of a reference": "@network.__class__",
    "dunder in a text": "'{0.__class__}'.format(@network)",
    "format": "'{0.a}'.format(@network)",
    "format without braces": "'a'.format(@network)",
    "join by a reference": "@a.join(@b)",
    "percent": "'%s' % @a",
    "f-string": "f'{@a}'",
    "call of a reference": "@f(1)",
    "call of a call": "str(1)(2)",
    "call of a lambda": "(lambda: 1)()",
    "lambda that calls": "lambda x: str(x)",
    "lambda with a default": "lambda x=str(1): x['a']",
    "lambda of another": "lambda x: y['a']",
    "walrus": "(a := 1)",
    "comprehension": "[x for x in (1, 2)]",
    "generator": "sum(x for x in (1, 2))",
    "dictionary": "{'a': 1}",
    "set": "{1, 2}",
    "slice": "@a[0:1]",
    "index": "@a[0]",
    "starred": "max(*@a)",
    "double starred": "str(**@a)",
    "power": "9 ** 9 ** 9",
    "shift": "1 << 999999",
    "matrix product": "@a @ @b",
    "bytes": "b'x'",
    "ellipsis": "...",
    "await": "await @a",
    "yield": "(yield)",
    "statement": "x = 1",
    "two expressions": "1; 2",
    "nothing": "",
    "comment": "# import os",
    "no Python": "1 +",
    "too long": "1" + " + 1" * MAX_LENGTH,
    "deep": "(" * 399,
    "NUL": "1\0",
    "text that becomes an expression": "'$' + 'a'",
    "text that becomes a reference": "'@a'",
    "text that becomes an inclusion": "'%a'",
    "absolute path": "'/etc/passwd'",
    "absolute path behind another id": "@data_dir + '/x'",
    "absolute path behind nothing": "'' + '/x'",
    "upwards": "@bundle_root + '/../x'",
    "upwards in pieces": "@bundle_root + '/.' + './x'",
    "dots in pieces": "'.' + '.'",
    "home": "'~/.bashrc'",
    "address": "'https://x.example'",
    "reference to nothing": "@",
    "relative reference": "@#a",
    "letters of a text": "min('ab')",
    "letters of texts": "max('a.', 'b')",
    "sum of texts": "sum(@a)",
    "text to text": "'a' + 'b'",
    "text to a reference": "@a + 'b'",
    "text of a number to a reference": "@a + str(@b)",
    "text in a choice": "@a + ('b' if @c else 'd')",
    "text behind a folder in a choice": "(@bundle_root if @c else @d) + '/x'",
    "beside a folder": "@bundle_root + 'x/y'",
    "beside a folder by a reference": "@output_dir + @x",
    "folder under another name": "@bundle_root",
    "folder under another name in a list": "[@output_dir]",
    "folder under another name in text": "str(@ckpt_dir)",
    "folder of another object": "@x#output_dir",
    "folder within a path": "@output_dir + '/x/' + @bundle_root",
    "join to a path": "'/'.join(@a)",
    "join without a sign": "''.join(@a)",
    "join by dots": "'.'.join(['', '', ''])",
    "join by a number": "1 .join(@a)",
    "text many times": "'a' * 999999999",
    "list many times": "[1] * 999999999",
    "tuple many times": "@n * (1, 2)",
    "sum of lists many times": "(@a + [1]) * 999999999",
    "text of a number many times": "str(1) * 999999999",
    "joined text many times": "9 * '+'.join(@a)",
    "choice of texts many times": "('a' if @b else 1) * 9",
    "our own name in other letters": "\uff3freferences['bundle_root'] + '/x'",
    "two underscores in other letters": "\uff3f\uff3fimport\uff3f\uff3f('os')",
    "our own name without a text": "@a[@b]",
    "metadata": "@_meta_#path",
    "member": "@members#0#bundle",
    "server of MLflow": "'databricks'",
    "address behind a space": "' https://x.example'",
    "address behind what nobody sees": "'\\x01file://x'",
    "MONAI's own name": "__local_refs['a']",
    "our own name": "_references['a']",
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused(case: str) -> None:
    assert expression_problem(REFUSED[case])


@given(st.text(alphabet="@#$%'\"()[]{}.,:+-*/ _abco\\s1\n\0", max_size=40))
def test_any_text_has_an_answer(text: str) -> None:
    problem = expression_problem(text)
    assert problem is None or problem
