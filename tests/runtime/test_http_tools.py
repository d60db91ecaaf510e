"""HTTP tools under attack: where they go, what they send, how much and how long they take, and what they never tell."""

from __future__ import annotations

import asyncio
import gzip
import json
import logging
import re
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.runtime.web import Answer, Seen, Site, certificate, reply, saying, site
from workbench.errors import Invalid, Refused, Unavailable, WorkbenchError
from workbench.runtime import http_tools, reach, secret
from workbench.runtime.fetch import Unsettled
from workbench.runtime.reach import Reach, Unreached
from workbench.runtime.spec import HttpTool

EASY = settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
ANYTHING: dict[str, Any] = {"type": "object", "properties": {}, "additionalProperties": True}
VALUE = 's3cr3t-91b7/&"é'


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Site]]:
    """Start a server that gives an answer, or several in turn; it ends with the test. The test's secrets may go there."""
    trusted: list[str] = []
    with ExitStack() as stack:

        def start(*answers: bytes | Answer, **rest: Any) -> Site:
            first = answers[0]
            answer = saying(*(one for one in answers if isinstance(one, bytes))) if isinstance(first, bytes) else first
            made = stack.enter_context(site(answer, **rest))
            trusted.append(made.place)
            for name in ("CRM", "CRM_KEY"):
                monkeypatch.setenv(f"WORKBENCH_HOSTS_{name}", ",".join(trusted))
            return made

        yield start


def tool(url: str, method: str = "GET", **rest: Any) -> HttpTool:
    """An HTTP tool; its arguments are free where a test does not care."""
    body = {"parameters": ANYTHING, "timeout": 5.0, "effect": "write", "description": "Does it.", **rest}
    return HttpTool.model_validate({"kind": "http", "url": url, "method": method, **body})


def schema(**properties: Any) -> dict[str, Any]:
    """Parameters, all required."""
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def open_to(*places: Site | str, **rest: Any) -> Reach:
    """A deployment that allows these private hosts."""
    return Reach.of([one.place if isinstance(one, Site) else one for one in places], **rest)


def names(**found: list[str] | str) -> Callable[[str, int], Any]:
    """A resolver that knows these names; underscores are dots. A list is given one by one, the last from then on."""

    async def resolve(host: str, port: int) -> list[str]:
        known = found.get(host.replace(".", "_"))
        if known is None:
            raise OSError("unknown")
        if isinstance(known, str):
            return known.split()
        return (known.pop(0) if len(known) > 1 else known[0]).split()

    return resolve


def ask(one: HttpTool, allowed: Reach | Site | None = None, /, **arguments: Any) -> str:
    """Call the tool."""
    allowed = open_to(allowed) if isinstance(allowed, Site) else allowed
    return asyncio.run(http_tools.call(one, arguments, reach=allowed))


def refused(one: HttpTool, allowed: Reach | Site | None = None, /, **arguments: Any) -> str:
    """Call the tool, and return why it was not done."""
    with pytest.raises((Refused, Invalid)) as told:
        ask(one, allowed, **arguments)
    return str(told.value)


# What is sent.


def test_arguments_go_to_the_path_the_query_and_the_body(run: Any) -> None:
    shop = run(reply(200, '{"ok": true}', content_type="application/json"))
    get = tool(shop.url + "/orders/{order_id}?view=short&lang={lang}")
    assert ask(get, shop, order_id=7, lang="de", tags=["a b", "c"], open=True, none=None) == '{"ok": true}'
    assert shop.seen[0].method == "GET"
    assert shop.seen[0].target == "/orders/7?view=short&lang=de&tags=a%20b&tags=c&open=true"
    post = tool(shop.url + "/orders/{order_id}/notes", "POST")
    ask(post, shop, order_id=7.0, note="größer", amount=1.5)
    assert (shop.seen[1].method, shop.seen[1].target) == ("POST", "/orders/7/notes")
    assert json.loads(shop.seen[1].body) == {"note": "größer", "amount": 1.5}
    assert shop.seen[1].headers["content-type"] == "application/json"


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE", "POST", "PUT", "PATCH"])
def test_only_methods_with_a_body_send_one(run: Any, method: str) -> None:
    shop = run(reply(200, "" if method == "HEAD" else "fine"))
    answer = ask(tool(shop.url + "/a", method), shop, x=1)
    assert answer == ("(status 200, no text)" if method == "HEAD" else "fine")
    in_url = method in ("GET", "HEAD", "DELETE")
    assert shop.seen[0].target == ("/a?x=1" if in_url else "/a")
    assert shop.seen[0].body == (b"" if in_url else b'{"x": 1}')
    assert ("content-type" in shop.seen[0].headers) != in_url


def test_an_argument_that_is_left_out_leaves_its_part_of_the_query_out(run: Any) -> None:
    shop = run(reply(200, "fine"))
    ask(tool(shop.url + "/a?fixed=1&limit={limit}"), shop)
    assert shop.seen[0].target == "/a?fixed=1"


def test_arguments_that_do_not_fit_are_named_and_nothing_is_sent(run: Any) -> None:
    shop = run(reply(200, "fine"))
    strict = tool(shop.url + "/{order_id}", parameters=schema(order_id={"type": "integer"}))
    told = refused(strict, shop, order_id="x", admin=True)
    assert "order_id: 'x' is not of type 'integer'" in told
    assert "admin is not an argument of this tool" in told
    assert "order_id is missing" in refused(strict, shop)
    assert shop.seen == []


def test_a_schema_that_names_another_place_is_refused_and_nothing_is_fetched(run: Any) -> None:
    shop = run(reply(200, '{"type": "integer"}'))
    remote = schema(a={"$ref": shop.url + "/schema.json"})
    assert "points outside the schema" in refused(tool(shop.url, parameters=remote), shop, a=1)
    assert shop.seen == []


def test_further_arguments_need_the_schemas_word(run: Any) -> None:
    shop = run(reply(200, "fine"))
    silent = {"type": "object", "properties": {"q": {"type": "string"}}}
    assert "admin is not an argument" in refused(tool(shop.url, parameters=silent), shop, q="a", admin="yes")


def test_an_argument_cannot_double_a_fixed_query_value(run: Any) -> None:
    shop = run(reply(200, "fine"))
    one = tool(shop.url + "/a?account=7", parameters=schema(account={"type": "string"}))
    assert "account stands in the query of the URL" in refused(one, shop, account="8")


