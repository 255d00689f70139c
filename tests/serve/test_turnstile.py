"""One segmentation at a time, a short queue, and a sentence for those who come too late."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from handseg_bundle_common.inference import Predictor
from handseg_bundle_common.serve.problems import RefusedError
from handseg_bundle_common.serve.turnstile import Turnstile

from .conftest import NAME


def test_threads_pass_one_after_the_other_and_those_beyond_the_queue_are_refused():
    turnstile, inside, most = Turnstile(waiting=2), [], []

    def visit():
        try:
            with turnstile.turn():
                inside.append(1)
                most.append(len(inside))
                time.sleep(0.05)
                inside.pop()
        except RefusedError as error:
            return error.status_code, error.headers["Retry-After"]
        return 200, None

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda _: visit(), range(8)))
    assert max(most) == 1
    assert sorted(results) == [(200, None)] * 3 + [(503, "5")] * 5


def test_a_place_is_free_again_after_an_error():
    turnstile = Turnstile(waiting=0)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), turnstile.turn():
            raise ZeroDivisionError


def test_the_interface_answers_while_a_radiograph_is_segmented(served, radiograph, monkeypatch):
    predict, going, free = Predictor.predict, threading.Event(), threading.Event()

    def slow(self, path):
        going.set()
        assert free.wait(20)
        return predict(self, path)

    monkeypatch.setattr(Predictor, "predict", slow)
    with ThreadPoolExecutor(8) as pool:
        sent = [pool.submit(served.send, radiograph.read_bytes(), NAME) for _ in range(6)]
        assert going.wait(20)
        assert served.client.get("/api/about").status_code == 200
        refused = next(
            answer
            for answer in (served.send(radiograph.read_bytes(), NAME) for _ in range(50))
            if answer.status_code != 201
        )
        free.set()
        codes = sorted(answer.result().status_code for answer in sent)
    assert refused.status_code == 503
    assert refused.json()["error"]["remedy"] == "try again in a few seconds"
    assert codes[:4] == [201] * 4
