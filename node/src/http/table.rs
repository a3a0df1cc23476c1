//! The endpoints with what each needs.
//!
//! *Invariants*: an endpoint cannot be added without a role, and every one of them, what is not
//! there too, has a door.
//!
//! *Not here*: the endpoints (`http`), the doors (`access`).

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodRouter, any};
use wire::access::Role;

use super::App;
use super::access::{Access, Door, Need, pass};
use super::reply::{self, Failed};

/// Endpoints under construction.
pub(super) struct Table {
    router: Router<App>,
    access: Arc<Access>,
}

impl Table {
    /// Returns a table without endpoints.
    pub(super) fn new(access: Arc<Access>) -> Self {
        let router = Router::new();
        Self { router, access }
    }

    /// Adds what anybody may ask who reaches the node.
    pub(super) fn open(self, path: &str, methods: MethodRouter<App>) -> Self {
        self.add(path, methods, Need::Nothing)
    }

    /// Adds what takes the role `read`.
    pub(super) fn read(self, path: &str, methods: MethodRouter<App>) -> Self {
        self.add(path, methods, Need::Role(Role::Read))
    }

    /// Adds what takes the role `write`.
    pub(super) fn write(self, path: &str, methods: MethodRouter<App>) -> Self {
        self.add(path, methods, Need::Role(Role::Write))
    }

    /// Adds what takes the role `admin`.
    pub(super) fn admin(self, path: &str, methods: MethodRouter<App>) -> Self {
        self.add(path, methods, Need::Role(Role::Admin))
    }

    /// Returns the endpoints; whatever else is asked for takes the role `read` to be told so.
    pub(super) fn finish(self, app: App) -> Router {
        let door = self.door(Need::Role(Role::Read));
        let nothing = any(reply::no_such_path).layer(from_fn_with_state(door.clone(), pass));
        let method = move |request: Request| {
            let admitted = door.admit(&request);
            let uri = request.uri().clone();
            async move {
                match admitted {
                    Ok(_) => reply::no_such_method(&uri),
                    Err(fault) => Failed::from(fault),
                }
            }
        };
        self.router
            .fallback_service(nothing)
            .method_not_allowed_fallback(method)
            .with_state(app)
    }

    fn add(mut self, path: &str, methods: MethodRouter<App>, need: Need) -> Self {
        let door = self.door(need);
        let guarded = methods.route_layer(from_fn_with_state(door, pass));
        self.router = self.router.route(path, guarded);
        self
    }

    fn door(&self, need: Need) -> Door {
        let access = Arc::clone(&self.access);
        Door { access, need }
    }
}
