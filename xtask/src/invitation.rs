//! How people reach the page: links, and a code to scan.

use std::io::IsTerminal;

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
        println!(
            "{}",
            framed(&code.to_str(), std::io::stdout().is_terminal())
        );
    }
    println!(
        "Phones warn about the certificate, for this machine made it itself: docs/real-phones.md."
    );
}

/// With the light frame that scanners look for; on a terminal, light is light whatever its theme.
fn framed(code: &str, in_colour: bool) -> String {
    let width = code.lines().next().map_or(0, |line| line.chars().count());
    let edge = "█".repeat(width);
    let lines = [edge.as_str()]
        .into_iter()
        .chain(code.lines())
        .chain([edge.as_str()]);
    let framed = lines.map(|line| {
        if in_colour {
            format!("\x1b[97;40m██{line}██\x1b[0m")
        } else {
            format!("██{line}██")
        }
    });
    framed.collect::<Vec<_>>().join("\n")
}
