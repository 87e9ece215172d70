//! The one interface of a place.

use std::{fs::File, net::Ipv4Addr, path::Path, thread};

use nix::sched::{CloneFlags, setns};
use tun_rs::{DeviceBuilder, SyncDevice};

use crate::{conditions::Place, error::LabError, relay::host_byte};

const MTU: u16 = 1500;

/// 10.77.0.x.
pub fn address(place: Place) -> Ipv4Addr {
    Ipv4Addr::new(10, 77, 0, host_byte(place))
}

/// Makes it. A thread that enters a namespace stays there, so it is one of its own.
///
/// # Errors
/// No namespace, or no /dev/net/tun.
pub fn open(place: Place, namespace: &Path) -> Result<SyncDevice, LabError> {
    let namespace = File::open(namespace).map_err(LabError::of("opening a namespace"))?;
    let inside = move || {
        setns(&namespace, CloneFlags::CLONE_NEWNET)
            .map_err(LabError::of("entering a namespace"))?;
        DeviceBuilder::new()
            .name("eth0")
            .ipv4(address(place), 24, None)
            .mtu(MTU)
            .build_sync()
            .map_err(LabError::of("making a network interface"))
    };
    let made = thread::spawn(inside).join();
    made.unwrap_or_else(|_| {
        Err(LabError::of("making a network interface")(
            "its thread ended",
        ))
    })
}
