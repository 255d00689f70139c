"""What the server does not do: leave its folders, run what clients send, answer pages of other servers."""

from __future__ import annotations

import http.client
import io
import json
import time
import zipfile
from urllib.parse import urlsplit

import numpy as np
import pytest
from PIL import Image

HAND = "clinic/sim29-0002/sim29-0002_L"

UP = "../secret"


def files_of(server):
    return {
        path: path.stat().st_mtime_ns for path in server.studies.parent.rglob("*") if path.suffix in (".png", ".txt")
    }


def raw(server, method, target, body=b"", **headers):
    """Send a request line as it stands; the usual clients would tidy it up."""
    connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=60)
    connection.request(method, target, body, headers)
    answer = connection.getresponse()
    return answer.status, answer.read()


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("POST", f"/infer/ensemble?image={UP}.png"),
        ("POST", "/infer/ensemble?image=clinic/../../secret"),
        ("POST", "/infer/ensemble?image=%2e%2e%2fsecret.png"),
        ("POST", "/infer/ensemble?image={secret}"),
        ("POST", "/infer/..%2f..?image=a"),
        ("GET", f"/datastore/image?image={UP}.png"),
        ("GET", "/datastore/image?image={secret}"),
        ("GET", f"/datastore/image/info?image={UP}"),
        ("GET", f"/datastore/label?label={UP}&tag=final"),
        ("GET", "/datastore/label?label=secret&tag=../.."),
        ("GET", "/datastore/label?label=secret.png&tag=%2e%2e"),
        ("HEAD", f"/datastore/label?image={UP}&tag=final"),
        ("DELETE", f"/datastore/label?id={UP}&tag=final"),
        ("DELETE", "/datastore/label?id=secret&tag=.."),
        ("DELETE", f"/datastore/image?id={HAND}"),
        ("DELETE", f"/datastore/?id={HAND}"),
        ("GET", "/static/../../../../../../../../etc/passwd"),
        ("GET", "/static/..%2f..%2f..%2f..%2f..%2f..%2fetc%2fpasswd"),
        ("GET", "/ohif/..%2f..%2f..%2fetc%2fpasswd"),
        ("GET", "/session/..%2f..%2fsecret?image=true"),
        ("DELETE", "/session/.."),
        ("GET", "/model/..%2f..%2fsecret.png"),
        ("DELETE", "/model/unetplusplus"),
        ("GET", "/logs/"),
        ("GET", "/proxy/dicom/wado/x"),
    ],
)
def test_no_way_out_of_the_folders(server, method, target):
    before = files_of(server)
    status, body = raw(server, method, target.replace("{secret}", str(server.secret)))
    assert 400 <= status < 500
    assert server.secret.read_bytes()[:64] not in body
    assert b"root:" not in body
    assert files_of(server) == before


def test_nothing_is_written_elsewhere(server):
    before = files_of(server)
    picture = server.secret.read_bytes()
    for image in (UP, "/etc/evil", "clinic/../../evil", "clinic\\..\\evil", ".hidden", "labels/final/evil"):
        answer = server.put("/datastore/image", params={"image": image}, files={"file": ("a.png", picture)})
        assert 400 <= answer.status_code < 500
        answer = server.put("/datastore/label", params={"image": image}, files={"label": ("a.seg.nrrd", b"NRRD0004")})
        assert 400 <= answer.status_code < 500
    for tag in ("../..", "..", "a/b", "models", "trainings", "/etc"):
        answer = server.put(
            "/datastore/label", params={"image": HAND, "tag": tag}, files={"label": ("a.seg.nrrd", b"")}
        )
        assert 400 <= answer.status_code < 500
    assert server.put("/model/unetplusplus", files={"file": ("model.pt", b"evil")}).status_code == 404
    assert files_of(server) == before


def test_parameters_name_no_files_of_the_server(server):
    for image in (str(server.secret), "/etc/passwd", f"{server.studies}/{HAND}.png", UP):
        answer = server.post(f"/infer/ensemble?image={HAND}", data={"params": json.dumps({"image": image})})
        assert answer.status_code == 404
        assert "is not there" in answer.json()["detail"]
    tag = json.dumps({"save_label": True, "label_tag": "../../evil"})
    assert server.post(f"/infer/unetplusplus?image={HAND}", data={"params": tag}).status_code == 400


@pytest.mark.parametrize(
    "chosen",
    [
        {"max_epochs": "$__import__('os').system('true')"},
        {"learning_rate": "@device"},
        {"max_epochs": 0},
        {"batch_size": [1]},
    ],
)
def test_a_training_takes_numbers_only(server, chosen):
    answer = server.post("/train/unetplusplus?run_sync=true", json=chosen)
    assert answer.status_code == 400
    assert "choose" in answer.json()["detail"]


def test_archives_are_not_unpacked(server):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("../evil.txt", "evil")
    for flag in ("true", "1", "yes", "True"):
        answer = server.put(f"/session/?uncompress={flag}", files={"files": ("a.zip", packed.getvalue())})
        assert answer.status_code == 400


def test_other_names_and_other_pages_are_refused(server):
    assert raw(server, "GET", "/info/", Host="evil.example")[0] == 403
    assert raw(server, "GET", "/info/", Origin="http://evil.example")[0] == 403
    assert raw(server, "POST", "/scoring/disagreement", **{"Sec-Fetch-Site": "cross-site"})[0] == 403
    assert raw(server, "GET", "/info/", Origin=server.url)[0] == 200


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.dcm", "a.nii.gz", "a.txt", "a"])
def test_bad_pictures_get_a_sentence_and_the_server_lives(server, name):
    truncated = server.secret.read_bytes()[:2000]
    for content in (b"", b"no picture", truncated):
        answer = server.post("/infer/ensemble", files={"file": (name, content)})
        assert answer.status_code == 400
        assert answer.json()["detail"].endswith(".")
        assert server.put("/datastore/image?image=new", files={"file": (name, content)}).status_code == 400
    assert server.get("/datastore/").json()["total"] == 4


def test_too_large_a_request_is_not_read(server):
    status, body = raw(server, "POST", "/infer/ensemble", b"", **{"Content-Length": str(2**40)})
    assert status == 413
    assert b"MB at most" in body


def test_unknown_names_and_broken_json(server):
    for path in (f"/infer/nosuch?image={HAND}", "/infer/ensemble?image=nosuch", "/train/nosuch?run_sync=true",
                 "/scoring/nosuch?run_sync=true", "/activelearning/nosuch"):  # fmt: skip
        answer = server.post(path)
        assert answer.status_code == 404, path
    assert server.post(f"/infer/ensemble?image={HAND}", data={"params": "{"}).status_code == 400


def test_a_radiograph_is_added_once(server, tmp_path):
    picture = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 48), np.uint8)).save(picture, "PNG")
    sent = {"files": {"file": ("x.png", picture.getvalue())}}
    path = server.studies / "clinic" / "new" / "hand.png"
    try:
        assert server.put("/datastore/image?image=clinic/new/hand", **sent).json() == {"image": "clinic/new/hand"}
        assert path.read_bytes() == picture.getvalue()
        assert server.get("/datastore/").json()["total"] == 5
        answer = server.put("/datastore/image?image=clinic/new/hand", **sent)
        assert answer.status_code == 400
        assert "is there already" in answer.json()["detail"]
    finally:
        path.unlink()
        while server.get("/datastore/").json()["total"] > 4:  # a folder is searched every two seconds
            time.sleep(0.2)
