//! The operations of Palette's API that the stand-in answers.

use std::fmt;

/// An operation, named as people speak of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Route {
    /// `GET /v1/health/ping`
    Ping,
    /// `GET /v1/health/ready`
    Ready,
    /// `GET /v1/auth/certs`: not in the published API, seen in the field as jet's first call.
    Certs,
    /// `GET /v1/overlords/pairing/code`
    PairingCode,
    /// `GET /v1/overlords/maas/manifest`
    Manifest,
    /// `GET /v1/overlords`
    Overlords,
    /// `GET /v1/overlords/{uid}`
    Overlord,
    /// `DELETE /v1/overlords/{uid}`
    Remove,
    /// `POST /v1/overlords/maas/{uid}/account`
    Account,
    /// `POST /v1/overlords/maas/{uid}/cloudconfig`
    CloudConfig,
    /// `POST /v1/pcg/{uid}/register`
    Register,
    /// `POST /v1/pcg/selfHosted`
    SelfHosted,
    /// `GET /v1/pcg/{uid}/services/jet/manifest`
    JetManifest,
    /// `GET /v1/pcg/{uid}/services/ally/manifest`
    AllyManifest,
    /// `GET /v1/services/{serviceName}/version`
    ServiceVersion,
}

impl Route {
    /// Every route; a fixed segment comes before a `{uid}` in the same place.
    pub const ALL: [Route; 15] = [
        Route::Ping,
        Route::Ready,
        Route::Certs,
        Route::PairingCode,
        Route::Manifest,
        Route::Overlords,
        Route::Overlord,
        Route::Account,
        Route::CloudConfig,
        Route::Register,
        Route::SelfHosted,
        Route::JetManifest,
        Route::AllyManifest,
        Route::ServiceVersion,
        Route::Remove,
    ];

    /// HTTP method, upper case.
    pub const fn method(self) -> &'static str {
        match self {
            Route::Account | Route::CloudConfig | Route::Register | Route::SelfHosted => "POST",
            Route::Remove => "DELETE",
            _ => "GET",
        }
    }

    /// Path as the published API writes it.
    pub const fn path(self) -> &'static str {
        match self {
            Route::Ping => "/v1/health/ping",
            Route::Ready => "/v1/health/ready",
            Route::Certs => "/v1/auth/certs",
            Route::PairingCode => "/v1/overlords/pairing/code",
            Route::Manifest => "/v1/overlords/maas/manifest",
            Route::Overlords => "/v1/overlords",
            Route::Overlord | Route::Remove => "/v1/overlords/{uid}",
            Route::Account => "/v1/overlords/maas/{uid}/account",
            Route::CloudConfig => "/v1/overlords/maas/{uid}/cloudconfig",
            Route::Register => "/v1/pcg/{uid}/register",
            Route::SelfHosted => "/v1/pcg/selfHosted",
            Route::JetManifest => "/v1/pcg/{uid}/services/jet/manifest",
            Route::AllyManifest => "/v1/pcg/{uid}/services/ally/manifest",
            Route::ServiceVersion => "/v1/services/{serviceName}/version",
        }
    }

    /// The route of a request and the `{uid}` (or `{serviceName}`) in its path, empty if it has none.
    pub fn of(method: &str, path: &str) -> Option<(Route, String)> {
        Route::ALL
            .into_iter()
            .filter(|route| route.method() == method)
            .find_map(|route| Some((route, uid_in(route.path(), path)?)))
    }
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method(), self.path())
    }
}

fn uid_in(template: &str, path: &str) -> Option<String> {
    let (mut uid, mut wanted, mut given) = (String::new(), template.split('/'), path.split('/'));
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return Some(uid),
            (Some(wanted), Some(segment)) if wanted.starts_with('{') && !segment.is_empty() => {
                uid = segment.to_owned();
            }
            (Some(segment), Some(same)) if segment == same => {}
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_is_found_by_its_own_path() {
        for route in Route::ALL {
            let path = route.path().replace("{uid}", "abc");
            let path = path.replace("{serviceName}", "abc");
            let uid = if path == route.path() { "" } else { "abc" };
            let found = Route::of(route.method(), &path);
            assert_eq!(found, Some((route, uid.to_owned())), "{route}");
        }
    }

    #[test]
    fn anything_else_is_no_route() {
        for (method, path) in [
            ("PUT", "/v1/overlords"),
            ("GET", "/v1/overlords/"),
            ("GET", "/v1/overlords/a/b"),
            ("GET", "/"),
            ("POST", "/v1/pcg//register"),
        ] {
            assert_eq!(Route::of(method, path), None, "{method} {path}");
        }
    }
}
