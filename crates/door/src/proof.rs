//! Statements about a connection, and their proofs.

use ed25519_dalek::{Signature, Signer, VerifyingKey};
use hmac::{Hmac, KeyInit, Mac, digest::block_api::Block};
use plan::MemberId;
use proto::PROTOCOL;
use proto::handshake::{HostProof, Proof, Statement};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use crate::error::DoorError;
use crate::keys::{Credentials, HostKeys, KeyHash, Secret};

/// What is proven by whom: no proof fits in another place.
const MAC_LABEL: &[u8; 24] = b"lingualinked door mac   ";
const SIGNATURE_LABEL: &[u8; 24] = b"lingualinked door host  ";

/// The proof of `sender` that it knows the room's secret and sees `statement`.
pub fn prove(credentials: &Credentials, sender: MemberId, statement: Statement) -> Proof {
    Proof {
        statement,
        mac: mac(credentials.secret(), sender, &statement),
        host: match credentials {
            Credentials::Host(keys) => Some(sign(keys, sender, &statement)),
            Credentials::Guest { .. } => None,
        },
    }
}

/// Checks what `sender` sent against what this end sees.
pub fn check(
    credentials: &Credentials,
    sender: MemberId,
    seen: &Statement,
    proof: &Proof,
) -> Result<(), DoorError> {
    let stated = &proof.statement;
    match (sender, &proof.host) {
        (MemberId::HOST, Some(host)) => {
            check_host(credentials.host_hash(), sender, stated, host)?;
        }
        (MemberId::HOST, None) => return Err(DoorError::WrongHost),
        (_, Some(_)) => return Err(DoorError::OutOfTurn),
        (_, None) => {}
    }
    let expected = mac(credentials.secret(), sender, stated);
    if !bool::from(expected.ct_eq(&proof.mac)) {
        return Err(DoorError::WrongSecret);
    }
    // Whoever made this proof was invited, and sees another connection.
    if stated != seen {
        return Err(DoorError::Intercepted);
    }
    Ok(())
}

fn check_host(
    invited: KeyHash,
    sender: MemberId,
    stated: &Statement,
    proof: &HostProof,
) -> Result<(), DoorError> {
    if KeyHash::of(&proof.key) != invited {
        return Err(DoorError::WrongHost);
    }
    let key = VerifyingKey::from_bytes(&proof.key).map_err(|_| DoorError::WrongHost)?;
    let [r, s] = proof.signature;
    let signed = canonical(SIGNATURE_LABEL, sender, stated);
    key.verify_strict(&signed, &Signature::from_components(r, s))
        .map_err(|_| DoorError::WrongHost)
}

fn sign(keys: &HostKeys, sender: MemberId, statement: &Statement) -> HostProof {
    let key = keys.signing_key();
    let signature = key.sign(&canonical(SIGNATURE_LABEL, sender, statement));
    HostProof {
        key: key.verifying_key().to_bytes(),
        signature: [*signature.r_bytes(), *signature.s_bytes()],
    }
}

fn mac(secret: &Secret, sender: MemberId, statement: &Statement) -> [u8; 32] {
    // HMAC pads shorter keys to a block with zeros.
    let mut key = Block::<Sha256>::default();
    key.iter_mut()
        .zip(secret.0)
        .for_each(|(to, from)| *to = from);
    let mut mac = Hmac::<Sha256>::new(&key);
    mac.update(&canonical(MAC_LABEL, sender, statement));
    mac.finalize().into_bytes().into()
}

/// Every field has a fixed length, so no two statements have the same bytes.
fn canonical(label: &[u8; 24], sender: MemberId, statement: &Statement) -> Vec<u8> {
    let mut bytes = label.to_vec();
    bytes.push(PROTOCOL);
    bytes.extend(sender.0.to_le_bytes());
    for end in &statement.ends {
        bytes.extend(end.member.0.to_le_bytes());
        bytes.extend(end.fingerprint);
        bytes.extend(end.nonce);
    }
    bytes
}
