//! Rooms, seats and messages, through the router.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests say what they expect by panicking"
)]

mod server;

use std::time::Duration;

use serde_json::json;
use server::Server;
use signaling_server::Limits;

fn refused(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

#[tokio::test]
async fn host_and_guest_exchange_offer_and_answer() {
    let server = Server::start();
    let host = server.host().await;
    assert_eq!(host.seat, "host");
    assert_eq!((host.room.len(), host.key.len()), (16, 32));
    let mut to_host = server.listen(&host, None).await;
    let guest = server.guest(&host.room).await;
    assert_eq!(guest.seat, "g1");
    assert_eq!(server.guest(&host.room).await.seat, "g2");
    let mut to_guest = server.listen(&guest, None).await;

    let offer = "{\"type\":\"offer\",\"sdp\":\"v=0\\r\\n\u{1f984}\n\ndata: x\"}";
    let sent = server.send(&guest, "host", offer).await;
    assert_eq!((sent.status.as_u16(), sent.body.len()), (204, 0));
    let came = to_host.next().await.unwrap();
    assert_eq!(came, (1, "g1".to_owned(), offer.to_owned()));
    server.send(&host, "g1", "answer").await;
    assert_eq!(
        to_guest.next().await.unwrap(),
        (1, "host".to_owned(), "answer".to_owned())
    );
}

#[tokio::test]
async fn messages_wait_for_their_reader() {
    let server = Server::start();
    let host = server.host().await;
    let guest = server.guest(&host.room).await;
    for body in ["a", "b", "c"] {
        assert_eq!(server.send(&guest, "host", body).await.status, 204);
    }
    assert_eq!(
        server.listen(&host, None).await.bodies(3).await,
        ["a", "b", "c"]
    );
}

#[tokio::test]
async fn a_broken_stream_resumes_after_the_last_event_that_arrived() {
    let server = Server::start();
    let host = server.host().await;
    let guest = server.guest(&host.room).await;
    for body in ["a", "b", "c"] {
        server.send(&guest, "host", body).await;
    }
    let mut first = server.listen(&host, None).await;
    assert_eq!(first.bodies(2).await, ["a", "b"]);
    drop(first);
    let mut second = server.listen(&host, Some(1)).await;
    assert_eq!(second.bodies(2).await, ["b", "c"]);
    server.send(&guest, "host", "d").await;
    assert_eq!(second.bodies(1).await, ["d"]);
}

#[tokio::test]
async fn a_second_reader_of_a_seat_ends_the_first_ones_stream() {
    let server = Server::start();
    let host = server.host().await;
    let mut first = server.listen(&host, None).await;
    let mut second = server.listen(&host, None).await;
    assert_eq!(first.next().await, None);
    let guest = server.guest(&host.room).await;
    server.send(&guest, "host", "a").await;
    assert_eq!(second.bodies(1).await, ["a"]);
}

#[tokio::test]
async fn closing_the_server_ends_every_stream() {
    let server = Server::start();
    let host = server.host().await;
    let mut events = server.listen(&host, None).await;
    server.rooms.close();
    assert_eq!(events.next().await, None);
}

#[tokio::test]
async fn unknown_rooms_are_refused_everywhere() {
    let server = Server::start();
    let mut nowhere = server.host().await;
    nowhere.room = "aaaaaaaaaa".to_owned();
    let unknown = refused(404, "room.unknown");
    let seats = server.post("/api/rooms/aaaaaaaaaa/seats", &json!({})).await;
    assert_eq!(seats.refusal(), unknown);
    assert_eq!(server.send(&nowhere, "host", "a").await.refusal(), unknown);
    assert_eq!(server.get_events(&nowhere).await.refusal(), unknown);
}

#[tokio::test]
async fn a_room_expires_after_an_hour_without_use() {
    let server = Server::start();
    let host = server.host().await;
    server.clock.forward(3599);
    let guest = server.guest(&host.room).await;
    server.clock.forward(3599);
    assert_eq!(server.send(&guest, "host", "a").await.status, 204);
    server.clock.forward(3600);
    let expired = refused(410, "room.expired");
    let seats = server
        .post(&format!("/api/rooms/{}/seats", host.room), &json!({}))
        .await;
    assert_eq!(seats.refusal(), expired);
    assert_eq!(server.send(&guest, "host", "a").await.refusal(), expired);
    assert_eq!(server.get_events(&host).await.refusal(), expired);
}

#[tokio::test]
async fn a_room_whose_host_listens_does_not_expire() {
    let server = Server::start();
    let host = server.host().await;
    let events = server.listen(&host, None).await;
    server.clock.forward(40_000);
    server.guest(&host.room).await;
    server.clock.forward(40_000);
    drop(events);
    server.clock.forward(3599);
    server.guest(&host.room).await;
    server.clock.forward(3600);
    let seats = server
        .post(&format!("/api/rooms/{}/seats", host.room), &json!({}))
        .await;
    assert_eq!(seats.refusal(), refused(410, "room.expired"));
}

#[tokio::test]
async fn only_the_owner_of_a_seat_reads_it_and_writes_from_it() {
    let server = Server::start();
    let host = server.host().await;
    let guest = server.guest(&host.room).await;
    let elsewhere = server.host().await;
    let denied = refused(403, "seat.denied");
    for key in [
        guest.key.as_str(),
        elsewhere.key.as_str(),
        "",
        &host.key[1..],
    ] {
        let mut thief = host.clone();
        thief.key = key.to_owned();
        assert_eq!(server.get_events(&thief).await.refusal(), denied);
        assert_eq!(server.send(&thief, "g1", "a").await.refusal(), denied);
    }
    let mut nobody = guest.clone();
    nobody.seat = "g7".to_owned();
    assert_eq!(server.get_events(&nobody).await.refusal(), denied);
    let to_nobody = server.send(&guest, "g7", "a").await;
    assert_eq!(to_nobody.refusal(), refused(404, "seat.unknown"));
}

#[tokio::test]
async fn a_room_has_32_seats_and_gives_those_left_long_ago_to_others() {
    let server = Server::start();
    let host = server.host().await;
    let path = format!("/api/rooms/{}/seats", host.room);
    let staying = server.guest(&host.room).await;
    let _events = server.listen(&staying, None).await;
    for _ in 2..32 {
        server.guest(&host.room).await;
        server.clock.forward(1);
    }
    let full = server.post(&path, &json!({})).await;
    assert_eq!(full.refusal(), refused(409, "room.full"));
    server.clock.forward(120);
    assert_eq!(server.guest(&host.room).await.seat, "g32");
    assert_eq!(server.send(&host, "g1", "a").await.status, 204);
    assert_eq!(
        server.send(&host, "g2", "a").await.refusal(),
        refused(404, "seat.unknown")
    );
}

#[tokio::test]
async fn messages_have_at_most_64_kib() {
    let server = Server::start();
    let host = server.host().await;
    let guest = server.guest(&host.room).await;
    // Line ends are the worst an SDP has: each is two bytes of JSON.
    let most = "\n".repeat(64 << 10);
    assert_eq!(server.send(&guest, "host", &most).await.status, 204);
    let too_large = refused(413, "message.too_large");
    for bytes in [(64 << 10) + 1, 1 << 20] {
        let sent = server.send(&guest, "host", &"a".repeat(bytes)).await;
        assert_eq!(sent.refusal(), too_large, "{bytes}");
    }
    assert_eq!(server.listen(&host, None).await.bodies(1).await, [most]);
}

#[tokio::test]
async fn a_reader_who_never_comes_costs_bounded_memory() {
    let full = refused(429, "inbox.full");
    let server = Server::start();
    let host = server.host().await;
    let guest = server.guest(&host.room).await;
    for _ in 0..64 {
        server.clock.forward(1);
        assert_eq!(server.send(&guest, "host", "a").await.status, 204);
    }
    assert_eq!(server.send(&guest, "host", "a").await.refusal(), full);
    server.listen(&host, None).await.bodies(64).await;
    assert_eq!(server.send(&guest, "host", "a").await.status, 204);

    let other = server.host().await;
    let guest = server.guest(&other.room).await;
    let large = "a".repeat(64 << 10);
    for _ in 0..16 {
        assert_eq!(server.send(&guest, "host", &large).await.status, 204);
    }
    assert_eq!(server.send(&guest, "g1", "a").await.refusal(), full);
}

#[tokio::test]
async fn a_full_server_gives_up_the_room_that_was_left_longest_ago() {
    let mut server = Server::with(Limits {
        rooms: 2,
        ..Limits::default()
    });
    let left = server.host().await;
    server.clock.forward(1);
    let listening = server.host().await;
    let _events = server.listen(&listening, None).await;
    server.move_to("192.0.2.2");
    let third = server.post("/api/rooms", &json!({})).await;
    assert_eq!(third.refusal(), refused(503, "server.full"));
    server.clock.forward(119);
    let third = server.host().await;
    assert_eq!(
        server.get_events(&left).await.refusal(),
        refused(410, "room.expired")
    );
    assert_eq!(server.send(&listening, "host", "a").await.status, 204);
    let _events = server.listen(&third, None).await;
    server.clock.forward(1000);
    let fourth = server.post("/api/rooms", &json!({})).await;
    assert_eq!(fourth.refusal(), refused(503, "server.full"));
}

#[tokio::test]
async fn an_address_that_starts_many_rooms_gives_up_its_own() {
    let mut server = Server::with(Limits {
        rooms_per_address: 2,
        ..Limits::default()
    });
    let first = server.host().await;
    server.clock.forward(1);
    let second = server.host().await;
    server.move_to("192.0.2.2");
    let other = server.host().await;
    server.move_to("192.0.2.1");
    server.host().await;
    assert_eq!(
        server.get_events(&first).await.refusal(),
        refused(410, "room.expired")
    );
    for kept in [second, other] {
        assert_eq!(server.send(&kept, "host", "a").await.status, 204);
    }
}

#[tokio::test]
async fn a_room_expires_of_age_and_its_host_opens_it_again() {
    let server = Server::start();
    let host = server.host().await;
    let mut events = server.listen(&host, None).await;
    server.clock.forward(24 * 3600);
    let seats = server
        .post(&format!("/api/rooms/{}/seats", host.room), &json!({}))
        .await;
    assert_eq!(seats.refusal(), refused(410, "room.expired"));
    assert_eq!(events.next().await, None);
    reopen(&server, &host).await;
    server.guest(&host.room).await;
}

/// Its host opens a room by its key, and it is the same room.
async fn reopen(server: &Server, host: &server::Seat) {
    let again = server
        .post("/api/rooms", &json!({"key": host.key}))
        .await
        .json();
    assert_eq!(
        again,
        json!({"room": host.room, "seat": "host", "key": host.key})
    );
}

#[tokio::test]
async fn after_a_restart_the_host_opens_its_room_under_the_same_name() {
    let before = Server::start();
    let host = before.host().await;
    drop(before);
    let server = Server::start();
    assert_eq!(
        server.get_events(&host).await.refusal(),
        refused(404, "room.unknown")
    );
    reopen(&server, &host).await;
    let mut to_host = server.listen(&host, None).await;
    let guest = server.guest(&host.room).await;
    server.send(&guest, "host", "a").await;
    assert_eq!(to_host.bodies(1).await, ["a"]);
    // Opening what is open changes nothing.
    reopen(&server, &host).await;
    server.send(&guest, "host", "b").await;
    assert_eq!(to_host.bodies(1).await, ["b"]);
}

#[tokio::test]
async fn a_guest_who_comes_right_after_a_restart_waits_for_the_host() {
    let before = Server::start();
    let host = before.host().await;
    let server = Server::with(Limits::default());
    let coming_back = async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        server.host().await;
        reopen(&server, &host).await;
    };
    let (guest, ()) = tokio::join!(server.guest(&host.room), coming_back);
    assert_eq!(guest.seat, "g1");
    let nothing = json!({});
    let nowhere = server.post("/api/rooms/aaaaaaaaaaaaaaaa/seats", &nothing);
    let waited = tokio::time::timeout(Duration::from_millis(50), nowhere);
    assert!(waited.await.is_err(), "it may still come back");
    server.clock.forward(10);
    let nowhere = server
        .post("/api/rooms/aaaaaaaaaaaaaaaa/seats", &json!({}))
        .await;
    assert_eq!(nowhere.refusal(), refused(404, "room.unknown"));
}

