"""The API of the running engine, asked from a command."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Final, Self

import httpx2

from ivr_engine.errors import Refused, Unreachable, in_words
from ivr_engine.keys import API_TOKEN, kept
from ivr_engine.settings import Settings, from_environ

ANSWERS_S: Final = 15.0
"""Seconds the engine has to answer; it gives its own store 10."""

Json = dict[str, Any]
Picture = tuple[str, bytes, str]
"""File name, content, content type."""

_Part = tuple[str, tuple[str | None, bytes, str | None]]


class Api:
    """Answers as JSON; anything else is an error with a sentence that says what to do."""

    def __init__(self, settings: Settings, transport: httpx2.BaseTransport | None = None) -> None:
        self._settings = settings
        token = settings.api_token or kept(settings.state, API_TOKEN)
        # The engine is on this machine: a proxy of the environment must not get the token.
        self._http = httpx2.Client(
            base_url=settings.local_url,
            headers={"Authorization": f"Bearer {token}"} if token else {},
            timeout=ANSWERS_S,
            trust_env=False,
            transport=transport,
        )

    @classmethod
    def here(cls) -> Self:
        """For the settings in the environment."""
        return cls(from_environ(os.environ))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def get(self, path: str, **query: str | int | None) -> Json:
        return self._json("GET", path, params={k: v for k, v in query.items() if v is not None})

    def stream(self, path: str, **query: str | None) -> Iterator[bytes]:
        """A download, as it comes."""
        params = {k: v for k, v in query.items() if v is not None}
        with self._reached(), self._http.stream("GET", path, params=params) as answer:
            if answer.status_code != 200:
                answer.read()
                raise self._refused(answer.status_code, self._said(answer))
            yield from answer.iter_bytes()

    def post(self, path: str, body: Json | None = None) -> Json:
        return self._json("POST", path, body=body)

    def send(self, path: str, fields: Mapping[str, str], pictures: Sequence[Picture]) -> Json:
        """A multipart form."""
        parts: list[_Part] = [(name, (None, value.encode(), None)) for name, value in fields.items()]
        parts += [("media", picture) for picture in pictures]
        return self._json("POST", path, parts=parts)

    def health(self) -> Json:
        """Also when it says that something fails."""
        return self._json("GET", "/health", fine=frozenset({200, 503}))

    def _json(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str | int] | None = None,
        parts: Sequence[_Part] | None = None,
        body: Json | None = None,
        fine: frozenset[int] = frozenset({200, 201, 202}),
    ) -> Json:
        with self._reached():
            answer = self._http.request(method, path, params=params, files=parts, json=body)
        said = self._said(answer)
        if answer.status_code in fine:
            return said
        raise self._refused(answer.status_code, said)

    @contextmanager
    def _reached(self) -> Generator[None]:
        try:
            yield
        except httpx2.ConnectError:
            raise Unreachable(
                f"no engine answers at {self._settings.local_url}: start it with 'ivr-engine run', "
                "or set IVR_HTTP_HOST and IVR_HTTP_PORT"
            ) from None
        except httpx2.TimeoutException:
            raise Unreachable(f"the engine did not answer within {ANSWERS_S:.0f} s") from None
        except httpx2.HTTPError as error:
            raise Unreachable(f"the engine's answer was cut: {in_words(error)}") from None

    def _said(self, answer: httpx2.Response) -> Json:
        try:
            said: Json = answer.json()
        except ValueError:
            raise Unreachable(
                f"what answers at {self._settings.local_url} is not the engine: set IVR_HTTP_PORT"
            ) from None
        return said

    def _refused(self, status: int, body: Json) -> Refused:
        sentence = str(body.get("error", {}).get("message", f"the engine answered {status}"))
        if status in (401, 429):
            place = self._settings.state / "secrets" / API_TOKEN
            sentence = (
                f"the engine wants its token: set IVR_API_TOKEN, or IVR_STATE so that {place} is its file"
            )
        return Refused(sentence, missing=status == 404)
