//! Which request gets which answer.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::daemon::http::{ContentType, Method, Request, Response, Status};
use crate::unit::{ByteSize, to_usize};

/// The text of an answer that is used again while it is new enough.
#[derive(Default)]
pub(super) struct Cache(Mutex<Option<(Instant, Arc<str>)>>);

impl Cache {
    /// The last text if it is not older than `max_age`, else a new one, which is kept if it has at
    /// most `max_size` bytes; 0 is no limit. No lock is held while it is made.
    pub(super) fn get(
        &self,
        max_age: Duration,
        max_size: ByteSize,
        make: impl FnOnce() -> String,
    ) -> Arc<str> {
        if max_age.is_zero() {
            return make().into();
        }
        let lock = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = lock().clone();
        if let Some((made, text)) = known
            && made.elapsed() <= max_age
        {
            return text;
        }
        let begun = Instant::now();
        let text: Arc<str> = make().into();
        let fits = max_size.0 == 0 || text.len() <= to_usize(max_size.0);
        *lock() = fits.then(|| (begun, text.clone()));
        text
    }
}

/// What can be requested.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Page {
    Index,
    Metrics,
}

/// What is requested, or the answer that says why it is not served.
pub(super) fn route(request: &Request) -> Result<Page, Response> {
    let page = match request.path() {
        "/" | "/index.html" => Page::Index,
        "/metrics" => Page::Metrics,
        _ => return Err(Response::of(Status::NotFound)),
    };
    match request.method {
        Method::Get | Method::Head => Ok(page),
        Method::Other => {
            let refused = Response::of(Status::MethodNotAllowed);
            Err(refused.with("Allow", "GET, HEAD".to_owned()))
        }
    }
}

impl Page {
    pub(super) fn content_type(self) -> ContentType {
        match self {
            Page::Index => ContentType::Html,
            Page::Metrics => ContentType::Exposition,
        }
    }
}

/// The answer to a plain request on a port with TLS. The host is the one that the client named, or
/// `local`, the address that it has reached.
pub(super) fn redirect(request: &Request, local: &str, port: u16) -> Response {
    let named = request.host.as_deref().and_then(host_name);
    let host = named.unwrap_or(local);
    let target = if request.target.starts_with('/') {
        request.target.as_str()
    } else {
        "/"
    };
    let location = format!("https://{host}:{port}{target}");
    Response::of(Status::MovedPermanently).with("Location", location)
}

/// The host of a field `Host` without its port; `None` if it is not one.
fn host_name(field: &str) -> Option<&str> {
    let end = match field.starts_with('[') {
        true => field.find(']')?.saturating_add(1),
        false => field.find(':').unwrap_or(field.len()),
    };
    let (host, port) = field.split_at_checked(end)?;
    let is_name = |c: char| c.is_ascii_alphanumeric() || ".-_[]:".contains(c);
    let fits = !host.is_empty() && host.chars().all(is_name);
    let digits = port.strip_prefix(':').unwrap_or(port);
    let is_port = digits.chars().all(|c| c.is_ascii_digit());
    (fits && is_port).then_some(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(target: &str, host: Option<&str>) -> Request {
        Request {
            method: Method::Get,
            target: target.to_owned(),
            host: host.map(str::to_owned),
            keep_alive: true,
        }
    }

    #[test]
    fn a_redirect_leads_to_the_host_that_the_client_named() {
        let location = |target, host| {
            let response = redirect(&request(target, host), "192.0.2.1", 5001);
            format!("{response:?}")
        };
        for (target, host, expected) in [
            (
                "/metrics?a=b",
                Some("db.example:80"),
                "https://db.example:5001/metrics?a=b",
            ),
            ("/", Some("[::1]:5001"), "https://[::1]:5001/"),
            ("/", Some("a b"), "https://192.0.2.1:5001/"),
            ("/", Some("a\r\nX: y"), "https://192.0.2.1:5001/"),
            ("/", Some("a:b"), "https://192.0.2.1:5001/"),
            ("*", None, "https://192.0.2.1:5001/"),
        ] {
            let found = location(target, host);
            assert!(found.contains(&format!("\"{expected}\"")), "{found}");
        }
    }

    #[test]
    fn a_cached_answer_is_used_until_it_is_too_old_or_if_it_is_too_large() {
        let cache = Cache::default();
        let get = |age, size, text: &str| {
            let made = cache.get(Duration::from_secs(age), ByteSize(size), || text.to_owned());
            made.to_string()
        };
        assert_eq!(get(0, 0, "a"), "a");
        assert_eq!(get(600, 0, "b"), "b");
        assert_eq!(get(600, 0, "c"), "b");
        assert_eq!(get(0, 0, "d"), "d");
        let cache = Cache::default();
        let get = |size, text: &str| {
            let made = cache.get(Duration::from_secs(600), ByteSize(size), || text.to_owned());
            made.to_string()
        };
        assert_eq!(
            [get(2, "long"), get(2, "ab"), get(2, "c")],
            ["long", "ab", "ab"]
        );
    }
}
