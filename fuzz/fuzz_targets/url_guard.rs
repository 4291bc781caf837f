//! Any text as an address, and any table of what may be fetched: nobody panics, and no address whose host is a number
//! that stands for a private machine is let through, unless the table says so. What is private is said here again, in
//! other words than the guard's.
//!
//! The first line is the address, the second one that it redirects to; a further line is an entry of the table, by its
//! first letter: `s` a scheme, `h` a host, `c` a block of addresses.

#![no_main]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use docmill_net::{Allow, Guard};
use libfuzzer_sys::fuzz_target;
use url::Url;

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    let mut lines = text.split('\n');
    let (first, second) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    let mut allow = Allow::default();
    for line in lines {
        let mut letters = line.chars();
        let list = match letters.next() {
            Some('s') => &mut allow.schemes,
            Some('h') => &mut allow.hosts,
            Some('c') => &mut allow.cidrs,
            _ => continue,
        };
        list.push(letters.as_str().to_owned());
    }
    let mut tables = vec![Allow::default()];
    tables.push(allow);
    let url = Url::parse(first).ok();
    let next = url.as_ref().and_then(|url| url.join(second).ok());
    for table in &tables {
        let Ok(guard) = Guard::new(table, "allow.") else { continue };
        for url in url.iter().chain(&next) {
            check(&guard, table, url);
        }
        _ = (guard.bucket(first), guard.scheme(first));
    }
});

fn check(guard: &Guard, table: &Allow, url: &Url) {
    let host = url.host_str().unwrap_or_default();
    let plain = host.trim_start_matches('[').trim_end_matches(']').trim_end_matches('.');
    let address: Option<IpAddr> = plain.parse().ok();
    let is_forbidden = address.is_some_and(|address| is_private(address) && !is_allowed(address, &table.cidrs));
    let fetched = guard.check(url).is_ok();
    assert!(!(fetched && is_forbidden), "{url} is fetched");
    assert!(!(guard.store(url).is_ok() && is_forbidden), "{url} is dialled");
    if fetched {
        assert!(matches!(url.scheme(), "http" | "https"), "{url} is no address of the web");
        assert!(table.schemes.iter().any(|scheme| scheme.eq_ignore_ascii_case(url.scheme())), "{url}");
        assert!(table.hosts.is_empty() || table.hosts.iter().any(|pattern| matches(pattern, plain)), "{url}");
    }
    if let Some(address) = address {
        let refused = guard.address(address, None).is_err();
        assert!(refused || !is_private(address) || is_allowed(address, &table.cidrs), "{address} is dialled");
    }
}

/// Whether a pattern of the table means a host, by way of the addresses that they make.
fn matches(pattern: &str, host: &str) -> bool {
    let (is_below, name) = pattern.strip_prefix("*.").map_or((false, pattern), |name| (true, name));
    let bracketed = if name.parse::<Ipv6Addr>().is_ok() { format!("[{name}]") } else { name.to_owned() };
    let Ok(url) = Url::parse(&format!("http://{bracketed}/")) else { return false };
    let name = url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']').trim_end_matches('.');
    host == name && !is_below || is_below && host.strip_suffix(name).is_some_and(|rest| rest.ends_with('.'))
}

fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_private_v4(v4),
        IpAddr::V6(v6) => is_private_v6(v6),
    }
}

fn is_private_v4(address: Ipv4Addr) -> bool {
    let [first, second, ..] = address.octets();
    address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_unspecified()
        || address.is_multicast()
        || address.is_broadcast()
        || address.is_documentation()
        || first == 0
        || (first == 100 && second / 64 == 1)
}

fn is_private_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    let v4 = |high: u16, low: u16| Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low));
    let carried = match segments {
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => Some(v4(high, low)),
        _ => address.to_ipv4_mapped().or_else(|| address.to_ipv4()),
    };
    address.is_loopback()
        || address.is_unspecified()
        || address.is_multicast()
        || address.is_unique_local()
        || address.is_unicast_link_local()
        || carried.is_some_and(is_private_v4)
}

/// Whether one of the blocks holds the address, or what is mapped in it.
fn is_allowed(address: IpAddr, blocks: &[String]) -> bool {
    let mapped = match address {
        IpAddr::V6(v6) => v6.to_ipv4_mapped().map(IpAddr::V4),
        IpAddr::V4(_) => None,
    };
    blocks.iter().any(|block| holds(block, address) || mapped.is_some_and(|mapped| holds(block, mapped)))
}

fn holds(block: &str, address: IpAddr) -> bool {
    let (base, prefix) = block.split_once('/').map_or((block, None), |(base, prefix)| (base, prefix.parse().ok()));
    let bits = |address: IpAddr| match address {
        IpAddr::V4(v4) => format!("{:032b}", v4.to_bits()),
        IpAddr::V6(v6) => format!("{:0128b}", v6.to_bits()),
    };
    let Ok(base) = base.parse::<IpAddr>() else { return false };
    let prefix: usize = prefix.unwrap_or(128);
    base.is_ipv4() == address.is_ipv4()
        && bits(base).chars().zip(bits(address).chars()).take(prefix).all(|(a, b)| a == b)
}
