"""A page, as far as the server sees it."""

import http.client
import json
import time
from contextlib import contextmanager
from urllib.parse import quote, urlencode, urlsplit

import pytest

from npbsrn.serving.server import Server
from npbsrn.serving.visits import Limits

for package in ("starlette", "uvicorn"):
    pytest.importorskip(package, reason=f"{package} is missing: pip install '.[serve]'")

OURS = {"Sec-Fetch-Site": "same-origin"}
FINAL = ("done", "failed", "cancelled")
PATIENCE = 20  # seconds for what must happen, on a busy machine too


@contextmanager
def serving(**limits):
    with Server(limits=Limits(**{"pages": 20, "patience": 0.3} | limits), threads=2) as server:
        yield server


def request(server, method, path, body=None, headers=OURS):
    """The status of an answer, its headers, and what it holds, as JSON where it is."""
    base = urlsplit(server.address)
    connection = http.client.HTTPConnection("127.0.0.1", base.port, timeout=PATIENCE)
    try:
        connection.request(method, base.path + path, body, headers)
        answer = connection.getresponse()
        content = answer.read()
        kind = answer.headers.get("content-type", "")
        return answer.status, answer.headers, json.loads(content) if "json" in kind else content
    finally:
        connection.close()


def held(server):
    """The names of what lies in the server's folder."""
    return sorted(path.name for path in server.folder.iterdir() if path.name != "lock")


def until(condition):
    """Wait for what must come true."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "it does not come true"
        time.sleep(0.01)


class Page:
    def __init__(self, server, path=None):
        self.server, self.path = server, path
        if path is None:  # else it comes back
            status, _, told = request(server, "POST", "visits")
            assert status == 201
            self.path = f"visits/{told['visit']}"
        base = urlsplit(server.address)
        self._connection = http.client.HTTPConnection("127.0.0.1", base.port, timeout=PATIENCE)
        self._connection.request("GET", f"{base.path}{self.path}/events", headers=OURS)
        self._events = self._connection.getresponse()
        assert self._events.status == 200
        assert self._events.readline() == b"retry: 1000\n"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self._connection.sock and self._connection.sock.close()
        self._events.close()
        self._connection.close()

    def news(self):
        """What the server says next of a picture."""
        end = time.monotonic() + PATIENCE
        while not (line := self._events.readline()).startswith(b"data: "):
            assert line, "the stream has ended"
            assert time.monotonic() < end, "nothing is said"
        return json.loads(line.removeprefix(b"data: "))

    def until(self, number, *states):
        """Wait until the work on a picture is in a state; returns what was said of it."""
        while True:
            told = self.news()
            if told["number"] == number and told["attempt"] and told["attempt"]["state"] in states:
                return told

    def ask(self, method, path, body=None):
        status, _, content = request(self.server, method, f"{self.path}/{path}", body)
        return status, content

    def send(self, name, content):
        """Send a picture; returns the status and what is said."""
        return self.ask("POST", f"pictures?name={quote(name, safe='')}", content)

    def work(self, number, scale=2, model="bicubic"):
        return self.ask("POST", f"pictures/{number}/work?{urlencode({'scale': scale, 'model': model})}")

    def enlarge(self, name, content, scale=2, model="bicubic"):
        """Send a picture and have it enlarged; returns what is said of it at the end."""
        status, told = self.send(name, content)
        assert status == 201, told
        assert self.work(told["number"], scale, model)[0] == 202
        return self.until(told["number"], *FINAL)
