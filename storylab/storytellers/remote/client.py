"""huggingface_hub's InferenceClient for endpoints of the user's own.

It makes the requests and reads chats; what is added here is text completion as OpenAI has it, which it lacks for an
address of one's own, a limit on what is read, and that neither the Hub's token nor the key goes astray.
"""

import json
import ssl
import threading
from collections.abc import Iterator
from functools import cache
from typing import Any

import httpx2
from huggingface_hub import InferenceClient
from huggingface_hub.errors import TextGenerationError
from huggingface_hub.inference._common import RequestParameters
from huggingface_hub.utils import build_hf_headers

from storylab.storytellers.remote.chunks import Chunk, read_chunk, words_of
from storylab.storytellers.remote.endpoint import Endpoint
from storylab.storytellers.remote.failure import Failure

CONNECT = 1.0
"""Seconds in which an endpoint must take a connection."""
MAX_LINE = 2**20
"""Bytes of the longest line that is read."""
MAX_REFUSAL = 2**16
"""Bytes that are read of an answer that refuses."""
SHOWN = 300
"""Characters of an endpoint's own words that are repeated."""
UNREADABLE = (ValueError, TypeError, LookupError, AttributeError, OverflowError, RecursionError)
"""What reading an answer raises that is none."""
MAX_PAUSE = 3600
"""Seconds of a `Retry-After` beyond which it makes no difference."""


