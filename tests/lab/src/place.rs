//! Where a phone, or the server, lives: a network namespace, and a wrapper that starts programs there.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use crate::error::LabError;

/// Gone when it is dropped.
pub struct Home {
    name: String,
}

impl Home {
    /// With a name that no other lab has.
    ///
    /// # Errors
    /// The system refuses.
    pub fn new(name: String) -> Result<Self, LabError> {
        ip(&["netns", "add", &name])?;
        Ok(Self { name })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its file.
    pub fn namespace(&self) -> PathBuf {
        Path::new("/var/run/netns").join(&self.name)
    }

    /// Its interface leads everywhere. WebRTC wants a default route, though nothing is behind it.
    ///
    /// # Errors
    /// The system refuses.
    pub fn lead_out(&self) -> Result<(), LabError> {
        let name = self.name.as_str();
        ip(&["-n", name, "link", "set", "lo", "up"])?;
        ip(&["-n", name, "link", "set", "eth0", "multicast", "on", "up"])?;
        ip(&["-n", name, "route", "add", "default", "dev", "eth0"])
    }

    /// Writes a script that starts `program` here.
    ///
    /// # Errors
    /// No space.
    pub fn wrap(&self, program: &str, file: &Path) -> Result<(), LabError> {
        let name = &self.name;
        let script = format!("#!/bin/sh\nexec ip netns exec {name} {program} \"$@\"\n");
        fs::write(file, script)
            .and_then(|()| fs::set_permissions(file, fs::Permissions::from_mode(0o755)))
            .map_err(LabError::of("writing a wrapper"))
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        // What is left is told by the next lab, which finds the name taken.
        let _ = ip(&["netns", "del", &self.name]);
    }
}

fn ip(arguments: &[&str]) -> Result<(), LabError> {
    let what = || format!("ip {}", arguments.join(" "));
    let done = Command::new("ip").args(arguments).output();
    let done = done.map_err(LabError::of(what()))?;
    match done.status.success() {
        true => Ok(()),
        false => Err(LabError::of(what())(String::from_utf8_lossy(&done.stderr))),
    }
}
