//! Which network addresses are public. Pure: no names, no sockets.
//!
//! The standard library's `is_global` is unstable and says nothing of the addresses that carry another one inside
//! (NAT64, 6to4, Teredo, ISATAP), so the special-purpose registries of IANA are written down here.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// A block of addresses, `10.0.0.0/8`; a bare address is a block of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cidr {
    base: IpAddr,
    prefix: u8,
}

impl Cidr {
    const fn v4(base: [u8; 4], prefix: u8) -> Self {
        Self { base: IpAddr::V4(Ipv4Addr::new(base[0], base[1], base[2], base[3])), prefix }
    }

    /// From the first three groups; none of the blocks below needs more, but for those written with [`Cidr::low`].
    const fn v6(a: u16, b: u16, c: u16, prefix: u8) -> Self {
        Self { base: IpAddr::V6(Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0)), prefix }
    }

    /// From the last three groups.
    const fn low(f: u16, g: u16, h: u16, prefix: u8) -> Self {
        Self { base: IpAddr::V6(Ipv6Addr::new(0, 0, 0, 0, 0, f, g, h)), prefix }
    }

    /// Whether the address is in the block; one of the other family never is.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.base, address) {
            (IpAddr::V4(base), IpAddr::V4(address)) => {
                let shift = 32 - u32::from(self.prefix);
                (u32::from(base) ^ u32::from(address)).checked_shr(shift).unwrap_or(0) == 0
            }
            (IpAddr::V6(base), IpAddr::V6(address)) => {
                let shift = 128 - u32::from(self.prefix);
                (u128::from(base) ^ u128::from(address)).checked_shr(shift).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

impl FromStr for Cidr {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no block of addresses; write it as \"10.0.0.0/8\" or \"fd00::/8\"");
        let (base, prefix) = text.split_once('/').map_or((text, None), |(base, prefix)| (base, Some(prefix)));
        let base: IpAddr = base.parse().map_err(|_| wrong())?;
        let most = if base.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.map_or(Ok(most), str::parse).map_err(|_| wrong())?;
        if prefix > most { Err(wrong()) } else { Ok(Self { base, prefix }) }
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.base, self.prefix)
    }
}

/// What is not public, and the word for it. The first that matches names it, so the narrow stand before the wide.
const SPECIAL: [(Cidr, &str); 45] = [
    (Cidr::v4([169, 254, 169, 254], 32), "metadata service"),
    (Cidr::v4([100, 100, 100, 200], 32), "metadata service"),
    (Cidr::v4([168, 63, 129, 16], 32), "metadata service"),
    (Cidr::v4([192, 0, 0, 192], 32), "metadata service"),
    (Cidr::v4([0, 0, 0, 0], 8), "unspecified"),
    (Cidr::v4([10, 0, 0, 0], 8), "local network"),
    (Cidr::v4([100, 64, 0, 0], 10), "carrier-grade NAT"),
    (Cidr::v4([127, 0, 0, 0], 8), "loopback"),
    (Cidr::v4([169, 254, 0, 0], 16), "link-local"),
    (Cidr::v4([172, 16, 0, 0], 12), "local network"),
    (Cidr::v4([192, 0, 0, 0], 24), "reserved"),
    (Cidr::v4([192, 0, 2, 0], 24), "documentation"),
    // Anycast, for services of the network itself: the registries say that it is reachable from everywhere, and who
    // stands nearest and answers may be a machine of this network.
    (Cidr::v4([192, 31, 196, 0], 24), "AS112"),
    (Cidr::v4([192, 52, 193, 0], 24), "multicast relay"),
    (Cidr::v4([192, 88, 99, 0], 24), "6to4 relay"),
    (Cidr::v4([192, 175, 48, 0], 24), "AS112"),
    (Cidr::v4([192, 168, 0, 0], 16), "local network"),
    (Cidr::v4([198, 18, 0, 0], 15), "benchmarking"),
    (Cidr::v4([198, 51, 100, 0], 24), "documentation"),
    (Cidr::v4([203, 0, 113, 0], 24), "documentation"),
    (Cidr::v4([224, 0, 0, 0], 4), "multicast"),
    (Cidr::v4([240, 0, 0, 0], 4), "reserved"),
    (Cidr::low(0, 0, 0, 128), "unspecified"),
    (Cidr::low(0, 0, 1, 128), "loopback"),
    (Cidr::low(0xffff, 0, 0, 96), "IPv4-mapped"),
    (Cidr::low(0, 0, 0, 96), "IPv4-compatible"),
    (Cidr::v6(0x64, 0xff9b, 1, 48), "NAT64"),
    (Cidr::v6(0x64, 0xff9b, 0, 96), "NAT64"),
    (Cidr::v6(0x100, 0, 0, 64), "discard"),
    (Cidr::v6(0x2001, 0, 0, 32), "Teredo"),
    (Cidr::v6(0x2001, 0, 0, 23), "reserved"),
    (Cidr::v6(0x2001, 0xdb8, 0, 32), "documentation"),
    (Cidr::v6(0x2002, 0, 0, 16), "6to4"),
    (Cidr::v6(0x2620, 0x4f, 0x8000, 48), "AS112"),
    (Cidr::v6(0x3fff, 0, 0, 20), "documentation"),
    (Cidr::v6(0xfd00, 0xec2, 0, 32), "metadata service"),
    (Cidr::v6(0xfd20, 0xce, 0, 32), "metadata service"),
    (Cidr::v6(0xfc00, 0, 0, 7), "local network"),
    (Cidr::v6(0xfe80, 0, 0, 10), "link-local"),
    (Cidr::v6(0xfec0, 0, 0, 10), "site-local"),
    (Cidr::v6(0xff00, 0, 0, 8), "multicast"),
    // Only 2000::/3 is handed out as public; these are the rest.
    (Cidr::v6(0, 0, 0, 3), "reserved"),
    (Cidr::v6(0x4000, 0, 0, 2), "reserved"),
    (Cidr::v6(0x8000, 0, 0, 2), "reserved"),
    (Cidr::v6(0xc000, 0, 0, 2), "reserved"),
];