class Client(InferenceClient):
    """Asks one endpoint once; `with` it, or close it, so that the endpoint stops when nobody listens."""

    def __init__(self, endpoint: Endpoint, left: threading.Event | None = None):
        """Make one.

        Args:
            endpoint: Who is asked.
            left: Set when nobody wants the rest of an answer.

        Raises:
            StoryLabError: The endpoint's key is not in the environment.
            Failure: What this machine says of proxies or certificates can't be used.
        """
        secret = endpoint.secret()
        # Without a key InferenceClient would send the Hub's token of whoever is logged in.
        headers = {"accept-encoding": "identity"} | ({} if secret else {"authorization": None})
        super().__init__(base_url=endpoint.url, api_key=secret or None, headers=headers)
        self.endpoint, self.left = endpoint, left or threading.Event()
        # A client of our own: the Hub's follows redirects, writes headers into its log, and is shut where
        # HF_HUB_OFFLINE keeps programs from the Hub.
        limits = httpx2.Timeout(endpoint.patience + CONNECT, connect=CONNECT)  # whoever waits gives up first
        try:
            web = httpx2.Client(timeout=limits, follow_redirects=False, verify=_certificates())
        except (OSError, ValueError, ImportError, httpx2.InvalidURL):
            raise Failure("can't be reached: this machine's proxy or certificates are set up wrongly") from None
        self.web = self.exit_stack.enter_context(web)

    def ask(self, prompt: str, fields: dict[str, Any]) -> Iterator[Chunk]:
        """Have a text told.

        Args:
            prompt: The opening.
            fields: Settings, as `servers.fields_for` gives them.

        Raises:
            Failure: The endpoint can't be reached or doesn't do it.
        """
        try:
            if self.endpoint.instruction:
                yield from self._chat(prompt, fields)
            else:
                yield from self._complete(prompt, fields)
        except TextGenerationError as error:
            raise self._failure(f"broke off: {words_of(str(error))}") from None
        except Failure as error:
            error.args = (self._told(str(error)),)
            raise
        except httpx2.TimeoutException as error:
            connecting = isinstance(error, httpx2.ConnectTimeout)
            raise Failure("does not answer", again=connecting, dead=True) from None
        except httpx2.RequestError as error:
            raise self._failure(f"can't be reached: {words_of(str(error))}", again=True, dead=True) from None
        except httpx2.InvalidURL:
            raise Failure("has no address that can be reached", dead=True) from None
        except UNREADABLE:
            raise Failure("sends what is no answer of the protocol") from None

    def alive(self) -> None:
        """Ask for the list of models, only to see whether anybody answers.

        Raises:
            Failure: Nobody does.
        """
        try:
            headers = build_hf_headers(token=self.token or False)
            url = f"{self.endpoint.url}/models"
            with self.web.stream("GET", url, headers=headers, timeout=CONNECT) as response:
                if response.status_code in (502, 503, 504):  # somebody else answers for it
                    raise Failure(f"is not there: HTTP status {response.status_code}", dead=True)
        except httpx2.TimeoutException:
            raise Failure("does not answer", dead=True) from None
        except httpx2.RequestError as error:
            raise self._failure(f"can't be reached: {words_of(str(error))}", again=True, dead=True) from None
        except (httpx2.InvalidURL, ValueError):  # a name that is no host's
            raise Failure("has no address that can be reached", dead=True) from None

    def _chat(self, prompt: str, fields: dict[str, Any]) -> Iterator[Chunk]:
        wanted = {"logprobs": True} if self.endpoint.asks_log_probabilities else {}
        messages = [{"role": "user", "content": f"{self.endpoint.instruction}\n\n{prompt}"}]
        answer = self.chat_completion(messages, model=self.endpoint.model, stream=True, extra_body={**fields, **wanted})
        yield from map(read_chunk, answer)

    def _complete(self, prompt: str, fields: dict[str, Any]) -> Iterator[Chunk]:
        wanted = {"logprobs": 1} if self.endpoint.asks_log_probabilities else {}
        body = {"model": self.endpoint.model, "prompt": prompt, "stream": True, **fields, **wanted}
        headers = build_hf_headers(token=self.token or False) | {"accept-encoding": "identity"}
        url = f"{self.endpoint.url}/completions"
        for line in self._inner_post(RequestParameters(url, "text-generation", None, body, None, headers), stream=True):
            if line.startswith("data:"):
                data = line.removeprefix("data:").strip()
                if data == "[DONE]":
                    return
                yield read_chunk(json.loads(data))

    def _inner_post(self, request_parameters: RequestParameters, *, stream: bool = False) -> Iterator[str]:
        """Where InferenceClient sends what it has made."""
        asked = request_parameters
        request = self.web.build_request("POST", asked.url, json=asked.json, headers=asked.headers)
        response = self.web.send(request, stream=True)
        self.exit_stack.callback(response.close)
        if response.status_code != 200:
            raise self._refusal(response)
        return self._lines(response)

    def _lines(self, response: httpx2.Response) -> Iterator[str]:
        """The lines of an answer, none of them longer than is read into memory at a time."""
        line = bytearray()
        for block in response.iter_raw():
            if self.left.is_set():
                return
            first, *others = block.split(b"\n")
            line += first
            for other in others:
                yield line.decode("utf-8", "replace").rstrip("\r")
                line = bytearray(other)
            if len(line) > MAX_LINE:
                raise Failure("sends a line without an end")
        yield line.decode("utf-8", "replace")

    def _refusal(self, response: httpx2.Response) -> Failure:
        """What an answer that is none says; its words are the endpoint's."""
        status, words = response.status_code, b""
        if not response.is_redirect:
            for block in response.iter_raw():
                words += block
                if len(words) > MAX_REFUSAL:
                    break
        try:
            said = words_of(json.loads(words))
        except ValueError:
            said = "" if b"<" in words[:100] else words_of(words[:MAX_REFUSAL].decode("utf-8", "replace"))
        after = response.headers.get("retry-after", "")
        return self._failure(
            f"answers with HTTP status {status}{': ' if said else ''}{said}",
            again=status == 429 or status >= 500,
            dead=status >= 500,
            after=min(int(after), MAX_PAUSE) if after.isdecimal() and len(after) < 10 else None,
        )

    def _failure(self, message: str, **more: Any) -> Failure:
        return Failure(self._told(message), **more)

    def _told(self, message: str) -> str:
        """A message without the key, and only then cut: half of a key would be found no more."""
        return self.endpoint.without_secret(message)[:SHOWN]


@cache
def _certificates() -> ssl.SSLContext:
    """Whom to trust; read once, which takes longer than many a request."""
    return httpx2.create_ssl_context()
