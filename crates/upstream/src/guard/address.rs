//! What kind of network an IP address belongs to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What the guard has to know about an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// Never connected to.
    Forbidden(&'static str),
    /// Connected to where the policy allows private addresses.
    Private(&'static str),
    /// Anything else.
    Public,
}

const METADATA: Class = Class::Forbidden("a cloud-metadata service");

/// Metadata services outside the link-local range: Alibaba, Azure, Oracle.
const METADATA_V4: [Ipv4Addr; 3] =
    [Ipv4Addr::new(100, 100, 100, 200), Ipv4Addr::new(168, 63, 129, 16), Ipv4Addr::new(192, 0, 0, 192)];

/// Metadata services: AWS (instance, containers), Google.
const METADATA_V6: [Ipv6Addr; 3] = [
    Ipv6Addr::new(0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x254),
    Ipv6Addr::new(0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x23),
    Ipv6Addr::new(0xfd20, 0x00ce, 0, 0, 0, 0, 0, 0x254),
];

pub(super) fn classify(ip: IpAddr) -> Class {
    match ip {
        IpAddr::V4(ip) => classify_v4(ip),
        IpAddr::V6(ip) => classify_v6(ip),
    }
}

fn classify_v4(ip: Ipv4Addr) -> Class {
    let [a, b, c, _] = ip.octets();
    if METADATA_V4.contains(&ip) {
        return METADATA;
    }
    match (a, b, c) {
        (0, ..) => Class::Forbidden("unspecified"),
        (169, 254, _) => Class::Forbidden("link-local"),
        (224..=239, ..) => Class::Forbidden("multicast"),
        (255, 255, 255) if ip.is_broadcast() => Class::Forbidden("broadcast"),
        (127, ..) => Class::Private("loopback"),
        (10, ..) | (172, 16..=31, _) | (192, 168, _) => Class::Private("private"),
        (100, 64..=127, _) => Class::Private("carrier-grade NAT"),
        (192, 0, 0 | 2) | (198, 18 | 19, _) | (198, 51, 100) | (203, 0, 113) | (240..=255, ..) => {
            Class::Private("reserved")
        }
        _ => Class::Public,
    }
}

fn classify_v6(ip: Ipv6Addr) -> Class {
    if METADATA_V6.contains(&ip) {
        return METADATA;
    }
    if ip.is_unspecified() {
        return Class::Forbidden("unspecified");
    }
    if ip.is_loopback() {
        return Class::Private("loopback");
    }
    if let Some(embedded) = embedded_v4(ip) {
        return classify_v4(embedded);
    }
    match ip.segments() {
        [0xff00..=0xffff, ..] => Class::Forbidden("multicast"),
        [0xfe80..=0xfebf, ..] => Class::Forbidden("link-local"),
        [0xfc00..=0xfdff | 0xfec0..=0xfeff, ..] => Class::Private("private"),
        [0x2001, 0x0db8, ..] | [0x0100, 0, 0, 0, ..] => Class::Private("reserved"),
        _ => Class::Public,
    }
}

/// The IPv4 address that an IPv6 address leads to: mapped, compatible, NAT64, 6to4 and Teredo forms.
fn embedded_v4(ip: Ipv6Addr) -> Option<Ipv4Addr> {
    let join = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    match ip.segments() {
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low]
        | [0, 0, 0, 0, 0xffff, 0, high, low]
        | [0x0064, 0xff9b, 0, 0, 0, 0, high, low]
        | [0x0064, 0xff9b, 1, _, _, _, high, low]
        | [0x2002, high, low, ..] => Some(join(high, low)),
        [0x2001, 0, _, _, _, _, high, low] => Some(join(!high, !low)),
        _ => None,
    }
}