#[tokio::test]
async fn a_poll_ends_after_what_is_there() {
    let server = Server::start();
    let host = server.host().await;
    let guest = server.guest(&host.room).await;
    for body in ["a", "b"] {
        server.send(&guest, "host", body).await;
    }
    let mut poll = server.poll(&host, None).await;
    assert_eq!(poll.bodies(2).await, ["a", "b"]);
    assert_eq!(poll.next().await, None);
    let mut poll = server.poll(&host, Some(2)).await;
    let sent = async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        server.send(&guest, "host", "c").await
    };
    let (next, _) = tokio::join!(poll.bodies(1), sent);
    assert_eq!(next, ["c"]);
    assert_eq!(poll.next().await, None);
}

#[tokio::test]
async fn a_seat_sends_20_messages_a_second() {
    let server = Server::start();
    let host = server.host().await;
    let guest = server.guest(&host.room).await;
    for _ in 0..20 {
        assert_eq!(server.send(&guest, "host", "a").await.status, 204);
    }
    assert_eq!(
        server.send(&guest, "host", "a").await.refusal(),
        refused(429, "rate.exceeded")
    );
    assert_eq!(
        server.send(&host, "g1", "a").await.status,
        204,
        "another seat"
    );
    server.clock.forward(1);
    assert_eq!(server.send(&guest, "host", "a").await.status, 204);
}

