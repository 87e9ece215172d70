//! Builds the lab, runs the command in it, and takes it down.

use std::{
    env, fs, io,
    path::Path,
    process::{Command, ExitCode, id},
    sync::Arc,
    thread,
    time::Instant,
};

use nix::unistd::Uid;
use tun_rs::SyncDevice;

use crate::{
    Options,
    conditions::{Place, Ways},
    control,
    error::LabError,
    place::Home,
    port,
    relay::Relay,
};

const LARGEST_PACKET: usize = 65_536;

/// Runs the command, and ends as it does.
///
/// # Errors
/// The lab could not be built, or the command could not be started.
pub fn run(options: &Options) -> Result<ExitCode, LabError> {
    if !Uid::effective().is_root() {
        return Err(LabError::NotRoot);
    }
    // The command ends of it; then the lab is taken down.
    ctrlc::set_handler(|| {}).map_err(LabError::of("waiting for the command"))?;
    let folder = env::temp_dir().join(format!("lingualinked-lab-{}", id()));
    fs::create_dir(&folder).map_err(LabError::of("a folder for the lab"))?;
    let code = inside(options, &folder);
    // It is small, and temporary.
    let _ = fs::remove_dir_all(&folder);
    code
}

fn inside(options: &Options, folder: &Path) -> Result<ExitCode, LabError> {
    let places = options.phones.saturating_add(1);
    let relay = Arc::new(Relay::new(places, Ways::new(options.conditions)));
    let mut homes = Vec::new();
    let mut ports = Vec::new();
    for place in 0..places {
        let home = Home::new(format!("lab-{}-{place}", id()))?;
        ports.push(Arc::new(port::open(place, &home.namespace())?));
        home.lead_out()?;
        home.wrap(&options.program, &folder.join(place.to_string()))?;
        homes.push(home);
    }
    for (place, port) in (0..).zip(&ports) {
        read(place, Arc::clone(port), Arc::clone(&relay));
    }
    deliver(ports, Arc::clone(&relay));
    let orders = folder.join("orders");
    control::listen(&orders, relay)?;

    let server = homes.first().map(Home::name).unwrap_or_default();
    let status = Command::new("ip")
        .args(["netns", "exec", server])
        .args(&options.command)
        .env("LINGUALINKED_LAB", folder)
        .env("LINGUALINKED_LAB_ADDRESS", port::address(0).to_string())
        .status()
        .map_err(LabError::of("starting the command"))?;
    Ok(match status.success() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

/// What a place sends goes to the relay. Its interface lives as long as the lab.
fn read(place: Place, port: Arc<SyncDevice>, relay: Arc<Relay>) {
    thread::spawn(move || -> io::Result<()> {
        let mut bytes = vec![0; LARGEST_PACKET];
        loop {
            let length = port.recv(&mut bytes)?;
            relay.send(
                place,
                bytes.get(..length).unwrap_or_default(),
                Instant::now(),
            );
        }
    });
}

fn deliver(ports: Vec<Arc<SyncDevice>>, relay: Arc<Relay>) {
    thread::spawn(move || {
        loop {
            let (to, bytes) = relay.next();
            if let Some(port) = ports.get(usize::from(to)) {
                // An interface that is full loses packets, as in the world.
                let _ = port.send(&bytes);
            }
        }
    });
}
