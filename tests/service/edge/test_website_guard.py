"""No page of a website reaches a service without keys, by no route; listed ones get CORS."""

import re
import socket
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient

from service.routes import OPEN_ROUTERS, ROUTERS
from service.settings import Settings, SettingsError
from service.websites import WebsitePolicy, is_origin
from tests.service.conftest import Serve, Shop, problem, running, samples

SHOP = "https://shop.example"


def list_calls() -> Iterator[tuple[str, str]]:
    """Every method and path of the application, with an id where one is needed."""
    for router in (*OPEN_ROUTERS, *ROUTERS):
        for route in router.routes:
            assert isinstance(route, APIRoute)
            for method in sorted(route.methods or ()):
                yield method, re.sub(r"\{[^}]*\}", "i0001", route.path)
    yield from (("GET", "/openapi.json"), ("GET", "/no/such/path"), ("OPTIONS", "/v1/recommend"))


FOREIGN = (
    ({"Host": "evil.example"}, 421),
    ({"Host": "localhost.evil.example:8000"}, 421),
    ({"Origin": "https://evil.example"}, 403),
    ({"Origin": "null"}, 403),
    ({"Origin": "http://localhost:3000"}, 403),
    ({"Origin": "file://127.0.0.1:8000", "Host": "127.0.0.1:8000"}, 403),
    ({"Sec-Fetch-Site": "cross-site"}, 403),
    ({"Sec-Fetch-Site": "Cross-Site"}, 403),
)  # fmt: skip


@pytest.mark.parametrize(("headers", "status"), FOREIGN)
def test_no_route_answers_a_foreign_website(
    client: TestClient, headers: dict[str, str], status: int
) -> None:
    calls = [call for call in list_calls() if "Sec-Fetch-Site" not in headers or call[1] != "/docs"]
    assert len(calls) > 25
    for method, path in calls:
        response = client.request(method, path, headers=headers)
        assert response.status_code == status, (method, path)
        assert "access-control-allow-origin" not in response.headers
        if method != "HEAD":
            detail = problem(response, status)
            assert "API keys" in detail
            assert "--allow-" in detail


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "localhost:8000"},
        {"Host": "127.0.0.1"},
        {
            "Host": "127.0.0.1:8000",
            "Origin": "http://127.0.0.1:8000",
            "Sec-Fetch-Site": "same-origin",
        },
        {"Host": "[::1]:8000", "Origin": "http://[::1]:8000"},
        {"Host": "LOCALHOST.", "Sec-Fetch-Site": "none"},
        {"Host": "localhost", "Origin": "http://localhost:80"},
    ],
)
def test_clients_of_this_machine_are_answered(client: TestClient, headers: dict[str, str]) -> None:
    assert client.get("/v1/items/i0001", headers=headers).status_code == 200
    assert client.post("/v1/recommend", json={}, headers=headers).status_code == 200
    assert client.get("/docs", headers=headers).status_code == 200


def test_of_several_fetch_sites_a_foreign_one_decides(client: TestClient) -> None:
    for sites in (("cross-site", "same-origin"), ("same-origin", "cross-site")):
        response = client.get("/v1/trending", headers=[("Sec-Fetch-Site", site) for site in sites])
        problem(response, 403)


def test_a_link_on_another_website_may_open_the_page_of_the_interface(client: TestClient) -> None:
    opened = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    assert client.get("/docs", headers=opened).status_code == 200
    assert client.get("/openapi.json", headers=opened).status_code == 403


MALFORMED = (
    "", " ", "a b", "localhost localhost", "[::1].evil.example:80", "[::1]evil.example", "[::1",
    "localhost:80@evil.example", "me@localhost", "me:word@localhost:8000", "localhost:evil",
    "127.0.0.1:80:80", "localhost/", "http://localhost", "localhost?", "localhost#a", ":8000",
    "localhost,evil.example:", "l\u00f6calhost", "localhost\\evil",
)  # fmt: skip


@pytest.mark.parametrize("host", MALFORMED)
def test_a_host_that_is_no_name_with_a_port_is_refused(client: TestClient, host: str) -> None:
    headers = {b"Host": host.encode("latin-1")}
    expected = 421 if host.startswith("localhost,") else 400  # a comma may be in a name
    for path in ("/v1/items/i0001", "/health/live", "/docs", "/nothing"):
        problem(client.get(path, headers=headers), expected)
    keyed = WebsitePolicy(is_keyless=False).find_refusal([host], [], None, is_page=True)
    assert (keyed is None) == (expected == 421)


def test_only_http_1_0_is_answered_without_a_host(vectors_only: Path, tmp_path: Path) -> None:
    """RFC 9112, 3.2: whatever request was answered before it."""
    with running(tmp_path, "--index", vectors_only) as (client, _):
        url = client.base_url
        for version, headers, status in (
            ("1.1", "Host: localhost\r\n", 200),
            ("1.1", "", 400),
            ("1.0", "", 200),
            ("1.1", "", 400),
            ("1.1", "Host:\r\n", 400),
            ("1.1", "Host: me@localhost\r\n", 400),
        ):
            sent = f"GET /health/live HTTP/{version}\r\n{headers}Connection: close\r\n\r\n"
            with socket.create_connection((url.host, url.port or 80), timeout=10) as connection:
                connection.sendall(sent.encode())
                answer = b"".join(iter(partial(connection.recv, 1 << 16), b""))
            assert int(answer.split()[1]) == status, (version, headers, answer)


def test_refusals_are_counted(client: TestClient) -> None:
    client.get("/v1/items/i0001", headers={"Host": "evil.example"})
    name = 'zhiyin_requests_total{method="none",route="none",status="421"}'
    assert samples(client)[name] > 0