#[tokio::test]
async fn an_address_asks_for_20_rooms_or_seats_a_second() {
    let mut server = Server::start();
    let host = server.host().await;
    let path = format!("/api/rooms/{}/seats", host.room);
    for _ in 1..20 {
        server.guest(&host.room).await;
    }
    for path in [&path, "/api/rooms"] {
        assert_eq!(
            server.post(path, &json!({})).await.refusal(),
            refused(429, "rate.exceeded")
        );
    }
    server.move_to("192.0.2.2");
    server.guest(&host.room).await;
}

#[tokio::test]
async fn an_address_has_20_streams() {
    let mut server = Server::start();
    let host = server.host().await;
    let mut streams = Vec::new();
    for _ in 0..20 {
        let guest = server.guest(&host.room).await;
        server.clock.forward(1);
        streams.push(server.listen(&guest, None).await);
    }
    assert_eq!(
        server.get_events(&host).await.refusal(),
        refused(429, "stream.too_many")
    );
    server.move_to("192.0.2.2");
    drop(server.listen(&host, None).await);
    server.move_to("192.0.2.1");
    streams.pop();
    server.listen(&host, None).await;
}

#[tokio::test]
async fn pages_of_other_servers_are_refused() {
    let server = Server::start();
    let own = [("origin", "http://box:8080"), ("host", "box:8080")];
    assert_eq!(server.get_with("/api/models", &own).await.status, 200);
    for foreign in ["http://evil.example", "https://box:8080", "null"] {
        let headers = [("origin", foreign), ("host", "box:8080")];
        let answer = server.get_with("/api/models", &headers).await;
        assert_eq!(
            answer.refusal(),
            refused(403, "origin.foreign"),
            "{foreign}"
        );
    }
}

