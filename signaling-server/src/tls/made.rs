//! A certificate made for this machine, kept between starts.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    path::Path,
    time::{Duration, SystemTime},
};

use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose};
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};

use super::{Pair, belong_together, files};
use crate::error::StartError;

const CHAIN_FILE: &str = "made.pem";
const KEY_FILE: &str = "made.key";

const DAY: Duration = Duration::from_secs(24 * 3600);
/// Some systems refuse certificates that live longer than 398 days.
const LIFETIME: Duration = DAY.saturating_mul(397);
/// Clocks of phones may be behind.
const BACKDATED: Duration = DAY;
/// Remade when less is left.
const LEFT: Duration = DAY.saturating_mul(30);

/// The certificate in `folder`, if it is good for all of `names` and a while; otherwise a new one, kept there.
///
/// # Errors
/// `certificate.not_kept`, `certificate.not_made`.
pub fn kept_or_made(folder: &Path, names: &[String], now: SystemTime) -> Result<Pair, StartError> {
    let (chain, key) = (folder.join(CHAIN_FILE), folder.join(KEY_FILE));
    // Whatever is wrong with the kept one, a new one mends it.
    if let Ok(kept) = files::read(&chain, &key)
        && is_good(&kept, names, now)
    {
        return Ok(kept);
    }
    let (certificate, private) =
        make(names, now).map_err(|error| StartError::CertificateNotMade {
            detail: error.to_string(),
        })?;
    let keep = || {
        private_folder(folder)?;
        replace(&key, &private)?;
        replace(&chain, &certificate)
    };
    keep().map_err(|error| StartError::CertificateNotKept {
        folder: folder.to_owned(),
        detail: error.to_string(),
    })?;
    files::read(&chain, &key)
}

fn make(names: &[String], now: SystemTime) -> Result<(String, String), rcgen::Error> {
    let key = KeyPair::generate()?;
    let mut certificate = CertificateParams::new(names)?;
    certificate
        .distinguished_name
        .push(DnType::CommonName, "LinguaLinked on this machine");
    certificate.is_ca = IsCa::ExplicitNoCa;
    certificate.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    certificate.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    certificate.not_before = (now - BACKDATED).into();
    certificate.not_after = (now + LIFETIME - BACKDATED).into();
    Ok((certificate.self_signed(&key)?.pem(), key.serialize_pem()))
}

fn is_good(kept: &Pair, names: &[String], now: SystemTime) -> bool {
    let [certificate] = kept.0.as_slice() else {
        return false;
    };
    belong_together(kept)
        && covers(certificate, names).is_some()
        && lives(certificate, now).is_some()
}

fn covers(certificate: &CertificateDer, names: &[String]) -> Option<()> {
    let certificate = EndEntityCert::try_from(certificate).ok()?;
    names.iter().try_for_each(|name| {
        let name = ServerName::try_from(name.as_str()).ok()?;
        certificate.verify_is_valid_for_subject_name(&name).ok()
    })
}

/// It was signed by itself, so it is its own anchor.
fn lives(certificate: &CertificateDer, now: SystemTime) -> Option<()> {
    let anchors = [anchor_from_trusted_cert(certificate).ok()?];
    let later = (now + LEFT).duration_since(SystemTime::UNIX_EPOCH).ok()?;
    let certificate = EndEntityCert::try_from(certificate).ok()?;
    let path = certificate.verify_for_usage(
        webpki::ALL_VERIFICATION_ALGS,
        &anchors,
        &[],
        UnixTime::since_unix_epoch(later),
        KeyUsage::server_auth(),
        None,
        None,
    );
    path.ok().map(drop)
}

fn private_folder(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true).create(folder)
}

/// Whole or not at all, readable by its owner only.
fn replace(file: &Path, contents: &str) -> io::Result<()> {
    let part = file.with_added_extension("part");
    let _ = fs::remove_file(&part);
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
        .write(true)
        .create_new(true)
        .open(&part)?
        .write_all(contents.as_bytes())?;
    fs::rename(&part, file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn certificate(folder: &Path, names: &[String], now: SystemTime) -> CertificateDer<'static> {
        kept_or_made(folder, names, now).unwrap().0.remove(0)
    }

    #[test]
    fn it_is_kept_until_names_change_or_it_nearly_expires() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("certificates");
        let now = SystemTime::now();
        let here = names(&[
            "localhost",
            "127.0.0.1",
            "::1",
            "box",
            "box.local",
            "192.168.0.5",
            "2001:db8::5",
        ]);
        let first = certificate(&folder, &here, now);
        assert_eq!(certificate(&folder, &here, now), first);
        assert_eq!(
            certificate(&folder, &here[..3], now),
            first,
            "fewer names need no other"
        );
        assert_eq!(certificate(&folder, &here, now + 360 * DAY), first);
        let second = certificate(&folder, &here, now + 367 * DAY);
        assert_ne!(second, first, "it has less than 30 days left");
        let moved = names(&["localhost", "192.168.0.6"]);
        let third = certificate(&folder, &moved, now + 367 * DAY);
        assert_ne!(third, second, "it lacks an address");
        assert_eq!(certificate(&folder, &moved, now + 367 * DAY), third);
    }

    #[test]
    fn a_damaged_one_is_made_anew() {
        let folder = tempfile::tempdir().unwrap();
        let here = names(&["localhost"]);
        let now = SystemTime::now();
        let mut last = certificate(folder.path(), &here, now);
        let other = tempfile::tempdir().unwrap();
        certificate(other.path(), &here, now);
        let foreign = fs::read(other.path().join(KEY_FILE)).unwrap();
        for (file, contents) in [
            (CHAIN_FILE, &b"x"[..]),
            (KEY_FILE, b""),
            (KEY_FILE, &foreign),
        ] {
            fs::write(folder.path().join(file), contents).unwrap();
            let next = certificate(folder.path(), &here, now);
            assert_ne!(next, last, "{file}");
            last = next;
        }
    }

    #[cfg(unix)]
    #[test]
    fn the_key_is_for_its_owner_only() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("certificates");
        certificate(&folder, &names(&["localhost"]), SystemTime::now());
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&folder.join(KEY_FILE)), 0o600);
        assert_eq!(mode(&folder), 0o700);
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        let error = kept_or_made(&file, &names(&["localhost"]), SystemTime::now()).unwrap_err();
        assert_eq!(error.code(), "certificate.not_kept");
    }
}
