"""Who asks: addresses behind proxies, and pages of other sites."""

from __future__ import annotations

import pytest

from bridge.relay.caller import (
    UNKNOWN_ADDRESS,
    address_of,
    counted_as,
    is_own_site,
    is_this_machine,
)

NODE = {"wsgi.url_scheme": "http", "HTTP_HOST": "node.example.org", "REQUEST_METHOD": "GET"}
OWN = "http://node.example.org"


@pytest.mark.parametrize(
    ("forwarded", "peer", "proxies", "address"),
    [
        ("", "192.0.2.1", 0, "192.0.2.1"),
        ("", "192.0.2.1", 2, "192.0.2.1"),
        ("198.51.100.1", "192.0.2.1", 0, "192.0.2.1"),
        ("198.51.100.1", "192.0.2.1", 1, "198.51.100.1"),
        ("6.6.6.6, 198.51.100.1", "192.0.2.1", 1, "198.51.100.1"),
        ("6.6.6.6, 198.51.100.1, 203.0.113.1", "192.0.2.1", 2, "198.51.100.1"),
        ("198.51.100.1", "192.0.2.1", 5, "198.51.100.1"),
        (", ,198.51.100.1", "192.0.2.1", 1, "198.51.100.1"),
        ("nonsense\r\nline", "192.0.2.1", 1, UNKNOWN_ADDRESS),
        ("198.51.100.1:80", "192.0.2.1", 1, "198.51.100.1"),
        ("[2001:db8::1]:80", "192.0.2.1", 1, "2001:db8::1"),
        ("[2001:db8::1]", "192.0.2.1", 1, "2001:db8::1"),
        ("1.2.3:80", "192.0.2.1", 1, UNKNOWN_ADDRESS),
        ("", "", 0, UNKNOWN_ADDRESS),
        ("", "::ffff:192.0.2.1", 0, "192.0.2.1"),
        ("", "2001:DB8:0::1", 0, "2001:db8::1"),
    ],
)
def test_the_address_is_what_the_nearest_trusted_proxy_saw(
    forwarded: str, peer: str, proxies: int, address: str
) -> None:
    environ = {"HTTP_X_FORWARDED_FOR": forwarded, "REMOTE_ADDR": peer}
    assert address_of(environ, proxies) == address


def test_an_address_of_ipv6_counts_as_its_network() -> None:
    assert counted_as("2001:db8::1") == counted_as("2001:db8::ffff:1") == "2001:db8::/64"
    assert counted_as("fe80::1%eth0") == "fe80::/64"
    assert counted_as("192.0.2.1") == "192.0.2.1"
    assert counted_as(UNKNOWN_ADDRESS) == UNKNOWN_ADDRESS


def test_addresses_of_this_machine() -> None:
    assert all(map(is_this_machine, ["127.0.0.1", "127.9.9.9", "::1", UNKNOWN_ADDRESS]))
    assert not any(map(is_this_machine, ["192.0.2.1", "10.0.0.1", "2001:db8::1"]))


@pytest.mark.parametrize(
    ("environ", "own"),
    [
        ({}, True),
        ({"HTTP_ORIGIN": OWN}, True),
        ({"HTTP_ORIGIN": OWN + ".evil.example"}, False),
        ({"HTTP_ORIGIN": "https://node.example.org"}, False),
        ({"HTTP_ORIGIN": "null"}, False),
        ({"HTTP_ORIGIN": ""}, False),
        ({"HTTP_ORIGIN": f"{OWN}, {OWN}"}, False),
        ({"HTTP_ORIGIN": "https://outer", "HTTP_X_FORWARDED_PROTO": "https"}, False),
        (
            {
                "HTTP_ORIGIN": "https://outer",
                "HTTP_X_FORWARDED_PROTO": "https",
                "HTTP_X_FORWARDED_HOST": "outer",
            },
            True,
        ),
        ({"HTTP_SEC_FETCH_SITE": "same-origin"}, True),
        ({"HTTP_SEC_FETCH_SITE": "none"}, True),
        ({"HTTP_SEC_FETCH_SITE": "same-site"}, False),
        ({"HTTP_SEC_FETCH_SITE": "cross-site"}, False),
        ({"HTTP_SEC_FETCH_SITE": ""}, False),
        ({"HTTP_SEC_FETCH_SITE": "cross-site", "HTTP_ORIGIN": OWN}, False),
        ({"QUERY_STRING": "EIO=4&transport=polling&j=0"}, False),
        ({"QUERY_STRING": "EIO=4&transport=polling&j=0", "HTTP_ORIGIN": OWN}, True),
        ({"REQUEST_METHOD": "POST"}, False),
        ({"REQUEST_METHOD": "POST", "HTTP_SEC_FETCH_SITE": "none"}, False),
        ({"REQUEST_METHOD": "POST", "HTTP_ORIGIN": OWN}, True),
    ],
)
def test_cookies_decide_only_for_pages_of_our_own(environ: dict[str, str], own: bool) -> None:
    assert is_own_site({**NODE, **environ}) is own


def test_without_any_environment_cookies_do_not_decide() -> None:
    assert is_own_site({}) is False
