//! Who may ask: the right host, no other site's pages, and those with the key.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};

use super::app::App;
use super::problem::Problem;
use super::session;

/// The names under which a server may be called.
///
/// A page of another site can make its own name point to this machine and then read the answers as
/// if they were its own (DNS rebinding). Its name stays in the `Host` header, which gives it away.
/// An address cannot be made to point elsewhere.
#[derive(Clone, Debug)]
pub struct Names {
    address: SocketAddr,
    others: Vec<String>,
}

impl Names {
    /// Takes the address that a server listens on, and other names of it.
    #[must_use]
    pub fn new(address: SocketAddr, others: &[String]) -> Self {
        let others = others.iter().map(|name| name.to_ascii_lowercase()).collect();
        Self { address, others }
    }

    /// Whether a `Host` header, with a port or without, names this server.
    ///
    /// # Examples
    /// ```
    /// use lookalike::server::Names;
    ///
    /// let names = Names::new(([127, 0, 0, 1], 7878).into(), &["photos.home".to_owned()]);
    /// assert!(names.has("localhost:7878") && names.has("127.0.0.1:7878"));
    /// assert!(names.has("Photos.Home"));
    /// assert!(!names.has("evil.example:7878") && !names.has("localhost:80"));
    /// ```
    #[must_use]
    pub fn has(&self, host: &str) -> bool {
        let (name, port) = split_port(host);
        let name = name.to_ascii_lowercase();
        if self.others.contains(&name) {
            // A proxy in front of the server has ports of its own.
            return true;
        }
        let own_port = |port: &str| port.parse() == Ok(self.address.port());
        if !port.map_or(self.address.port() == 80, own_port) {
            return false;
        }
        let literal = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        match literal {
            Ok(ip) if self.address.ip().is_loopback() => ip.is_loopback(),
            Ok(_) => true,
            Err(_) => name == "localhost",
        }
    }
}

/// Parts `[::1]:80`, `localhost:80` and `localhost`.
fn split_port(host: &str) -> (&str, Option<&str>) {
    match host.rsplit_once(':') {
        Some((name, port))
            if !port.contains(']') && (!name.contains(':') || name.ends_with(']')) =>
        {
            (name, Some(port))
        }
        _ => (host, None),
    }
}

/// Refuses requests for other hosts, from pages of other sites, and without the key.
pub(super) async fn check(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let refused = check_host(&app.names, request.headers(), request.uri())
        .and_then(|host| check_site(request.method(), request.headers(), &host))
        .err();
    if let Some(problem) = refused {
        return problem.into_response();
    }
    let path = request.uri().path();
    let is_open = matches!(path, "/healthz" | "/readyz" | "/login" | "/v1/session")
        || path.starts_with("/assets/");
    if let Some(key) = &app.key
        && !is_open
        && !key.is_given(request.headers())
    {
        // People get a page to give the key on, programs a status.
        let wants_page = request.method() == Method::GET && path == "/";
        return if wants_page { Redirect::to("/login").into_response() } else { session::no_key() };
    }
    next.run(request).await
}

fn check_host(names: &Names, headers: &HeaderMap, uri: &Uri) -> Result<String, Problem> {
    let mut hosts = headers.get_all(header::HOST).iter();
    let host = match (hosts.next(), hosts.next(), uri.authority()) {
        (Some(host), None, _) => host.to_str().map(str::to_owned).ok(),
        (None, None, Some(authority)) => Some(authority.to_string()),
        _ => None,
    };
    let Some(host) = host else {
        let detail = "expected one Host header";
        return Err(Problem::new(StatusCode::BAD_REQUEST, "no-host", detail));
    };
    if names.has(&host) {
        return Ok(host);
    }
    let detail =
        "this server is not called so: use its address, or let it know the name with --host";
    Err(Problem::new(StatusCode::MISDIRECTED_REQUEST, "wrong-host", detail))
}

/// Refuses what a page of another site sends: browsers say where a request comes from.
fn check_site(method: &Method, headers: &HeaderMap, host: &str) -> Result<(), Problem> {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let is_reading = matches!(*method, Method::GET | Method::HEAD);
    let is_from_elsewhere = match text("sec-fetch-site") {
        Some("same-origin" | "none") | None => false,
        // A link on another page leads here; what it leads to is shown to the user alone.
        Some(_) => !(is_reading && text("sec-fetch-mode") == Some("navigate")),
    };
    let is_own = |origin: &str| {
        let name = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
        name.is_some_and(|name| name.eq_ignore_ascii_case(host))
    };
    let is_other_origin = text("origin").is_some_and(|origin| !is_own(origin));
    if is_from_elsewhere || is_other_origin {
        let detail = "pages of other sites may not ask this server";
        return Err(Problem::new(StatusCode::FORBIDDEN, "cross-site", detail));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_names_of_a_server_are_taken() {
        struct Case {
            address: &'static str,
            own: &'static [&'static str],
            other: &'static [&'static str],
        }
        let cases = [
            Case {
                address: "127.0.0.1:7878",
                own: &["localhost:7878", "LOCALHOST:7878", "127.0.0.1:7878", "[::1]:7878", "nas:1"],
                other: &[
                    "",
                    "localhost",
                    "localhost:7879",
                    "localhost:",
                    "localhost.:7878",
                    "192.168.1.2:7878",
                    "evil.example:7878",
                    "127.0.0.1.evil.example:7878",
                    "[::1",
                    "a:b:7878",
                ],
            },
            Case {
                address: "0.0.0.0:80",
                own: &["192.168.1.2", "192.168.1.2:80", "localhost", "NAS", "[fe80::1]"],
                other: &["evil.example", "192.168.1.2:81", "nas.evil.example"],
            },
        ];
        for Case { address, own, other } in cases {
            let names = Names::new(address.parse().unwrap(), &["nas".to_owned()]);
            own.iter().for_each(|host| assert!(names.has(host), "{address}: {host}"));
            other.iter().for_each(|host| assert!(!names.has(host), "{address}: {host}"));
        }
    }

    #[test]
    fn pages_of_other_sites_are_refused_and_links_are_not() {
        let check = |method: Method, headers: &[(&'static str, &'static str)]| {
            let mut map = HeaderMap::new();
            for (name, value) in headers {
                map.insert(*name, axum::http::HeaderValue::from_static(value));
            }
            check_site(&method, &map, "localhost:7878").is_ok()
        };
        assert!(check(Method::POST, &[]));
        assert!(check(Method::POST, &[("origin", "http://localhost:7878")]));
        assert!(check(Method::POST, &[("sec-fetch-site", "same-origin")]));
        assert!(check(Method::GET, &[("sec-fetch-site", "none")]));
        let link = [("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate")];
        assert!(check(Method::GET, &link) && !check(Method::POST, &link));
        assert!(!check(Method::POST, &[("origin", "http://evil.example")]));
        assert!(!check(Method::POST, &[("origin", "null")]));
        assert!(!check(Method::POST, &[("origin", "http://localhost:1")]));
        assert!(!check(Method::GET, &[("sec-fetch-site", "cross-site")]));
        assert!(!check(Method::GET, &[("sec-fetch-site", "same-site")]));
    }
}
