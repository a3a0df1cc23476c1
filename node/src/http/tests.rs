//! What every endpoint needs, asked of all of them.

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use jiff::Timestamp;
use tower::ServiceExt as _;
use wire::access::{Purpose, Role, TokenRequest};

use super::*;
use crate::access::Keyring;
use crate::cluster::Cluster;
use crate::identity::Identity;
use crate::runs::Runs;
use crate::store::Store;
use crate::token::ClusterSecret;

/// Every endpoint with the least role that may ask it.
const ENDPOINTS: [(&str, &str, Option<Role>); 44] = [
    ("GET", "/healthz", None),
    ("GET", "/readyz", None),
    ("GET", "/metrics", Some(Role::Read)),
    ("GET", "/v1/cluster", Some(Role::Read)),
    ("GET", "/v1/status", Some(Role::Read)),
    ("POST", "/v1/search", Some(Role::Read)),
    ("POST", "/v1/cluster/layout/plan", Some(Role::Read)),
    ("POST", "/v1/compose", Some(Role::Read)),
    ("POST", "/v1/textures", Some(Role::Read)),
    ("GET", "/v1/split", Some(Role::Read)),
    ("GET", "/v1/split/asset", Some(Role::Read)),
    ("GET", "/v1/splits/known", Some(Role::Read)),
    ("GET", "/v1/collections", Some(Role::Read)),
    ("GET", "/v1/ledger", Some(Role::Read)),
    ("GET", "/v1/ledgers", Some(Role::Read)),
    ("GET", "/v1/runs", Some(Role::Read)),
    ("GET", "/v1/runs/r", Some(Role::Read)),
    ("POST", "/v1/runs/r/logs", Some(Role::Read)),
    ("GET", "/v1/models", Some(Role::Read)),
    ("GET", "/v1/model/file", Some(Role::Read)),
    ("GET", "/v1/module", Some(Role::Read)),
    ("GET", "/nothing/there", Some(Role::Read)),
    ("PATCH", "/v1/search", Some(Role::Read)),
    ("PUT", "/v1/object", Some(Role::Write)),
    ("POST", "/v1/collections", Some(Role::Write)),
    ("POST", "/v1/runs", Some(Role::Write)),
    ("POST", "/v1/runs/r/cancel", Some(Role::Write)),
    ("POST", "/v1/runs/r/pause", Some(Role::Write)),
    ("POST", "/v1/runs/r/resume", Some(Role::Write)),
    ("POST", "/v1/lease", Some(Role::Write)),
    ("POST", "/v1/lease/renew", Some(Role::Write)),
    ("POST", "/v1/lease/log", Some(Role::Write)),
    ("POST", "/v1/lease/fail", Some(Role::Write)),
    ("DELETE", "/v1/tags", Some(Role::Write)),
    ("GET", "/v1/verify", Some(Role::Admin)),
    ("POST", "/v1/cluster/layout", Some(Role::Admin)),
    ("POST", "/v1/repair", Some(Role::Admin)),
    ("POST", "/v1/repair/rebuild-index", Some(Role::Admin)),
    ("DELETE", "/v1/models", Some(Role::Admin)),
    ("DELETE", "/v1/collections/c", Some(Role::Admin)),
    ("GET", "/v1/tokens", Some(Role::Admin)),
    ("POST", "/v1/tokens", Some(Role::Admin)),
    ("DELETE", "/v1/tokens/0011223344556677", Some(Role::Admin)),
    ("HEAD", "/v1/status", Some(Role::Read)),
];

fn app(dir: &std::path::Path) -> App {
    let store = Arc::new(Store::open(dir).unwrap());
    let runs = Arc::new(Runs::open(dir, "embedded").unwrap());
    let common = (Arc::clone(&store), Arc::clone(&runs));
    let cluster = Cluster::embedded(common.0, common.1, "unix:x".to_owned()).unwrap();
    App::new(Conduit::new(cluster, store, runs))
}

async fn status(router: &Router, endpoint: (&str, &str), token: Option<&str>) -> StatusCode {
    let (method, path) = endpoint;
    let mut request = Request::builder()
        .method(Method::from_bytes(method.as_bytes()).unwrap())
        .uri(path);
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    let request = request.body(Body::empty()).unwrap();
    router.clone().oneshot(request).await.unwrap().status()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_endpoint_takes_its_role_and_no_lesser_one() {
    let dir = tempfile::tempdir().unwrap();
    let keyring = Arc::new(Keyring::none());
    let maker = (Identity::generate(), ClusterSecret::draw());
    let token = |role| {
        let request = TokenRequest {
            purpose: Purpose::Ask(role),
            label: None,
            lifetime: None,
        };
        let made = keyring.make(&request, (&maker.0, &maker.1), Timestamp::UNIX_EPOCH);
        (role, made.unwrap().token)
    };
    let tokens = [Role::Read, Role::Write, Role::Admin].map(token);
    let access = Access::new(Demand::Token(Arc::clone(&keyring)), Arc::default());
    let router = router(app(dir.path()), access);
    for (method, path, needed) in ENDPOINTS {
        let endpoint = (method, path);
        let unknown = status(&router, endpoint, None).await;
        let refused = unknown == StatusCode::UNAUTHORIZED;
        assert_eq!(refused, needed.is_some(), "{method} {path} without a token");
        for (role, token) in &tokens {
            let given = status(&router, endpoint, Some(token)).await;
            assert_ne!(given, StatusCode::UNAUTHORIZED, "{method} {path} {role}");
            let small = given == StatusCode::FORBIDDEN;
            assert_eq!(
                small,
                needed > Some(*role),
                "{method} {path} {role}: {given}"
            );
        }
    }
}

#[test]
fn no_endpoint_is_missing_from_the_list_above() {
    let source = include_str!("../http.rs");
    let verbs = ["open", "read", "write", "admin"].map(|verb| format!(".{verb}(\""));
    let added = verbs
        .iter()
        .flat_map(|verb| source.split(verb.as_str()).skip(1));
    for rest in added {
        let path = rest.split('"').next().unwrap();
        let pattern = path.split('{').next().unwrap();
        let listed = ENDPOINTS.iter().any(|(_, p, _)| p.starts_with(pattern));
        assert!(listed, "{path} is not asked for its role");
    }
}