def test_values_that_are_not_json_or_not_text_in_a_url_are_refused(run: Any) -> None:
    shop = run(reply(200, "fine"))
    assert "they are not JSON" in refused(tool(shop.url), shop, a=float("nan"))
    assert "they are not JSON" in refused(tool(shop.url), shop, a="\ud83d")
    assert "a must be one text, number or yes-or-no" in refused(tool(shop.url), shop, a={"b": 1})
    assert "a must be one text" in refused(tool(shop.url + "/{a}"), shop, a=["b"])
    assert shop.seen == []


# Arguments in the URL.

TRAVERSALS = [
    "../admin", "..%2fadmin", "%2e%2e/admin", "a/b", "a\\b", "..\\..", "?admin=1", "#x", "&admin=1", "a;b", "a b",
    "\r\nX-Evil: 1", "@evil.example", ":80", "//evil.example/", "%00", "é", "a=b", "{order_id}", "..;/", "http://evil.example",
]  # fmt: skip


@pytest.mark.parametrize("value", TRAVERSALS)
def test_a_value_stays_one_segment_and_one_query_value(run: Any, value: str) -> None:
    shop = run(reply(200, "fine"))
    ask(tool(shop.url + "/orders/{order_id}/notes?view={order_id}&fixed=1"), shop, order_id=value, more=value)
    path, _, query = shop.seen[0].target.partition("?")
    assert [unquote(one) for one in path.split("/")] == ["", "orders", value, "notes"]
    assert path.count("/") == 3
    pairs = [piece.split("=") for piece in query.split("&")]
    assert [[name, unquote(text)] for name, text in pairs] == [["view", value], ["fixed", "1"], ["more", value]]
    assert shop.seen[0].headers["host"] == shop.place
    assert "x-evil" not in shop.seen[0].headers


@pytest.mark.parametrize("value", [".", "..", ""])
def test_dots_alone_and_nothing_cannot_be_a_segment(run: Any, value: str) -> None:
    shop = run(reply(200, "fine"))
    told = refused(tool(shop.url + "/orders/{order_id}", "DELETE"), shop, order_id=value)
    assert told == f"The arguments do not fit: order_id cannot be {value!r} in the URL's path."
    assert "cannot be '..'" in refused(tool(shop.url + "/{a}{b}/c"), shop, a=".", b=".")
    assert shop.seen == []


def test_a_missing_argument_of_the_path_is_named(run: Any) -> None:
    shop = run(reply(200, "fine"))
    assert "order_id is missing; it stands in the URL" in refused(tool(shop.url + "/{order_id}"), shop, order_id=None)


@EASY
@given(
    path=st.text(max_size=40),
    query=st.text(max_size=40),
    free=st.dictionaries(st.text(max_size=8), st.text(max_size=8), max_size=3),
)
@example(path="../..", query="a&b=c", free={"host": "evil.example"})
@example(path="%2e%2e", query="#", free={"fixed&x": "1"})
@example(path="\u2025", query="\u2044", free={"": ""})
def test_no_argument_changes_the_host_the_segments_or_the_names(
    steady: Site, path: str, query: str, free: dict[str, str]
) -> None:
    arguments = {**free, "part": path, "word": query}
    steady.seen.clear()
    try:
        asyncio.run(
            http_tools.call(tool(steady.url + "/a/{part}/b?fixed=1&word={word}"), arguments, reach=open_to(steady))
        )
    except Invalid:
        assert path in ("", ".", "..") or re.search("[\ud800-\udfff]", json.dumps(arguments, ensure_ascii=False))
        return
    seen = steady.seen[-1]
    before, _, after = seen.target.partition("?")
    assert seen.headers["host"] == steady.place
    assert [unquote(one) for one in before.split("/")] == ["", "a", path, "b"]
    assert [unquote(one.partition("=")[0]) for one in after.split("&")] == ["fixed", "word", *free]


@pytest.fixture(scope="module")
def steady() -> Iterator[Site]:
    """A server that always says fine."""
    with site(saying(reply(200, "fine"))) as running:
        yield running


# The declared URL.


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("ftp://a.example/", "the scheme ftp"),
        ("file:///etc/passwd", "the scheme file"),
        ("gopher://a.example/_x", "the scheme gopher"),
        ("a.example/x", "is not one"),
        ("https:///x", "does not name a host"),
        ("https://", "does not name a host"),
        ("{scheme}://a.example/", "is not one"),
        ("https://{host}/", "an argument may not choose the host"),
        ("https://a.{host}.example/", "an argument may not choose the host"),
        ("https://a.example:{port}/", "an argument may not choose the host"),
        ("https://user:pass@a.example/", "holds a user name or password"),
        ("https://a.example@169.254.169.254/", "holds a user name or password"),
        ("https://a.example\\@evil.example/", "cannot stand in one"),
        ("https://a.example/\r\nX: 1", "cannot stand in one"),
        ("https://a.example/ b", "cannot stand in one"),
        ("https://ａ.example/", "cannot stand in one"),
        ("https://１２７.0.0.1/", "cannot stand in one"),
        ("https://127。0。0。1/", "cannot stand in one"),
        ("https://a.example/#x", "has a fragment"),
        ("https://a.example:0/", "no usable port"),
        ("https://a.example:65536/", "no usable port"),
        ("https://a.example:8o/", "does not name a host"),
        ("https://a.example./", "ends with a dot"),
        ("https://127.0.0.1./", "ends with a dot"),
        ("https://a..example/", "not a name that a host can have"),
        ("https://%31%32%37.0.0.1/", "is an odd spelling of an address"),
        ("https://a%2eexample/", "not a name that a host can have"),
        ("https://-a.example/", "not a name that a host can have"),
        ("https://[::1%25eth0]/", "names a network card"),
        ("https://[fe80::1%eth0]/", "names a network card"),
        ("https://[127.0.0.1]/", "is not an IPv6 address"),
        ("https://::1/", "does not name a host"),
        ("https://a.example/{order id}", "cannot stand in one"),
        ("https://a.example/{}", "do not hold a name"),
        ("https://a.example/{a", "do not hold a name"),
        ("https://a.example/{{a}}", "do not hold a name"),
        ("https://a.example/a/../b", "a path with dots alone"),
        ("https://a.example/%2e%2e/b", "a path with dots alone"),
        ("https://a.example/%zz", "begins no percent-encoding"),
        ("https://a.example/?{name}=1", "braces in the name of a query value"),
    ],
)
def test_a_url_that_cannot_be_used_is_refused_with_the_reason(url: str, told: str) -> None:
    assert told in refused(tool(url), Reach(), a="1")


