"""Addresses judged, against the standard library's own registry."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiban.office.guards.addresses import why_forbidden

ADDRESSES = st.ip_addresses(v=4) | st.ip_addresses(v=6)


@pytest.mark.parametrize(
    "text",
    ["127.0.0.1", "127.9.9.9", "10.0.0.1", "172.31.255.255", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0",
     "224.0.0.1", "255.255.255.255", "240.0.0.1", "192.0.0.192", "198.18.0.1", "::", "::1", "::ffff:127.0.0.1",
     "::ffff:a9fe:a9fe", "::127.0.0.1", "64:ff9b::a9fe:a9fe", "64:ff9b::10.0.0.1", "64:ff9b:1::1", "2002:7f00:1::",
     "2001:0:4136:e378::", "fe80::1", "fe80::1%eth0", "fec0::1", "fc00::1", "fd00:ec2::254", "ff02::1", "2001:db8::1",
     "100::1", "4000::1", "5f00::1"],
)  # fmt: skip
def test_forbidden(text: str) -> None:
    assert why_forbidden(ipaddress.ip_address(text))


@pytest.mark.parametrize(
    "text", ["8.8.8.8", "203.180.1.1", "2606:4700::1111", "2001:240::1", "::ffff:8.8.8.8", "64:ff9b::808:808"]
)
def test_public(text: str) -> None:
    assert why_forbidden(ipaddress.ip_address(text)) is None


@pytest.mark.parametrize("text", ["127.0.0.1", "::1", "10.1.2.3", "fd12::1", "100.64.0.1", "::ffff:10.0.0.1"])
def test_internal_ones_where_the_operator_allows(text: str) -> None:
    assert why_forbidden(ipaddress.ip_address(text), allow_private=True) is None


@pytest.mark.parametrize(
    "text", ["169.254.169.254", "fe80::1", "0.0.0.0", "224.0.0.1", "fd00:ec2::254", "100.100.100.200"]
)
def test_never_even_there(text: str) -> None:
    assert why_forbidden(ipaddress.ip_address(text), allow_private=True)


@given(ADDRESSES)
def test_nothing_is_public_that_the_standard_library_calls_private(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    if why_forbidden(address) is None:
        inner = address
        if isinstance(address, ipaddress.IPv6Address):
            inner = address.ipv4_mapped or address
        assert inner.is_global
        assert not inner.is_multicast
