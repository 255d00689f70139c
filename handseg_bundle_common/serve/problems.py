"""How every refusal looks: what, why and what to do, in one form for all status codes."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from handseg_bundle_common.errors import HandsegInputError

_logger = logging.getLogger(__name__)

_READ_DESCRIPTION = "see /api/openapi.json for what can be asked"


class Problem(BaseModel):
    """Why a request was refused."""

    what: str = Field(description="What is at fault: a file, a parameter, an address.")
    why: str = Field(description="What is wrong with it.")
    remedy: str = Field(description="What can be done about it.")


class ProblemAnswer(BaseModel):
    """The content of every answer from 400 on."""

    error: Problem


class RefusedError(HTTPException):
    """A request that is refused.

    Args:
        status: the HTTP status.
        what: what is at fault.
        why: what is wrong, without a full stop.
        remedy: what can be done about it, without a full stop.
        headers: of the answer.
    """

    def __init__(
        self, status: HTTPStatus, what: str, why: str, remedy: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(int(status), why, dict(headers) if headers else None)
        self.problem = Problem(what=what, why=why, remedy=remedy)

    @classmethod
    def of(cls, status: HTTPStatus, error: HandsegInputError, hidden: str = "", name: str = "") -> RefusedError:
        """Return the refusal that an input error means, with a name in place of a path of the server's own."""
        texts = (error.source, error.problem, error.remedy)
        what, why, remedy = (text.replace(hidden, name) if hidden else text for text in texts)
        return cls(status, what, why, remedy)


def answer(error: RefusedError) -> JSONResponse:
    """Return a refusal as an answer."""
    return JSONResponse({"error": error.problem.model_dump()}, error.status_code, error.headers)


def refusals(*statuses: HTTPStatus) -> dict[int | str, dict[str, Any]]:
    """Return what OpenAPI says of the refusals of a route; 403, 421 and 422 can meet any request."""
    every = {HTTPStatus.FORBIDDEN, HTTPStatus.MISDIRECTED_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY, *statuses}
    return {int(status): {"model": ProblemAnswer, "description": status.phrase} for status in sorted(every)}


def install(app: FastAPI) -> None:
    """Let all errors of an application be answered in one form, those that nobody foresaw with 500."""
    app.add_exception_handler(HTTPException, _refused)
    app.add_exception_handler(RequestValidationError, _senseless)
    app.add_exception_handler(Exception, _unforeseen)


async def _refused(request: Request, error: Exception) -> JSONResponse:
    if isinstance(error, RefusedError):
        return answer(error)
    assert isinstance(error, HTTPException)  # noqa: S101 - for the type checker: it is installed for these
    status = HTTPStatus(error.status_code)
    return answer(RefusedError(status, request.url.path, status.phrase.lower(), _READ_DESCRIPTION, error.headers))


async def _senseless(_: Request, error: Exception) -> JSONResponse:
    """Answer a request that does not fit the description with the first reason."""
    assert isinstance(error, RequestValidationError)  # noqa: S101 - for the type checker: it is installed for these
    first = error.errors()[0]
    what = ".".join(str(part) for part in first["loc"][1:]) or "the request"
    return answer(RefusedError(HTTPStatus.UNPROCESSABLE_ENTITY, what, _lower(first["msg"]), _READ_DESCRIPTION))


async def _unforeseen(_: Request, error: Exception) -> JSONResponse:
    """Answer a mistake of our own; its traceback goes to the terminal and not to the client."""
    _logger.error("a request failed", exc_info=error)
    why, remedy = "a mistake in handseg, whose details stand in the terminal", "report it"
    return answer(RefusedError(HTTPStatus.INTERNAL_SERVER_ERROR, "the server", why, remedy))


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]
