//! What every request passes before anything else of ours sees it.

use std::{net::IpAddr, sync::Arc};

use axum::{
    body::{Body, HttpBody},
    extract::{Request, State},
    http::{
        HeaderMap,
        header::{HOST, ORIGIN},
    },
    middleware::Next,
    response::{IntoResponse, Response},
};
use http_body_util::{BodyExt, LengthLimitError, Limited};

use crate::{
    api::POLICY_REPORTS, held::held, limits::Limits, refusal::Refusal, serve::Place,
    visitors::Visitor,
};

const FORWARDED_FOR: &str = "x-forwarded-for";
const FORWARDED_PROTO: &str = "x-forwarded-proto";

/// How requests are judged.
pub struct Gate {
    /// Limits of bodies.
    pub limits: Limits,
    /// Whether a proxy on this machine is believed when it says for whom it asks.
    pub behind_proxy: bool,
}

/// Finds out who asks, refuses pages of other origins, reads the whole body, and only then answers.
pub async fn pass(State(gate): State<Arc<Gate>>, mut request: Request, next: Next) -> Response {
    let visitor = gate.visitor(&request);
    request.extensions_mut().insert(visitor);
    // Some browsers send reports in nobody's name, for our pages name themselves to nobody (Referrer-Policy).
    let is_report = request.uri().path() == POLICY_REPORTS;
    if !is_report && is_foreign(request.headers(), visitor.https) {
        return Refusal::ForeignOrigin.into_response();
    }
    let place = request.extensions().get::<Arc<Place>>().cloned();
    let request = match whole(request, &gate.limits).await {
        Ok(request) => request,
        Err(refusal) => return refusal.into_response(),
    };
    let answering = place.map(|place| place.answering());
    held(next.run(request).await, answering)
}

impl Gate {
    fn visitor(&self, request: &Request) -> Visitor {
        let nobody = Visitor {
            address: IpAddr::from([127, 0, 0, 1]),
            https: false,
        };
        let peer = request.extensions().get().copied().unwrap_or(nobody);
        if self.behind_proxy && peer.address.to_canonical().is_loopback() {
            proxied(request.headers(), peer)
        } else {
            peer
        }
    }
}

/// Whom the proxy asks for: the last address, for the ones before it are the client's own claims.
fn proxied(headers: &HeaderMap, proxy: Visitor) -> Visitor {
    let last = |name| {
        let value = headers.get_all(name).iter().next_back()?.to_str().ok()?;
        Some(value.rsplit(',').next().unwrap_or(value).trim())
    };
    Visitor {
        address: last(FORWARDED_FOR)
            .and_then(|address| address.parse().ok())
            .unwrap_or(proxy.address),
        https: last(FORWARDED_PROTO)
            .map_or(proxy.https, |scheme| scheme.eq_ignore_ascii_case("https")),
    }
}

/// Browsers say which page asks, wherever it matters; other programs need not.
fn is_foreign(headers: &HeaderMap, https: bool) -> bool {
    let Some(origin) = headers.get(ORIGIN) else {
        return false;
    };
    let scheme = if https { "https://" } else { "http://" };
    let page = origin
        .to_str()
        .ok()
        .and_then(|origin| origin.strip_prefix(scheme));
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let same = page
        .zip(host)
        .is_some_and(|(page, host)| page.eq_ignore_ascii_case(host));
    !same
}

async fn whole(request: Request, limits: &Limits) -> Result<Request, Refusal> {
    if request.body().is_end_stream() {
        return Ok(request);
    }
    let (parts, body) = request.into_parts();
    let body = Limited::new(body, limits.body_bytes()).collect();
    match tokio::time::timeout(limits.body, body).await {
        Ok(Ok(body)) => Ok(Request::from_parts(parts, Body::from(body.to_bytes()))),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Refusal::MessageTooLarge {
            most_bytes: limits.message_bytes,
        }),
        Ok(Err(error)) => Err(Refusal::Malformed {
            detail: error.to_string(),
        }),
        Err(_) => Err(Refusal::Slow {
            most_s: limits.body.as_secs(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn pages_of_other_origins_are_foreign() {
        for (origin, host, https, foreign) in [
            ("http://a:8080", "a:8080", false, false),
            ("http://A", "a", false, false),
            ("https://a", "a", true, false),
            ("https://a", "a", false, true),
            ("http://a", "a", true, true),
            ("http://b", "a", false, true),
            ("http://a:1", "a:2", false, true),
            ("http://a.b", "a", false, true),
            ("null", "a", false, true),
            ("", "", false, true),
        ] {
            let headers = headers(&[("origin", origin), ("host", host)]);
            assert_eq!(is_foreign(&headers, https), foreign, "{origin} {host}");
        }
        assert!(!is_foreign(&headers(&[("host", "a")]), false));
        assert!(is_foreign(&headers(&[("origin", "http://a")]), false));
    }

    #[test]
    fn a_proxy_is_believed_in_what_it_added_itself() {
        let proxy = Visitor {
            address: IpAddr::from([127, 0, 0, 1]),
            https: false,
        };
        let asked = |pairs: &[(&'static str, &str)]| proxied(&headers(pairs), proxy);
        let visitor = asked(&[
            ("x-forwarded-for", "203.0.113.9"),
            ("x-forwarded-for", "198.51.100.1, 192.0.2.7"),
            ("x-forwarded-proto", "https"),
        ]);
        assert_eq!(visitor.address, IpAddr::from([192, 0, 2, 7]));
        assert!(visitor.https);
        assert_eq!(asked(&[("x-forwarded-for", "unknown")]), proxy);
    }

    #[test]
    fn headers_count_only_behind_a_proxy_and_only_from_this_machine() {
        let visitor = |behind_proxy, peer: [u8; 4]| {
            let gate = Gate {
                limits: Limits::default(),
                behind_proxy,
            };
            let peer = Visitor {
                address: peer.into(),
                https: false,
            };
            let request = Request::get("/")
                .header("x-forwarded-for", "192.0.2.7")
                .extension(peer);
            gate.visitor(&request.body(Body::empty()).unwrap()).address
        };
        assert_eq!(visitor(true, [127, 0, 0, 1]), IpAddr::from([192, 0, 2, 7]));
        assert_eq!(visitor(false, [127, 0, 0, 1]), IpAddr::from([127, 0, 0, 1]));
        assert_eq!(visitor(true, [10, 0, 0, 1]), IpAddr::from([10, 0, 0, 1]));
    }
}
