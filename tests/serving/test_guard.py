"""Who may talk to the server; without a server."""

import asyncio

import pytest

from npbsrn.serving.guard import Guard

HOST = "127.0.0.1:8000"
OTHER = "http://evil.example"


@pytest.fixture
def guard():
    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": scope["path"].encode()})

    return Guard(app, 8000)


def ask(guard, method, path, **headers):
    """Status, headers and body of an answer."""
    sent = []

    async def send(message):
        sent.append(message)

    named = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "method": method, "path": path, "headers": named}
    asyncio.run(guard(scope, None, send))
    return sent[0]["status"], dict(sent[0]["headers"]), sent[1]["body"].decode()


@pytest.mark.parametrize("host", [HOST, "localhost:8000"])
def test_the_page_may(guard, host):
    assert ask(guard, "GET", f"/{guard.secret}/about", host=host)[::2] == (200, "/about")
    assert ask(guard, "POST", f"/{guard.secret}/visits", host=host, origin=f"http://{host}")[0] == 200
    assert ask(guard, "DELETE", f"/{guard.secret}/x/1", host=host, sec_fetch_site="same-origin")[0] == 200
    assert guard.address == f"http://{HOST}/{guard.secret}/"


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8000", "127.0.0.1", "127.0.0.1:8001", "127.0.0.1:8000.evil.example",
             "localhost", "[::1]:8000", "192.168.0.1:8000", ""],
)  # fmt: skip
def test_a_name_that_is_not_the_servers_is_refused(guard, host):
    for method in ("GET", "POST"):
        assert ask(guard, method, f"/{guard.secret}/", host=host, origin=f"http://{host}")[0] == 421
    assert ask(guard, "GET", f"/{guard.secret}/")[0] == 421


@pytest.mark.parametrize(
    "marks",
    [
        {"origin": OTHER},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:8001"},
        {"origin": "https://127.0.0.1:8000"},
        {"origin": "http://localhost:8000"},
        {"sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "same-site"},
        {"sec_fetch_site": "cross-site", "origin": f"http://{HOST}"},
        {"sec_fetch_site": "cross-site", "sec_fetch_mode": "navigate"},  # as of a form
        {"sec_fetch_site": "none"},
        {},
    ],
)
def test_nothing_is_changed_by_what_does_not_come_from_the_page(guard, marks):
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        assert ask(guard, method, f"/{guard.secret}/visits", host=HOST, **marks)[0] == 403


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_other_pages_see_nothing_but_may_link(guard, site):
    picture = f"/{guard.secret}/visits/a/pictures/1/after"
    assert ask(guard, "GET", picture, host=HOST, sec_fetch_site=site, sec_fetch_mode="no-cors")[0] == 403
    assert ask(guard, "GET", picture, host=HOST, sec_fetch_site=site, sec_fetch_mode="navigate")[0] == 403
    assert ask(guard, "GET", picture, host=HOST, origin=OTHER)[0] == 403
    page = f"/{guard.secret}/"
    assert ask(guard, "GET", page, host=HOST, sec_fetch_site=site, sec_fetch_mode="cors")[0] == 403
    assert ask(guard, "GET", page, host=HOST, sec_fetch_site=site, sec_fetch_mode="navigate")[0] == 200


def test_without_the_secret_there_is_nothing(guard):
    other = Guard(guard.app, 8000).secret
    for path in ("/", "/about", "", f"/{other}/", f"/{guard.secret[:-1]}/", f"/{guard.secret}", f"//{guard.secret}/"):
        status, _, words = ask(guard, "GET", path, host=HOST)
        assert (status, words) == (403, "Open the address that npbsrn serve has printed.")


def test_the_browsers_address_works_once(guard):
    path = guard.once.removeprefix(f"http://{HOST}")
    assert guard.secret not in path
    status, headers, _ = ask(guard, "GET", path, host=HOST, sec_fetch_site="none")
    assert (status, headers[b"location"].decode()) == (303, f"/{guard.secret}/")
    assert ask(guard, "GET", path, host=HOST, sec_fetch_site="none")[0] == 403


def test_every_answer_has_the_headers(guard):
    answers = [ask(guard, "GET", path, host=host) for path, host in
               ((f"/{guard.secret}/", HOST), ("/", HOST), ("/", "evil.example"))]  # fmt: skip
    for _, headers, _ in answers:
        policy = headers[b"content-security-policy"].decode()
        assert policy.startswith("default-src 'none'; ")
        assert "unsafe" not in policy
        assert "http" not in policy
        assert headers[b"x-content-type-options"] == b"nosniff"
        assert headers[b"referrer-policy"] == b"no-referrer"
        assert headers[b"cross-origin-resource-policy"] == b"same-origin"
        assert headers[b"cache-control"] == b"no-store"
        assert not [name for name in headers if name.startswith(b"access-control")]


def test_sockets_are_closed(guard):
    sent = []

    async def send(message):
        sent.append(message["type"])

    asyncio.run(guard({"type": "websocket", "path": f"/{guard.secret}/", "headers": []}, None, send))
    assert sent == ["websocket.close"]
