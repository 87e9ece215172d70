//! Where a phone, or the server, lives: a network namespace, a share of a processor, and a wrapper that starts programs there.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use crate::error::LabError;

const GROUPS: &str = "/sys/fs/cgroup/cpu";
/// Short against a token, so that a share looks like a slower processor.
const PERIOD_US: u32 = 10_000;

/// Gone when it is dropped.
pub struct Home {
    name: String,
    group: Option<PathBuf>,
}

impl Home {
    /// With a name that no other lab has.
    ///
    /// # Errors
    /// The system refuses.
    pub fn new(name: String, cpu_percent: Option<u32>) -> Result<Self, LabError> {
        ip(&["netns", "add", &name])?;
        let mut home = Self { name, group: None };
        if let Some(percent) = cpu_percent {
            home.limit(percent)?;
        }
        Ok(home)
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

    fn limit(&mut self, percent: u32) -> Result<(), LabError> {
        let group = Path::new(GROUPS).join(&self.name);
        fs::create_dir(&group).map_err(LabError::of("a share of a processor (cgroup v1)"))?;
        self.group = Some(group.clone());
        for (file, value) in [
            ("cpu.cfs_period_us", PERIOD_US),
            ("cpu.cfs_quota_us", PERIOD_US / 100 * percent),
        ] {
            fs::write(group.join(file), value.to_string())
                .map_err(LabError::of("a share of a processor"))?;
        }
        Ok(())
    }

    /// Writes a script that starts `program` here.
    ///
    /// # Errors
    /// No space.
    pub fn wrap(&self, program: &str, file: &Path) -> Result<(), LabError> {
        let join = self
            .group
            .as_ref()
            .map(|group| format!("echo $$ > {}/cgroup.procs\n", group.display()))
            .unwrap_or_default();
        let name = &self.name;
        let script = format!("#!/bin/sh\n{join}exec ip netns exec {name} {program} \"$@\"\n");
        fs::write(file, script)
            .and_then(|()| fs::set_permissions(file, fs::Permissions::from_mode(0o755)))
            .map_err(LabError::of("writing a wrapper"))
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        // What is left is told by the next lab, which finds the name taken.
        let _ = ip(&["netns", "del", &self.name]);
        if let Some(group) = &self.group {
            let _ = fs::remove_dir(group);
        }
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