@pytest.mark.parametrize(
    "host", ["2130706433", "0x7f000001", "0x7f.0.0.1", "017700000001", "0177.0.0.1", "127.1", "127.0.1", "127.0.0.01",
             "0x7f.0x0.0x0.0x1", "256.0.0.1", "1.2.3.4.5", "0x", "4294967295", "0"]
)  # fmt: skip
def test_odd_spellings_of_addresses_are_refused(host: str) -> None:
    assert "is an odd spelling of an address" in refused(tool(f"http://{host}/"), Reach())


# Where it may go.

PRIVATE = [
    ("127.0.0.1", "a loopback address"),
    ("127.255.255.254", "a loopback address"),
    ("0.0.0.0", "an unspecified address"),  # noqa: S104  (refused)
    ("0.1.2.3", "an unspecified address"),
    ("10.0.0.1", "a private address"),
    ("172.16.0.1", "a private address"),
    ("172.31.255.255", "a private address"),
    ("192.168.1.1", "a private address"),
    ("169.254.1.1", "a link-local address"),
    ("169.254.169.254", "a cloud metadata address"),
    ("169.254.170.2", "a cloud metadata address"),
    ("100.100.100.200", "a cloud metadata address"),
    ("168.63.129.16", "a cloud metadata address"),
    ("192.0.0.192", "a cloud metadata address"),
    ("100.64.0.1", "a shared (carrier-grade NAT) address"),
    ("100.127.255.255", "a shared (carrier-grade NAT) address"),
    ("192.0.0.8", "a reserved address"),
    ("192.0.2.1", "a reserved address"),
    ("198.18.0.1", "a reserved address"),
    ("198.51.100.1", "a reserved address"),
    ("203.0.113.1", "a reserved address"),
    ("224.0.0.1", "a multicast address"),
    ("239.255.255.250", "a multicast address"),
    ("240.0.0.1", "a reserved address"),
    ("255.255.255.255", "a reserved address"),
    ("::1", "a loopback address"),
    ("::", "an unspecified address"),
    ("fe80::1", "a link-local address"),
    ("fc00::1", "a private address"),
    ("fd12:3456::1", "a private address"),
    ("fec0::1", "a private address"),
    ("fd00:ec2::254", "a cloud metadata address"),
    ("ff02::1", "a multicast address"),
    ("ff0e::1", "a multicast address"),
    ("2001:db8::1", "a reserved address"),
    ("2001::1", "a reserved address"),
    ("3fff::1", "a reserved address"),
    ("5f00::1", "a reserved address"),
    ("100::1", "a reserved address"),
    ("::127.0.0.1", "a reserved address"),
    ("::ffff:0:127.0.0.1", "a reserved address"),
    ("64:ff9b:1::7f00:1", "a private address"),
    ("::ffff:127.0.0.1", "a loopback address (127.0.0.1 inside an IPv6 one)"),
    ("::ffff:a9fe:a9fe", "a cloud metadata address (169.254.169.254 inside an IPv6 one)"),
    ("64:ff9b::10.0.0.1", "a private address (10.0.0.1 inside an IPv6 one)"),
    ("64:ff9b::7f00:1", "a loopback address (127.0.0.1 inside an IPv6 one)"),
    ("2002:7f00:1::", "a loopback address (127.0.0.1 inside an IPv6 one)"),
    ("2002:c0a8:101::1", "a private address (192.168.1.1 inside an IPv6 one)"),
]


@pytest.mark.parametrize(("address", "kind"), PRIVATE)
def test_an_address_that_is_not_public_is_refused_as_itself_and_behind_a_name(address: str, kind: str) -> None:
    host = f"[{address}]" if ":" in address else address
    told = refused(tool(f"http://{host}:8080/"), Reach())
    assert f" is {kind}; tools do not reach those." in told
    assert "WORKBENCH_PRIVATE_HOSTS" in told
    told = refused(tool("http://crm.example/"), Reach(resolve=names(crm_example=address)))
    assert told.startswith("crm.example resolves to ")
    assert f", {kind}; tools do not reach those." in told


@pytest.mark.parametrize(
    "address", ["93.184.216.34", "8.8.8.8", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "64:ff9b::8.8.8.8", "2002:808:808::1"]
)  # fmt: skip
def test_a_public_address_is_let_through(address: str) -> None:
    there = reach.target("https://crm.example/x")
    assert asyncio.run(Reach(resolve=names(crm_example=address)).addresses(there)) == [address]


def test_one_private_address_among_public_ones_is_enough_to_refuse() -> None:
    told = refused(tool("http://crm.example/"), Reach(resolve=names(crm_example="93.184.216.34 10.0.0.7")))
    assert told == (
        "crm.example resolves to 10.0.0.7, a private address; tools do not reach those. "
        "Whoever runs the workbench can list crm.example in WORKBENCH_PRIVATE_HOSTS."
    )


def test_localhost_is_refused_like_any_name() -> None:
    assert "localhost resolves to" in refused(tool("http://localhost:8080/"))


@settings(max_examples=200, deadline=None)
@given(number=st.integers(0, 2**32 - 1), form=st.sampled_from(["{:d}", "0x{:x}", "0{:o}", "{:d}."]))
def test_no_spelling_of_a_number_is_taken_for_a_name(number: int, form: str) -> None:
    with pytest.raises(Invalid, match=r"odd spelling of an address|ends with a dot"):
        reach.target(f"http://{form.format(number)}/")


@settings(max_examples=200, deadline=None)
@given(number=st.integers(0, 2**32 - 1))
def test_an_ipv4_address_inside_an_ipv6_one_is_judged_as_itself(number: int) -> None:
    import ipaddress

    plain = reach.describe(ipaddress.IPv4Address(number))
    for high in (0xFFFF << 32, 0x64FF9B << 96):
        assert reach.describe(ipaddress.IPv6Address(high | number)).startswith(plain)
    assert reach.describe(ipaddress.IPv6Address((0x2002 << 112) | (number << 80))).startswith(plain)