def test_more_names_can_be_answered(own_shop: Shop, serve: Serve) -> None:
    with serve(own_shop, allow_hosts=("zhiyin.test", "[fe80::1]:8000")) as client:
        for host, status in (("zhiyin.test:1", 200), ("[fe80::1]", 200), ("other.test", 421)):
            assert client.get("/v1/trending", headers={"Host": host}).status_code == status


def test_a_listed_website_gets_the_headers_of_cors_on_every_answer(
    own_shop: Shop, serve: Serve
) -> None:
    with serve(own_shop, allow_origins=(SHOP,)) as client:
        headers = {"Origin": SHOP, "Sec-Fetch-Site": "cross-site"}
        for response in (
            client.post("/v1/recommend", json={}, headers=headers),
            client.get("/v1/items/i0001", headers=headers),
            client.get("/v1/items/none", headers=headers),
            client.get("/v1/trending", headers=headers),
        ):
            assert response.headers["access-control-allow-origin"] == SHOP
            assert response.headers["vary"] == "Origin"
        asked = {**headers, "Access-Control-Request-Method": "PUT"}
        preflight = client.options("/v1/items/n1", headers=asked)
        assert preflight.status_code == 204
        assert preflight.headers["access-control-allow-origin"] == SHOP
        assert "PUT" in preflight.headers["access-control-allow-methods"]
        assert "authorization" in preflight.headers["access-control-allow-headers"]
        other = {**headers, "Origin": "https://shop.example.evil"}
        assert client.get("/v1/items/i0001", headers=other).status_code == 403
        assert client.options("/v1/items/n1", headers=other).status_code == 403


def test_every_answer_of_a_service_with_listed_websites_varies_with_who_asks(
    own_shop: Shop, serve: Serve
) -> None:
    """Else a cache gives the answer to one website, without its headers, to another."""
    calls = (
        ("POST", "/v1/recommend"), ("GET", "/v1/items/i0001"), ("GET", "/v1/items/none"),
        ("GET", "/v1/trending"), ("GET", "/docs"), ("OPTIONS", "/v1/recommend"), ("GET", "/no"),
    )  # fmt: skip
    with serve(own_shop, allow_origins=(SHOP,)) as client:
        for method, path in calls:
            for headers in ({}, {"Origin": SHOP}, {"Origin": "https://evil.example"}, {}):
                response = client.request(method, path, headers=headers)
                assert response.headers.get_list("vary") == ["Origin"], (method, path, headers)
    with serve(own_shop) as client:
        assert "vary" not in client.post("/v1/recommend", json={}).headers


def test_two_host_headers_are_refused(own_shop: Shop, serve: Serve) -> None:
    two = [("Host", "localhost"), ("Host", "localhost")]
    keyed = WebsitePolicy(is_keyless=False).find_refusal(["a.b", "a.b"], [], None, is_page=False)
    assert keyed is not None
    assert keyed.status == 400
    with serve(own_shop) as client:
        for path in ("/v1/items/i0001", "/health/live", "/docs"):
            assert client.get(path).status_code == 200
            assert "2 Host headers; send one" in problem(client.get(path, headers=two), 400)
            assert client.get(path).status_code == 200


def test_with_keys_the_key_decides_and_no_page_can_read_an_answer() -> None:
    policy = WebsitePolicy(is_keyless=False)
    assert policy.find_refusal(["evil.example"], [SHOP], "cross-site", is_page=False) is None
    named = WebsitePolicy(is_keyless=False, hosts=frozenset({"zhiyin.test"}))
    refusal = named.find_refusal(["evil.example"], [], None, is_page=False)
    assert refusal is not None
    assert refusal.status == 421
    assert named.find_refusal(["zhiyin.test"], [], None, is_page=False) is None


def test_every_one_of_several_headers_counts() -> None:
    policy = WebsitePolicy()
    assert policy.find_refusal(["localhost", "evil.example"], [], None, is_page=False)
    assert policy.find_refusal(["localhost"], ["http://localhost", SHOP], None, is_page=False)


@pytest.mark.parametrize("text", ["*", "null", "shop.example", "https://Shop.example", "ftp://a.b",
                                  "https://", "https://a.b/", "https://u@a.b"])  # fmt: skip
def test_what_is_no_origin_is_refused_at_the_start(own_shop: Shop, text: str) -> None:
    assert not is_origin(text)
    with pytest.raises(SettingsError, match="is no origin"):
        Settings(own_shop.root, allow_origins=(text,)).build_website_policy()


def test_the_page_of_the_interface_runs_nothing_of_other_hosts(client: TestClient) -> None:
    page = client.get("/docs")
    assert "://" not in page.text
    assert "script-src 'self'" in page.headers["content-security-policy"]
    assert "frame-ancestors 'none'" in page.headers["content-security-policy"]
    assert "<script>" not in page.text
    for path in re.findall(r'(?:src|href)="([^"]+)"', page.text):
        found = client.get(f"/{path}")
        assert found.status_code == 200, path
        assert found.headers.get("x-content-type-options") == "nosniff" or path == "openapi.json"
    assert problem(client.get("/docs/..%2f__init__.py"), 404)
    assert client.get("/redoc").status_code == 404


def test_settings_of_websites_reach_the_workers(own_shop: Shop) -> None:
    settings = Settings(own_shop.root, allow_hosts=("a.b",), allow_origins=(SHOP,))
    sent: Any = Settings.from_json(settings.to_json())
    assert sent == settings
    assert sent.build_website_policy() == settings.build_website_policy()