#[tokio::test]
async fn refusals_are_counted_by_code() {
    let server = Server::start();
    server.get("/api/nothing").await;
    server.get("/models/x/file").await;
    server.get("/healthz").await;
    let report = server.counts.take();
    assert_eq!(report.requests, 3);
    let codes: Vec<_> = report.refused.into_iter().collect();
    assert_eq!(codes, [("model.unknown", 1), ("request.unknown", 1)]);
}

#[tokio::test]
async fn what_is_not_in_the_agreement_is_refused_in_json() {
    let server = Server::start();
    let host = server.host().await;
    let messages = format!("/api/rooms/{}/messages", host.room);
    let malformed = refused(400, "request.malformed");
    for body in [
        "",
        "{",
        "[]",
        "{\"key\":1}",
        "{\"key\":\"short\"}",
        "\"\u{0}\"",
    ] {
        assert_eq!(
            server
                .post_text("/api/rooms", body.to_owned())
                .await
                .refusal(),
            malformed,
            "{body}"
        );
    }
    let without_seat = server
        .post(&messages, &json!({"to": "host", "body": ""}))
        .await;
    assert_eq!(without_seat.refusal(), malformed);
    for proof in ["", "Bearer", "Bearer host", "Basic host.key"] {
        let answer = server
            .get_with(&host.events(), &[("authorization", proof)])
            .await;
        assert_eq!(answer.refusal(), malformed, "{proof}");
    }
    let unknown = refused(404, "request.unknown");
    for path in [
        "/api/nothing",
        "/models/nothing",
        "/nothing.js",
        "/../Cargo.toml",
    ] {
        assert_eq!(server.get(path).await.refusal(), unknown, "{path}");
    }
    assert_eq!(
        server.get("/api/rooms").await.refusal(),
        refused(405, "request.method")
    );
}