def test_the_deployment_alone_opens_a_private_host(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    shop = run(reply(200, "fine"))
    one = tool(shop.url, hosts=("127.0.0.1", shop.place))
    monkeypatch.delenv("WORKBENCH_PRIVATE_HOSTS", raising=False)
    assert "a loopback address" in refused(one)
    monkeypatch.setenv("WORKBENCH_PRIVATE_HOSTS", f" crm.internal, 127.0.0.1:{shop.port} ")
    assert ask(one) == "fine"
    monkeypatch.setenv("WORKBENCH_PRIVATE_HOSTS", "127.0.0.1")
    assert ask(one) == "fine"
    for other in ("127.0.0.1:1", "127.0.0.2", "localhost", "0.0.0.1"):
        monkeypatch.setenv("WORKBENCH_PRIVATE_HOSTS", other)
        assert "a loopback address" in refused(one)
    monkeypatch.setenv("WORKBENCH_PRIVATE_HOSTS", "127.1")
    assert "WORKBENCH_PRIVATE_HOSTS: The host “127.1” is an odd spelling" in refused(one)


def test_an_ipv6_host_is_listed_with_or_without_brackets(run: Any) -> None:
    shop = run(reply(200, "fine"), host="::1")
    assert ask(tool(shop.url), open_to(f"[::1]:{shop.port}")) == "fine"
    assert ask(tool(shop.url), open_to("::1")) == "fine"
    assert shop.seen[0].headers["host"] == f"[::1]:{shop.port}"


def test_a_listed_name_may_be_private_but_never_a_metadata_address(run: Any) -> None:
    shop = run(reply(200, "fine"))
    url = f"http://crm.example:{shop.port}/"
    listed = f"crm.example:{shop.port}"
    assert ask(tool(url), open_to(listed, resolve=names(crm_example="127.0.0.1"))) == "fine"
    assert shop.seen[0].headers["host"] == listed
    for address in ("169.254.169.254", "169.254.1.1", "0.0.0.1", "224.0.0.1", "::ffff:127.0.0.1"):
        told = refused(tool(url), open_to(listed, resolve=names(crm_example=address)))
        assert "A name that resolves to such an address cannot be allowed." in told
    assert len(shop.seen) == 1


def test_a_name_is_looked_up_once_and_the_checked_address_is_used(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    shop = run(reply(200, "fine"))

    def looked_up(*_: Any, **__: Any) -> Any:
        raise AssertionError("looked up again")

    monkeypatch.setattr(socket, "getaddrinfo", looked_up)
    monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", looked_up)
    changing = names(crm_example=["127.0.0.1", "169.254.169.254"])
    one = tool(f"http://crm.example:{shop.port}/")
    assert ask(one, open_to(f"crm.example:{shop.port}", resolve=changing)) == "fine"
    assert len(shop.seen) == 1


def test_a_name_that_changes_between_two_tries_is_checked_again(run: Any) -> None:
    shop = run(reply(503))
    changing = names(crm_example=["127.0.0.1", "169.254.169.254"])
    told = refused(tool(f"http://crm.example:{shop.port}/"), open_to("crm.example", resolve=changing))
    assert "crm.example resolves to 169.254.169.254, a cloud metadata address" in told
    assert len(shop.seen) == 1


def test_a_name_that_cannot_be_found_or_reached_is_unavailable(run: Any) -> None:
    with pytest.raises(Unreached, match=r"The host crm\.example cannot be found"):
        ask(tool("http://crm.example/", retries=0), Reach(resolve=names()))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        with pytest.raises(Unreached, match=f"127.0.0.1:{port} cannot be reached"):
            ask(tool(f"http://127.0.0.1:{port}/", retries=0), open_to(f"127.0.0.1:{port}"))


def test_the_next_address_is_tried_where_the_first_does_not_answer(run: Any) -> None:
    shop = run(reply(200, "fine"))
    one = tool(f"http://crm.example:{shop.port}/", retries=0)
    assert ask(one, open_to("crm.example", resolve=names(crm_example="::1 127.0.0.1"))) == "fine"


# Certificates.


def test_the_certificate_is_checked_for_the_name_though_the_address_is_used(run: Any, tmp_path: Path) -> None:
    server, trust = certificate("crm.example", tmp_path)
    shop = run(reply(200, "fine"), secure=server)
    resolve = names(crm_example="127.0.0.1", other_example="127.0.0.1")
    allowed = open_to("crm.example", "other.example", resolve=resolve, tls=trust)
    assert ask(tool(f"https://crm.example:{shop.port}/"), allowed) == "fine"
    assert shop.names == ["crm.example"]
    assert shop.seen[0].headers["host"] == f"crm.example:{shop.port}"
    told = refused(tool(f"https://other.example:{shop.port}/", headers={"X-A": "b"}), allowed)
    assert "The certificate of other.example" in told
    assert "is not valid" in told
    assert len(shop.seen) == 1


def test_a_certificate_that_nobody_vouches_for_is_refused(run: Any, tmp_path: Path) -> None:
    server, _ = certificate("crm.example", tmp_path)
    shop = run(reply(200, "fine"), secure=server)
    told = refused(
        tool(f"https://crm.example:{shop.port}/"), open_to("crm.example", resolve=names(crm_example="127.0.0.1"))
    )
    assert "Nothing was sent." in told
    assert shop.seen == []


# Redirects.


def moved(to: str, status: int = 302) -> bytes:
    """A redirect."""
    return reply(status, "moved", location=to)


@pytest.mark.parametrize(
    ("location", "told"),
    [
        ("http://169.254.169.254/latest/meta-data/", "redirects to 169.254.169.254, which this tool may not reach"),
        ("http://10.0.0.1/", "which this tool may not reach"),
        ("http://evil.example/", "redirects to evil.example, which this tool may not reach"),
        ("//evil.example/", "redirects to evil.example, which this tool may not reach"),
        ("http://127.0.0.1:1/", "redirects to 127.0.0.1:1, which this tool may not reach"),
        ("http://localhost/", "redirects to localhost, which this tool may not reach"),
        ("http://[::1]/", "redirects to [::1], which this tool may not reach"),
        ("http://2130706433/", "is an odd spelling of an address"),
        ("http://127.1/", "is an odd spelling of an address"),
        ("http://0x7f.0.0.1/", "is an odd spelling of an address"),
        ("file:///etc/passwd", "the scheme file"),
        ("ftp://127.0.0.1/", "the scheme ftp"),
        ("javascript:alert(1)", "is not one"),
        ("http://user@evil.example/", "holds a user name or password"),
        ("http://evil.example\\@127.0.0.1/", "redirects to where no tool may go"),
        ("http://[::1", "redirects to where no tool may go"),
        ("http://{host}/", "redirects to where no tool may go"),
        ("http://evil.example./", "ends with a dot"),
        ("http://\xe9vil.example/", "not a name that a host can have"),
    ],
)
def test_a_redirect_elsewhere_is_refused(run: Any, location: str, told: str) -> None:
    shop = run(moved(location))
    assert told in refused(tool(shop.url), shop)
    assert len(shop.seen) == 1


def test_a_redirect_to_an_allowed_host_is_checked_as_the_first_was(run: Any) -> None:
    inner = run(reply(200, "inner"))
    shop = run(moved(f"http://inner.example:{inner.port}/"))
    resolve = names(inner_example="127.0.0.1")
    one = tool(shop.url, hosts=(f"inner.example:{inner.port}",))
    assert "inner.example resolves to 127.0.0.1, a loopback address" in refused(one, open_to(shop, resolve=resolve))
    assert inner.seen == []
    assert ask(one, open_to(shop, "inner.example", resolve=resolve)) == "inner"


def test_redirects_are_followed_three_times(run: Any) -> None:
    shop = run(moved("/b"), moved("c?x=%41"), moved("./d"), reply(200, "there"))
    assert ask(tool(shop.url + "/a"), shop) == "there"
    assert [one.target for one in shop.seen] == ["/a", "/b", "/c?x=%41", "/d"]


def test_a_loop_ends(run: Any) -> None:
    shop = run(moved("/a"))
    assert "redirects more than 3 times" in refused(tool(shop.url + "/a"), shop)
    assert len(shop.seen) == 4


@pytest.mark.parametrize(
    ("method", "status", "next_method"),
    [
        ("POST", 303, "GET"),
        ("PUT", 303, "GET"),
        ("POST", 301, "GET"),
        ("POST", 302, "GET"),
        ("POST", 307, "POST"),
        ("POST", 308, "POST"),
        ("PUT", 302, "PUT"),
        ("GET", 303, "GET"),
        ("HEAD", 303, "HEAD"),
    ],
)
def test_the_method_after_a_redirect(run: Any, method: str, status: int, next_method: str) -> None:
    shop = run(moved("/b", status), reply(200))
    ask(tool(shop.url + "/a", method), shop, x=1)
    assert [one.method for one in shop.seen] == [method, next_method]
    kept = next_method == method
    assert shop.seen[1].body == (shop.seen[0].body if kept else b"")
    assert ("content-type" in shop.seen[1].headers) == (kept and method in ("POST", "PUT"))


def test_another_host_sees_no_secret(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKBENCH_SECRET_CRM", "s3cr3t-91b7")
    back = run(reply(200, "back"))
    other = run(moved(f"http://one.example:{back.port}/c", 307))
    first = run(moved(f"http://two.example:{other.port}/b", 307))
    resolve = names(one_example="127.0.0.1", two_example="127.0.0.1")
    monkeypatch.setenv("WORKBENCH_HOSTS_CRM", f"one.example:{first.port},two.example:{other.port}")
    one = tool(
        f"http://one.example:{first.port}/a",
        "POST",
        headers={"X-Key": "secret:crm", "Authorization": "Basic abc", "Cookie": "a=b", "X-Plain": "yes"},
        hosts=(f"two.example:{other.port}", f"one.example:{back.port}"),
    )
    assert ask(one, open_to("one.example", "two.example", resolve=resolve)) == "back"
    assert first.seen[0].headers["x-key"] == "s3cr3t-91b7"
    for seen in (other.seen[0], back.seen[0]):
        assert seen.headers["x-plain"] == "yes"
        assert not {"x-key", "authorization", "cookie"} & seen.headers.keys()


def test_the_same_host_sees_the_secret_again(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKBENCH_SECRET_CRM", "s3cr3t-91b7")
    shop = run(moved("/b"), reply(200, "fine"))
    ask(tool(shop.url + "/a", headers={"X-Key": "secret:crm"}), shop)
    assert shop.seen[1].headers["x-key"] == "s3cr3t-91b7"


@pytest.mark.parametrize("listed", ["", "crm.example", "127.0.0.1", "127.0.0.1:1, crm.example:{port}"])
def test_a_secret_is_sent_only_to_the_hosts_that_the_deployment_lists_for_it(
    run: Any, monkeypatch: pytest.MonkeyPatch, listed: str
) -> None:
    monkeypatch.setenv("WORKBENCH_SECRET_CRM", "s3cr3t-91b7")
    elsewhere = run(reply(200, "thanks"))
    monkeypatch.setenv("WORKBENCH_HOSTS_CRM", listed.format(port=elsewhere.port))
    told = refused(tool(elsewhere.url, headers={"X-Plain": "yes", "X-Key": "Bearer secret:crm"}), elsewhere)
    assert f"The secret crm is not sent to {elsewhere.place}: " in told
    assert f"can list {elsewhere.place} in WORKBENCH_HOSTS_CRM." in told
    assert "s3cr3t" not in told
    assert elsewhere.seen == []
    assert ask(tool(elsewhere.url, headers={"X-Plain": "yes"}), elsewhere) == "thanks"


def test_each_of_two_secrets_must_be_allowed_and_a_list_that_cannot_be_read_allows_nothing(
    run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKBENCH_SECRET_CRM", "s3cr3t-91b7")
    monkeypatch.setenv("WORKBENCH_SECRET_BANK", "b4nk-00aa")
    shop = run(reply(200, "fine"))
    both = tool(shop.url, headers={"X-Key": "secret:crm/secret:bank"})
    assert f"The secret bank is not sent to {shop.place}: no host is listed for it." in refused(both, shop)
    monkeypatch.setenv("WORKBENCH_HOSTS_BANK", f"*,{shop.place}")
    assert "WORKBENCH_HOSTS_BANK: The host “*” is not a name that a host can have." in refused(both, shop)
    monkeypatch.setenv("WORKBENCH_HOSTS_BANK", f" CRM.example , {shop.place},")
    assert ask(both, shop) == "fine"
    assert shop.seen[0].headers["x-key"] == "s3cr3t-91b7/b4nk-00aa"


def test_a_redirect_from_https_to_http_is_refused(run: Any, tmp_path: Path) -> None:
    server, trust = certificate("crm.example", tmp_path)
    plain = run(reply(200, "plain"))
    shop = run(moved(f"http://crm.example:{plain.port}/"), secure=server)
    allowed = open_to("crm.example", resolve=names(crm_example="127.0.0.1"), tls=trust)
    one = tool(f"https://crm.example:{shop.port}/", hosts=(f"crm.example:{plain.port}",))
    assert "redirects from https to http" in refused(one, allowed)
    assert plain.seen == []


# How much and how long.


async def endless(_seen: Seen, writer: asyncio.StreamWriter) -> None:
    """A body without an end, as fast as it goes."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n")
    while True:
        writer.write(b"x" * 65_536)
        await writer.drain()


async def drip(_seen: Seen, writer: asyncio.StreamWriter) -> None:
    """A body that comes one byte at a time."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    while True:
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.02)


async def slow_head(_seen: Seen, writer: asyncio.StreamWriter) -> None:
    """Headers that come one byte at a time."""
    writer.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    while True:
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.02)


async def early_hints(_seen: Seen, writer: asyncio.StreamWriter) -> None:
    """Nothing but preliminary answers."""
    while True:
        writer.write(b"HTTP/1.1 103 Early Hints\r\n\r\n")
        await writer.drain()
        await asyncio.sleep(0.01)


async def silent(_seen: Seen, _writer: asyncio.StreamWriter) -> None:
    """No answer at all."""
    await asyncio.sleep(60)


async def long_head(_seen: Seen, writer: asyncio.StreamWriter) -> None:
    """One header without an end."""
    writer.write(b"HTTP/1.1 200 OK\r\nX-Long: ")
    while True:
        writer.write(b"x" * 65_536)
        await writer.drain()


async def nothing_packed(_seen: Seen, writer: asyncio.StreamWriter) -> None:
    """Packed data without an end that unpacks to nothing."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Encoding: gzip\r\n\r\n")
    writer.write(b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff")
    while True:
        writer.write(b"\x00\x00\x00\xff\xff" * 1000)
        await writer.drain()


def test_a_body_has_a_largest_size(run: Any) -> None:
    shop = run(reply(200, "x" * 1000), reply(200, "x" * 1001))
    assert len(ask(tool(shop.url, largest=1000), shop)) == 1000
    assert "sent more than 1,000 bytes, which is more than this tool takes" in refused(
        tool(shop.url, largest=1000), shop
    )
    assert "sent more than 200,000 bytes" in refused(tool(run(endless).url), open_to("127.0.0.1"))


@pytest.mark.parametrize(
    "packed",
    [
        gzip.compress(b"\0" * 50_000_000),
        gzip.compress(b"x" * 200_001),
        gzip.compress(gzip.compress(b"x" * 30_000_000) * 10),
    ],
)
def test_a_packed_body_is_counted_unpacked(run: Any, packed: bytes) -> None:
    shop = run(reply(200, packed, content_type="text/plain", content_encoding="gzip"))
    begun = time.perf_counter()
    assert "sent more than 200,000 bytes" in refused(tool(shop.url), shop)
    assert time.perf_counter() - begun < 4


def test_packed_data_that_unpacks_to_nothing_ends(run: Any) -> None:
    assert "sent more than 200,000 bytes" in refused(tool(run(nothing_packed).url), open_to("127.0.0.1"))


def test_a_packed_body_is_unpacked(run: Any) -> None:
    whole = gzip.compress(b"fine")
    shop = run(reply(200, whole, content_encoding="gzip"), reply(200, whole[:-6], content_encoding="gzip"))
    assert ask(tool(shop.url), shop) == "fine"
    assert shop.seen[0].headers["accept-encoding"] == "gzip"
    with pytest.raises(Unavailable, match="sent a body that cannot be unpacked"):
        ask(tool(shop.url), shop)
    other = run(reply(200, b"abc", content_encoding="br"))
    assert "answers in the coding br, which was not asked for" in refused(tool(other.url), other)
    junk = run(reply(200, b"not packed", content_encoding="gzip"))
    with pytest.raises(Unavailable, match="sent a body that cannot be unpacked"):
        ask(tool(junk.url), junk)


@pytest.mark.parametrize("answer", [drip, slow_head, early_hints, silent])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_one_deadline_holds_for_everything(run: Any, answer: Answer, method: str) -> None:
    shop = run(answer)
    begun = time.perf_counter()
    with pytest.raises(Unsettled, match=rf"127.0.0.1:{shop.port} took longer than 0.4 seconds") as told:
        ask(tool(shop.url, method, timeout=0.4), shop)
    assert 0.3 < time.perf_counter() - begun < 4
    assert ("may have taken effect" in told.value.message) == (method == "POST")


def test_the_deadline_holds_for_tries_and_redirects_together(run: Any) -> None:
    async def slowly(_seen: Seen, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.2)
        writer.write(moved("/again"))

    shop = run(slowly)
    begun = time.perf_counter()
    with pytest.raises(Unsettled):
        ask(tool(shop.url, timeout=0.5, retries=5), shop)
    assert time.perf_counter() - begun < 4


def test_a_slow_call_does_not_hold_up_others(run: Any) -> None:
    shop = run(silent)

    async def both() -> int:
        call = asyncio.create_task(http_tools.call(tool(shop.url, timeout=0.5), {}, reach=open_to(shop)))
        turns = 0
        while not call.done():
            await asyncio.sleep(0.01)
            turns += 1
        with pytest.raises(Unsettled):
            await call
        return turns

    assert asyncio.run(both()) > 5


def test_a_cancelled_call_ends_at_once(run: Any) -> None:
    shop = run(silent)

    async def cancelled() -> float:
        call = asyncio.create_task(http_tools.call(tool(shop.url), {}, reach=open_to(shop)))
        await asyncio.sleep(0.1)
        begun = time.perf_counter()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        return time.perf_counter() - begun

    assert asyncio.run(cancelled()) < 2


def test_giant_headers_are_refused(run: Any) -> None:
    whole = run(reply(200, "fine", x_long="x" * 60_000))
    assert "sent headers of more than 32,768 bytes" in refused(tool(whole.url), whole)
    many = run(reply(200, "fine", **{f"x-{n}": "y" * 100 for n in range(500)}))
    assert "sent headers of more than 32,768 bytes" in refused(tool(many.url), many)
    assert "sent headers of more than 32,768 bytes" in refused(tool(run(long_head).url), open_to("127.0.0.1"))


# Again, or not.


@pytest.mark.parametrize(
    ("method", "times"), [("GET", 3), ("HEAD", 3), ("PUT", 3), ("DELETE", 3), ("POST", 1), ("PATCH", 1)]
)
@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_only_what_may_be_sent_twice_is_sent_again(run: Any, method: str, times: int, status: int) -> None:
    shop = run(reply(status))
    with pytest.raises(Unavailable, match=f"answered with status {status}"):
        ask(tool(shop.url, method, retries=2), shop)
    assert len(shop.seen) == times


@pytest.mark.parametrize(("method", "times"), [("GET", 2), ("DELETE", 2), ("POST", 1), ("PATCH", 1)])
def test_a_connection_that_breaks_is_tried_again_only_then(run: Any, method: str, times: int) -> None:
    async def cut(_seen: Seen, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")

    for answer in (cut, saying(b""), saying(b"SSH-2.0-OpenSSH\r\n\r\n")):
        shop = run(answer)
        with pytest.raises(Unsettled) as told:
            ask(tool(shop.url, method, retries=1), shop)
        assert len(shop.seen) == times
        assert ("may have taken effect" in told.value.message) == (method != "GET")


@pytest.mark.parametrize("status", [400, 401, 404, 409, 422, 500, 501])
def test_other_failures_are_not_tried_again(run: Any, status: int) -> None:
    shop = run(reply(status, "no"))
    with pytest.raises(Unavailable if status >= 500 else Invalid, match=f"answered with status {status}: no"):
        ask(tool(shop.url, retries=5), shop)
    assert len(shop.seen) == 1


def test_a_second_try_can_bring_the_answer(run: Any) -> None:
    shop = run(reply(503), reply(200, "fine"))
    assert ask(tool(shop.url), shop) == "fine"


def test_a_short_wait_that_is_asked_for_is_kept_and_a_long_one_is_not(run: Any) -> None:
    shop = run(reply(429, retry_after="1"), reply(200, "fine"))
    begun = time.perf_counter()
    assert ask(tool(shop.url), shop) == "fine"
    assert 1 <= time.perf_counter() - begun < 4
    for asked in ("120", "Wed, 21 Oct 2099 07:28:00 GMT", "9" * 400):
        patient = run(reply(429, retry_after=asked))
        begun = time.perf_counter()
        with pytest.raises(Unavailable, match="answered with status 429"):
            ask(tool(patient.url), patient)
        assert (len(patient.seen), time.perf_counter() - begun < 4) == (1, True)
    for odd in ("-5", "soon", "³", "Wed, 21 Oct 1999 07:28:00 GMT"):
        other = run(reply(503, retry_after=odd), reply(200, "fine"))
        assert ask(tool(other.url), other) == "fine"


def test_there_is_no_wait_beyond_the_deadline(run: Any) -> None:
    shop = run(reply(503, retry_after="3"))
    begun = time.perf_counter()
    with pytest.raises(Unavailable, match="answered with status 503"):
        ask(tool(shop.url, timeout=1), shop)
    assert time.perf_counter() - begun < 0.9


@pytest.mark.parametrize(("method", "sent"), [("POST", True), ("PATCH", True), ("PUT", False), ("GET", False)])
def test_a_key_makes_a_post_that_is_sent_twice_one(run: Any, method: str, sent: bool) -> None:
    shop = run(reply(200, ""))
    asyncio.run(http_tools.call(tool(shop.url, method), {}, key="run_1:call_2", reach=open_to(shop)))
    assert shop.seen[0].headers.get("idempotency-key") == ("run_1:call_2" if sent else None)


# Headers and secrets.


@pytest.mark.parametrize(
    ("headers", "told"),
    [
        ({"X-A": "b\r\nX-Evil: 1"}, "The header X-A holds a character that a header cannot carry."),
        ({"X-A": "b\nc"}, "holds a character"),
        ({"X-A": "b\0c"}, "holds a character"),
        ({"X-A": "日本"}, "holds a character"),
        ({"X-A": "b\x85c"}, "holds a character"),
        ({"X A": "b"}, "X A is not the name of a header."),
        ({"X-A:": "b"}, "is not the name of a header"),
        ({"X-A\r\nX-B": "b"}, "is not the name of a header"),
        ({"": "b"}, "is not the name of a header"),
        ({"Ä": "b"}, "is not the name of a header"),
        ({"Host": "evil.example"}, "The header Host is set by the workbench; it cannot be declared."),
        ({"content-length": "0"}, "The header content-length is set by the workbench"),
        ({"Transfer-Encoding": "chunked"}, "The header Transfer-Encoding is set by the workbench"),
        ({"Connection": "keep-alive"}, "The header Connection is set by the workbench"),
        ({"Proxy-Authorization": "x"}, "The header Proxy-Authorization is set by the workbench"),
        ({"Idempotency-Key": "always-the-same"}, "The header Idempotency-Key is set by the workbench"),
    ],
)
def test_a_header_that_cannot_be_declared_is_named(run: Any, headers: dict[str, str], told: str) -> None:
    shop = run(reply(200, "fine"))
    assert told in refused(tool(shop.url, headers=headers), shop)
    assert shop.seen == []


def test_declared_headers_are_sent_and_arguments_never_are(run: Any) -> None:
    shop = run(reply(200, "fine"))
    ask(tool(shop.url, headers={"X-Team": "desk", "Accept": "text/csv"}), shop, x_team="evil", Host="evil.example")
    assert shop.seen[0].headers == {
        "user-agent": "workbench",
        "accept": "text/csv",
        "x-team": "desk",
        "host": shop.place,
        "accept-encoding": "gzip",
        "connection": "close",
    }


def test_a_key_with_line_breaks_is_refused(run: Any) -> None:
    shop = run(reply(200, "fine"))
    with pytest.raises(Invalid, match="The key of this call holds a character"):
        asyncio.run(http_tools.call(tool(shop.url, "POST"), {}, key="a\r\nb", reach=open_to(shop)))


def test_a_secret_that_is_not_set_is_named_with_its_variable(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    shop = run(reply(200, "fine"))
    one = tool(shop.url, headers={"Authorization": "Bearer secret:crm-key"})
    for value in (None, "", "  "):
        if value is not None:
            monkeypatch.setenv("WORKBENCH_SECRET_CRM_KEY", value)
        told = refused(one, shop)
        assert "The secret crm-key is not set: there is no WORKBENCH_SECRET_CRM_KEY in the environment." in told
    assert shop.seen == []


def test_a_secret_that_a_header_cannot_carry_is_not_told(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    shop = run(reply(200, "fine"))
    monkeypatch.setenv("WORKBENCH_SECRET_CRM", "s3cr3t\r\nX-Evil: 1")
    told = refused(tool(shop.url, headers={"X-Key": "secret:crm"}), shop)
    assert told == "The header X-Key holds a character that a header cannot carry."
    monkeypatch.setenv("WORKBENCH_SECRET_CRM", "s3cr3t-91b7\n")
    ask(tool(shop.url, headers={"X-Key": "secret:crm"}), shop)
    assert shop.seen[0].headers["x-key"] == "s3cr3t-91b7"


async def echo(seen: Seen, writer: asyncio.StreamWriter) -> None:
    """Answers with its headers in many spellings, and with them in headers of its own."""
    from html import escape
    from urllib.parse import quote, quote_plus

    key = seen.headers["x-key"]
    said = f"{key} {json.dumps(key)} {quote(key)} {quote(key, safe='')} {quote_plus(key)} {escape(key)} {key}{key}"
    status = int(seen.target.strip("/") or 200)
    writer.write(reply(status, said, content_type="text/plain; charset=utf-8", x_said=key, location=f"http://{key}/"))


@pytest.mark.parametrize("status", [200, 302, 400, 404, 500, 503])
def test_a_secret_that_the_other_side_repeats_is_told_nowhere(
    run: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("WORKBENCH_SECRET_CRM", VALUE)
    shop = run(echo)
    told = ""
    try:
        told = ask(tool(f"{shop.url}/{status}", headers={"X-Key": "secret:crm"}, retries=1), shop)
    except WorkbenchError as error:
        told = str(error) + repr(error) + error.message + error.remedy
    assert shop.seen[0].headers["x-key"] == VALUE
    assert "s3cr3t" not in told + caplog.text
    assert "[secret]" in told or status == 302


def test_a_secret_is_masked_where_a_long_failure_is_cut(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKBENCH_SECRET_CRM", "abcdefghij" * 400)
    shop = run(reply(400, "abcdefghij" * 400 * 5, content_type="text/plain"))
    told = refused(tool(shop.url, headers={"X-Key": "secret:crm"}), shop)
    assert "abcdefghij" not in told


@settings(max_examples=200, deadline=None)
@given(value=st.text(min_size=9, max_size=20), before=st.text(max_size=20), after=st.text(max_size=20))
def test_a_masked_text_never_holds_the_secret(value: str, before: str, after: str) -> None:
    hidden = secret.hide(f"{before}{value}{after}{value}{json.dumps({'a': value})}", [value])
    assert value not in hidden
    assert json.dumps(value)[1:-1] not in hidden


def test_nothing_of_the_surroundings_takes_part(run: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login me password mine", encoding="utf-8")
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    monkeypatch.setenv("HOME", str(tmp_path))
    shop = run(reply(200, "fine", set_cookie="session=1; Path=/"))
    for _ in range(2):
        assert ask(tool(shop.url), shop) == "fine"
    assert all(not {"cookie", "authorization"} & one.headers.keys() for one in shop.seen)


# What comes back.


@pytest.mark.parametrize(
    ("body", "kind", "text"),
    [
        (b"fine", "text/plain", "fine"),
        (b"", "text/plain", "(status 200, no text)"),
        ("größer".encode(), "application/json", "größer"),
        ("größer".encode("latin-1"), "text/plain; charset=ISO-8859-1", "größer"),
        ("größer".encode("utf-16"), "text/plain; charset=utf-16", "größer"),
        ("größer".encode("latin-1"), "text/plain", "gr\ufffd\ufffder"),
        (b"\xef\xbb\xbffine", "application/json", "fine"),
        (b"<a/>", "application/atom+xml", "<a/>"),
        (b"<svg/>", "image/svg+xml", "<svg/>"),
        (b"plain", "application/vnd.unknown", "plain"),
        (b"plain", "", "plain"),
        (b"78da", "text/plain; charset=zlib", "78da"),
        (b"6869", "text/plain; charset=hex", "6869"),
        (b"+AGE-", "text/plain; charset=utf-7", "+AGE-"),
        (b"fine", "text/plain; charset=nonsense", "fine"),
    ],
)
def test_text_is_read_as_it_was_meant(run: Any, body: bytes, kind: str, text: str) -> None:
    shop = run(reply(200, body, **({"content_type": kind} if kind else {})))
    assert ask(tool(shop.url), shop) == text


@pytest.mark.parametrize(
    ("body", "kind", "told"),
    [
        (b"\x89PNG\r\n\x1a\n\0\0", "image/png", "answered with image/png, which is not text"),
        (b"\xff\xd8\xff\xe0", "image/jpeg", "answered with image/jpeg, which is not text"),
        (b"%PDF-1.7\xe2\xe3", "application/pdf", "answered with application/pdf, which is not text"),
        (b"PK\3\4\xff\xfe", "", "answered with something, which is not text"),
        (b"half\0binary", "text/plain", "answered with text/plain, which is not text"),
    ],
)
def test_what_is_not_text_is_refused(run: Any, body: bytes, kind: str, told: str) -> None:
    shop = run(reply(200, body, **({"content_type": kind} if kind else {})))
    assert told in refused(tool(shop.url), shop)


def test_a_failure_tells_its_beginning_without_control_characters(run: Any) -> None:
    said = "first\r\nsecond\x1b[31m\u202e\u200b\0" + "x" * 500
    shop = run(reply(404, said.replace("\0", ""), content_type="text/plain; charset=utf-8"))
    told = refused(tool(shop.url), shop)
    assert told == f"{shop.place} answered with status 404: first second [31m " + "x" * 182
    assert len(told.partition(": ")[2]) == 200


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (reply(500, b"\x89PNG\0"), "answered with status 500."),
        (reply(500, b"abc", content_encoding="br"), "answered with status 500."),
        (reply(500, gzip.compress(b"why"), content_encoding="gzip", content_type="text/plain"), "status 500: why"),
        (reply(302), "answered with status 302."),
        (reply(304), "answered with status 304."),
        (reply(500, "x" * 10_000_000, content_type="text/plain"), "answered with status 500: xxx"),
    ],
)
def test_a_failure_is_told_whatever_its_body_is(run: Any, answer: bytes, told: str) -> None:
    shop = run(answer)
    with pytest.raises(WorkbenchError) as error:
        ask(tool(shop.url), shop)
    assert told in str(error.value)


def test_a_switch_of_protocols_is_not_taken(run: Any) -> None:
    shop = run(b"HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n")
    with pytest.raises(Unsettled, match="does not speak HTTP"):
        ask(tool(shop.url, retries=0), shop)


def test_two_lengths_in_one_answer_are_not_taken(run: Any) -> None:
    shop = run(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nContent-Length: 400\r\n\r\nfine")
    with pytest.raises(Unsettled, match="does not speak HTTP"):
        ask(tool(shop.url, retries=0), shop)
