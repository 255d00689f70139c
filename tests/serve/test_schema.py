"""The interface keeps to its description, whatever it is asked."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from handseg_bundle_common.serve import Limits, create_app

from .conftest import ADDRESS, NAME

schemathesis = pytest.importorskip("schemathesis", reason="the description of the interface (pip install schemathesis)")
checks = pytest.importorskip("schemathesis.specs.openapi.checks")
# What is accepted and refused depends on the pixels of a file, which a description cannot tell.
UNKNOWABLE = [checks.positive_data_acceptance]


@pytest.fixture(scope="module")
def schema(folders):
    app = create_app({"effisegnet": folders["effisegnet"]}, device="cpu", limits=Limits(upload_bytes=2**16))
    loaded = schemathesis.openapi.from_dict(app.openapi())
    loaded.app = app
    loaded.config.update(base_url=ADDRESS)
    return loaded


@pytest.mark.parametrize("mode", list(schemathesis.GenerationMode))
def test_answers_to_anything_are_those_of_the_description(schema, mode):
    for result in schema.get_all_operations():
        operation = result.ok()
        if mode is schemathesis.GenerationMode.NEGATIVE and not (list(operation.iter_parameters()) or operation.body):
            continue  # nothing can be wrong with it

        @given(case=operation.as_strategy(generation_mode=mode))
        @settings(max_examples=6, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
        def answer_is_described(case):
            case.call_and_validate(excluded_checks=UNKNOWABLE)

        answer_is_described()


def test_answers_about_a_study_are_those_of_the_description(served, schema, radiograph: Path):
    answer = served.send(radiograph.read_bytes(), NAME)
    study = answer.json()["id"]
    schema["/api/studies"]["POST"].validate_response(answer)
    values = {"study": study, "other": study}
    for address in ("", "/masks", "/radiograph.png", "/overlay.png", "/compare/{other}", "/again"):
        method = "POST" if address == "/again" else "GET"
        path = f"/api/studies/{{study}}{address}"
        answer = served.client.request(method, path.format(**values))
        assert answer.status_code in (200, 201)
        schema[path][method].validate_response(answer)
    path = "/api/studies/{study}/files/{format}"
    for entry in served.client.get(f"/api/studies/{study}").json()["files"]:
        answer = served.client.get(path.format(study=study, format=entry["format"]))
        assert answer.status_code == (409 if entry["problem"] else 200)
        schema[path]["GET"].validate_response(answer)


def test_every_refusal_is_described_in_one_form(served):
    document = served.client.get("/api/openapi.json").json()
    refusals = [
        answer["content"]["application/json"]["schema"]
        for path in document["paths"].values()
        for operation in path.values()
        for status, answer in operation["responses"].items()
        if int(status) >= 400
    ]
    assert len(refusals) > 30
    assert {schema["$ref"] for schema in refusals} == {"#/components/schemas/ProblemAnswer"}
    assert "HTTPValidationError" not in document["components"]["schemas"]
