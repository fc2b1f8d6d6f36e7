"""Which IP addresses the office may be sent to by an address that somebody typed.

From the IANA registries of special-purpose addresses (RFC 6890 and its updates). Addresses that carry an IPv4 address
inside are judged by it, or refused where nothing of today uses them.
"""

from __future__ import annotations

import ipaddress
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

# A programme inside one network may allow these.
_INTERNAL = tuple(
    ipaddress.ip_network(network)
    for network in (
        "10.0.0.0/8",  # RFC 1918
        "172.16.0.0/12",
        "192.168.0.0/16",
        "100.64.0.0/10",  # shared by a provider's customers, RFC 6598
        "127.0.0.0/8",  # this machine
        "::1/128",
        "fc00::/7",  # unique local, RFC 4193
    )
)
# Cloud metadata that lies in a range above.
_METADATA = tuple(
    ipaddress.ip_network(network)
    for network in ("100.100.100.200/32", "192.0.0.192/32", "fd00:ec2::/32", "fd20:ce::/32")
)
_NEVER = tuple(
    ipaddress.ip_network(network)
    for network in (
        "0.0.0.0/8",  # "this network"; 0.0.0.0 reaches the machine itself
        "169.254.0.0/16",  # link-local, and the metadata of most clouds
        "192.0.0.0/24",  # protocol assignments
        "192.0.2.0/24",  # documentation
        "192.31.196.0/24",  # AS112
        "192.52.193.0/24",  # AMT
        "192.88.99.0/24",  # 6to4 relays
        "192.175.48.0/24",  # AS112
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and broadcast
        "2001::/23",  # protocol assignments, Teredo and ORCHID among them
        "2001:db8::/32",
        "2002::/16",  # 6to4
        "2620:4f:8000::/48",
        "3fff::/20",
    )
)
_GLOBAL_IPV6 = ipaddress.ip_network("2000::/3")
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_MAPPED = ipaddress.ip_network("::ffff:0:0/96")


def why_forbidden(address: Address, *, allow_private: bool = False) -> str | None:
    """The reason for which nothing may be sent to `address`, or None.

    Args:
        allow_private: internal addresses and this machine are allowed; link-local, metadata and multicast never are.
    """
    if isinstance(address, IPv6Address):
        if address.scope_id is not None:
            return "a link-local address"
        if address in _MAPPED or address in _NAT64:
            return why_forbidden(IPv4Address(int(address) & 0xFFFF_FFFF), allow_private=allow_private)
    if any(address in network for network in _METADATA):
        return "the address of a cloud's metadata"
    if any(address in network for network in _INTERNAL):
        return None if allow_private else "an internal address"
    if any(address in network for network in _NEVER):
        return "an address that is not public"
    if isinstance(address, IPv6Address) and address not in _GLOBAL_IPV6:
        return "an address that is not public"
    return None