/// The word for an address that is not public; `None` for one that is.
pub fn special(address: IpAddr) -> Option<&'static str> {
    let found = SPECIAL.iter().find(|(block, _)| block.contains(address)).map(|(_, word)| *word);
    match (found, address) {
        // Says what is inside, where that is the more telling.
        (Some("IPv4-mapped"), IpAddr::V6(v6)) => v6.to_ipv4_mapped().and_then(|v4| special(v4.into())).or(found),
        (None, IpAddr::V6(v6)) if is_isatap(v6) => Some("ISATAP"),
        _ => found,
    }
}

/// Whether a machine with a tunnel of RFC 5214 (6.1) sends what is for this address to the IPv4 address in its end. It is
/// marked in the interface, so no block holds it: any network may have such. The two bits left out are `u` and `g`.
fn is_isatap(address: Ipv6Addr) -> bool {
    let [.., high, low, _, _] = address.segments();
    high & !0x0300 == 0 && low == 0x5efe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn public_addresses_pass() {
        for address in ["8.8.8.8", "1.1.1.1", "172.32.0.1", "192.169.0.1", "100.128.0.1", "223.255.255.255", "11.0.0.1"]
        {
            assert_eq!(special(address.parse().unwrap()), None, "{address}");
        }
        for address in ["2606:4700:4700::1111", "2a00:1450:4001:81b::200e", "2001:4860:4860::8888", "3ffe::1"] {
            assert_eq!(special(address.parse().unwrap()), None, "{address}");
        }
    }

    #[test]
    fn all_others_have_a_word() {
        for (address, word) in [
            ("127.0.0.1", "loopback"),
            ("127.255.255.254", "loopback"),
            ("0.0.0.0", "unspecified"),
            ("0.1.2.3", "unspecified"),
            ("10.1.2.3", "local network"),
            ("172.16.0.1", "local network"),
            ("172.31.255.255", "local network"),
            ("192.168.1.1", "local network"),
            ("100.64.0.1", "carrier-grade NAT"),
            ("100.127.255.255", "carrier-grade NAT"),
            ("169.254.0.1", "link-local"),
            ("169.254.169.254", "metadata service"),
            ("100.100.100.200", "metadata service"),
            ("168.63.129.16", "metadata service"),
            ("192.0.0.192", "metadata service"),
            ("192.0.0.8", "reserved"),
            ("192.31.196.1", "AS112"),
            ("192.52.193.1", "multicast relay"),
            ("192.88.99.1", "6to4 relay"),
            ("192.175.48.1", "AS112"),
            ("2620:4f:8000::1", "AS112"),
            ("2600:1f00::5efe:7f00:1", "ISATAP"),
            ("2600:1f00::300:5efe:7f00:1", "ISATAP"),
            ("fe80::5efe:7f00:1", "link-local"),
            ("198.18.0.1", "benchmarking"),
            ("203.0.113.9", "documentation"),
            ("224.0.0.1", "multicast"),
            ("239.255.255.250", "multicast"),
            ("240.0.0.1", "reserved"),
            ("255.255.255.255", "reserved"),
            ("::", "unspecified"),
            ("::1", "loopback"),
            ("::ffff:127.0.0.1", "loopback"),
            ("::ffff:169.254.169.254", "metadata service"),
            ("::ffff:8.8.8.8", "IPv4-mapped"),
            ("::127.0.0.1", "IPv4-compatible"),
            ("64:ff9b::7f00:1", "NAT64"),
            ("64:ff9b:1::a00:1", "NAT64"),
            ("2002:7f00:1::", "6to4"),
            ("2001::1", "Teredo"),
            ("2001:0:4136:e378:8000:63bf:3fff:fdd2", "Teredo"),
            ("2001:db8::1", "documentation"),
            ("fc00::1", "local network"),
            ("fd00:ec2::254", "metadata service"),
            ("fe80::1", "link-local"),
            ("fec0::1", "site-local"),
            ("ff02::1", "multicast"),
            ("100::1", "discard"),
            ("::ffff:0:127.0.0.1", "reserved"),
            ("5f00::1", "reserved"),
            ("4000::1", "reserved"),
            ("9000::1", "reserved"),
            ("e000::1", "reserved"),
        ] {
            assert_eq!(special(address.parse().unwrap()), Some(word), "{address}");
        }
    }

    #[test]
    fn blocks_are_read_and_hold_what_they_say() {
        let block: Cidr = "127.0.0.1/8".parse().unwrap();
        assert!(block.contains("127.9.9.9".parse().unwrap()) && !block.contains("128.0.0.1".parse().unwrap()));
        assert!(!block.contains("::1".parse().unwrap()));
        let one: Cidr = "::1".parse().unwrap();
        assert!(one.contains("::1".parse().unwrap()) && !one.contains("::2".parse().unwrap()));
        let all: Cidr = "0.0.0.0/0".parse().unwrap();
        assert!(all.contains("255.255.255.255".parse().unwrap()));
        for wrong in ["", "10.0.0.0/33", "::/129", "localhost", "10.0.0.0/", "10.0.0.0/-1", "10/8"] {
            assert!(wrong.parse::<Cidr>().is_err(), "{wrong}");
        }
    }
}
