//! How other machines may call this one.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};

/// Nothing is sent there; the system only says which of our addresses would be used (RFC 5737).
const ELSEWHERE: (Ipv4Addr, u16) = (Ipv4Addr::new(192, 0, 2, 1), 9);

/// Addresses and name of this machine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Machine {
    /// Those that other machines may reach, the likeliest first.
    pub addresses: Vec<IpAddr>,
    /// Its own idea of its name.
    pub host_name: Option<String>,
}

impl Machine {
    /// As it is now.
    pub fn look() -> Self {
        let mut addresses: Vec<_> = if_addrs::get_if_addrs()
            .unwrap_or_default()
            .into_iter()
            .map(|interface| interface.ip())
            .filter(is_reachable)
            .collect();
        let first = likeliest_address();
        // IPv4 before IPv6: shorter links make codes that are easier to scan.
        addresses.sort_by_key(|address| (Some(*address) != first, address.is_ipv6(), *address));
        addresses.dedup();
        let host_name = hostname::get()
            .ok()
            .and_then(|name| name.into_string().ok());
        Self {
            addresses,
            host_name: host_name.filter(|name| is_host_name(name)),
        }
    }

    /// How a browser may reach what listens at `listener`: the best way first.
    pub fn ways_to(&self, listener: SocketAddr) -> Vec<SocketAddr> {
        if !listener.ip().is_unspecified() {
            return vec![listener];
        }
        let heard = |address: &&IpAddr| address.is_ipv4() || listener.is_ipv6();
        let here = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let addresses = self.addresses.iter().filter(heard).chain([&here]);
        addresses
            .map(|address| SocketAddr::new(*address, listener.port()))
            .collect()
    }

    /// Everything a browser on the local network may have in its address bar.
    pub fn names(&self) -> Vec<String> {
        let here = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
        let addresses = self.addresses.iter().map(IpAddr::to_string);
        let own = self.host_name.iter().flat_map(|name| {
            let multicast = (!name.contains('.')).then(|| format!("{name}.local"));
            [Some(name.clone()), multicast].into_iter().flatten()
        });
        let mut names: Vec<_> = here.into_iter().chain(own).chain(addresses).collect();
        let mut known = std::collections::BTreeSet::new();
        names.retain(|name| known.insert(name.clone()));
        names
    }
}

/// Link-local IPv6 addresses need a zone, which addresses of pages have no place for.
fn is_reachable(address: &IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => !address.is_loopback() && !address.is_unspecified(),
        IpAddr::V6(address) => {
            !address.is_loopback() && !address.is_unspecified() && !address.is_unicast_link_local()
        }
    }
}

fn likeliest_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    socket.connect(ELSEWHERE).ok()?;
    Some(socket.local_addr().ok()?.ip())
}

/// As RFC 1123 has it: a certificate takes nothing else.
fn is_host_name(name: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    name.len() <= 240 && name.split('.').all(label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_is_called_by_each_name_once() {
        let machine = Machine {
            addresses: vec![[192, 168, 0, 5].into(), [10, 0, 0, 1].into()],
            host_name: Some("box".to_owned()),
        };
        let names = [
            "localhost",
            "127.0.0.1",
            "::1",
            "box",
            "box.local",
            "192.168.0.5",
            "10.0.0.1",
        ];
        assert_eq!(machine.names(), names);
        let named = |name: &str| {
            Machine {
                addresses: Vec::new(),
                host_name: Some(name.to_owned()),
            }
            .names()
        };
        assert_eq!(named("box.example.org")[3..], ["box.example.org"]);
        assert_eq!(named("localhost")[3..], ["localhost.local"]);
    }

    #[test]
    fn names_no_certificate_takes_are_left_out() {
        for name in [
            "",
            "my box",
            "-a",
            "a-",
            "a..b",
            "b\u{f6}x",
            &"a".repeat(64),
        ] {
            assert!(!is_host_name(name), "{name}");
        }
        assert!(is_host_name("Box-1.local"));
    }

    #[test]
    fn a_listener_is_reached_by_every_address_it_hears() {
        let machine = Machine {
            addresses: vec![
                [192, 168, 0, 5].into(),
                IpAddr::V6(std::net::Ipv6Addr::from(1 << 64)),
            ],
            host_name: None,
        };
        let ways = |listener: &str| {
            let ways = machine.ways_to(listener.parse().unwrap());
            ways.iter().map(SocketAddr::to_string).collect::<Vec<_>>()
        };
        assert_eq!(ways("0.0.0.0:1"), ["192.168.0.5:1", "127.0.0.1:1"]);
        assert_eq!(
            ways("[::]:1"),
            ["192.168.0.5:1", "[0:0:0:1::]:1", "127.0.0.1:1"]
        );
        assert_eq!(ways("10.0.0.9:1"), ["10.0.0.9:1"]);
    }

    #[test]
    fn links_do_not_lead_to_this_machine_only() {
        assert!(!Machine::look().addresses.iter().any(IpAddr::is_loopback));
    }
}
