//! The key that a server asks for, and the cookie that a browser has instead of it.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use utoipa::ToSchema;

use super::app::App;
use super::extract::Json;
use super::problem::Problem;
use super::problems::WithJson;

/// The cookie's name.
const COOKIE: &str = "lookalike";

/// A key that requests must bring. Kept and compared as digests: that takes as long for a wrong key
/// as for the right one, whatever their lengths.
pub(super) struct Key {
    digest: blake3::Hash,
    /// What the cookie holds: it follows from the key, and the key does not follow from it.
    token: blake3::Hash,
}

impl Key {
    pub(super) fn new(key: &str) -> Self {
        let token = blake3::derive_key("lookalike 2026-11 cookie of the gallery", key.as_bytes());
        Self { digest: blake3::hash(key.as_bytes()), token: blake3::Hash::from_bytes(token) }
    }

    /// Whether a request brings the key, in `Authorization: Bearer` or in `api-key`, or the cookie.
    pub(super) fn is_given(&self, headers: &HeaderMap) -> bool {
        let text = |name: header::HeaderName| headers.get(name)?.to_str().ok();
        let bearer = text(header::AUTHORIZATION).and_then(|value| value.strip_prefix("Bearer "));
        let key = bearer.or_else(|| text(header::HeaderName::from_static("api-key")));
        if key.is_some_and(|key| self.is(key)) {
            return true;
        }
        let cookies =
            headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
        let mut pairs =
            cookies.flat_map(|value| value.split(';')).filter_map(|pair| pair.split_once('='));
        pairs.any(|(name, value)| {
            // `blake3::Hash` compares in constant time.
            name.trim() == COOKIE
                && blake3::Hash::from_hex(value.trim()).is_ok_and(|token| token == self.token)
        })
    }

    fn is(&self, key: &str) -> bool {
        blake3::hash(key.as_bytes()) == self.digest
    }
}

/// The answer to a request without the key.
pub(super) fn no_key() -> Response {
    let detail = "this server asks for a key: Authorization: Bearer KEY";
    let problem = Problem::new(StatusCode::UNAUTHORIZED, "no-key", detail);
    problem.with_header(header::WWW_AUTHENTICATE, "Bearer").into_response()
}

/// A key, to be changed for a cookie.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Login {
    /// The key of the server.
    key: String,
}

/// Changes the key for a cookie
///
/// For browsers, which cannot send the key with every picture.
#[utoipa::path(
    post, path = "/v1/session", tag = "server", request_body = Login,
    responses(
        (status = 204, description = "The cookie is set, or the server asks for no key"),
        WithJson,
    ),
)]
pub(super) async fn log_in(State(app): State<Arc<App>>, Json(login): Json<Login>) -> Response {
    let Some(key) = &app.key else { return StatusCode::NO_CONTENT.into_response() };
    if !key.is(&login.key) {
        return no_key();
    }
    let cookie = format!("{COOKIE}={}; Path=/; HttpOnly; SameSite=Strict", key.token.to_hex());
    let mut response = StatusCode::NO_CONTENT.into_response();
    if let Ok(cookie) = HeaderValue::from_str(&cookie) {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_or_its_cookie_opens_and_nothing_else_does() {
        let key = Key::new("a key of some length");
        let given = |name: &'static str, value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(name, HeaderValue::from_str(value).unwrap());
            key.is_given(&headers)
        };
        assert!(given("authorization", "Bearer a key of some length"));
        assert!(given("api-key", "a key of some length"));
        assert!(given("cookie", &format!("theme=dark; lookalike={}", key.token.to_hex())));
        assert!(!given("authorization", "a key of some length"));
        assert!(!given("authorization", "Bearer a key of some lengt"));
        assert!(!given("authorization", "Bearer "));
        assert!(!given("api-key", ""));
        assert!(!given("cookie", "lookalike=a key of some length"));
        assert!(!given("cookie", &format!("lookalike={}", key.digest.to_hex())));
        assert!(!given("cookie", &format!("other={}", key.token.to_hex())));
        assert!(!key.is_given(&HeaderMap::new()));
    }
}
