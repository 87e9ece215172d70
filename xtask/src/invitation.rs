//! How people reach the page: links, and a code to scan.

use fast_qr::{ECL, QRBuilder};

use crate::server::Server;

/// Prints both links, and the one for phones as a code.
pub fn print(server: &Server) {
    let here = server.url.replace("127.0.0.1", "localhost");
    println!("on this machine:       {here}");
    let Some(way) = server.https.first() else {
        return;
    };
    println!("on phones in this net: {way}");
    if let Ok(code) = QRBuilder::new(way.as_str()).ecl(ECL::L).build() {
        println!("{}", code.to_str());
    }
    println!(
        "Phones warn about the certificate, for this machine made it itself: docs/real-phones.md."
    );
}
