"""Configurations that go elsewhere: no folder of the machine, no password, no list of patients."""

from __future__ import annotations

import json

import pytest

from handseg_bundle_common.engine.short_paths import without_folders


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/home/jane/hands", "hands"),
        ("/home/jane/hands/", "hands"),
        ("~/hands", "hands"),
        ("../../jane/hands", "hands"),
        (r"C:\Users\jane\hands", "hands"),
        (r"\\server\jane\hands", "hands"),
        ("sqlite:////home/jane/mlflow.db", "sqlite:///mlflow.db"),
        ("http://jane:secret@server:5000", "http://server:5000"),
        ("http://jane:p@ss@server:5000", "http://server:5000"),
        ("mysql+pymysql://jane:secret@db/mlflow", "mysql+pymysql:///mlflow"),
        ("postgresql+psycopg2://jane:secret@db", "postgresql+psycopg2:///db"),
        ("file:/home/jane/runs", "file:///runs"),
        ("$'/home/jane/runs'", "$'runs'"),
        ("$f'/home/jane/runs'", "$f'runs'"),
        ("$os.sep + '/home/jane/runs'", "$os.sep + 'runs'"),
        ("$pathlib.Path('/home/jane/runs')", "$pathlib.Path('runs')"),
        ("$@bundle_root + '/models/trained'", "$@bundle_root + '/models/trained'"),
        ("runs/first", "runs/first"),
        ("https://example.org/schema/a.json", "https://example.org/schema/a.json"),
        ("nvidia/mit-b0", "nvidia/mit-b0"),
        ("a, b: c", "a, b: c"),
        ("", ""),
    ],
)
def test_absolute_paths_are_cut_to_their_last_part(text, expected):
    assert without_folders({"a": [text], "b": {"c": text}}) == {"a": [expected], "b": {"c": expected}}


def test_lists_of_images_become_their_length():
    items = [{"image": f"/data/p{number}/hand.png", "label": "x.json"} for number in range(3)]
    assert without_folders({"train": {"dataset": {"data": items}}}) == {"train": {"dataset": {"data": "3 images"}}}


def test_everything_else_stays(repository):
    config = json.loads((repository / "bundles" / "effisegnet" / "configs" / "train.json").read_text())
    assert without_folders(config) == config
