//! A running HTTP server that ends when its handle is dropped.

use std::io;
use std::net::SocketAddr;

use axum::extract::Request;
use axum::extract::connect_info::Connected;
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::serve::{IncomingStream, Listener};
use axum::{Router, serve};
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::tls::TlsListener;

/// Where a request came from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub SocketAddr);

impl Connected<IncomingStream<'_, TcpListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, TcpListener>) -> Self {
        Self(*stream.remote_addr())
    }
}

impl Connected<IncomingStream<'_, TlsListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, TlsListener>) -> Self {
        Self(*stream.remote_addr())
    }
}

/// Keeps a server running. Dropping it ends the server: it accepts nothing
/// more, and requests that still wait are answered 503.
#[derive(Debug)]
pub(crate) struct Serving {
    addr: SocketAddr,
    stop: watch::Sender<bool>,
}

impl Serving {
    /// Serves `router` on `listener` in a task of its own.
    pub(crate) fn start<L>(listener: L, router: Router) -> io::Result<Self>
    where
        L: Listener<Addr = SocketAddr>,
        Peer: for<'a> Connected<IncomingStream<'a, L>>,
    {
        let addr = listener.local_addr()?;
        let stop = watch::Sender::new(false);
        let stopped = stop.subscribe();
        let router = router.layer(from_fn(move |request: Request, next: Next| {
            until_stopped(stopped.clone(), request, next)
        }));
        let service = router.into_make_service_with_connect_info::<Peer>();
        let mut stopped = stop.subscribe();
        tokio::spawn(async move {
            let end = async move { wait(&mut stopped).await };
            // Only fails if accepting does, which axum retries itself.
            let _ = serve(listener, service).with_graceful_shutdown(end).await;
        });
        Ok(Self { addr, stop })
    }

    /// The address it listens on.
    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.stop.send_replace(true);
    }
}

async fn wait(stopped: &mut watch::Receiver<bool>) {
    // An error means that the sender is gone, which is the end as well.
    let _ = stopped.wait_for(|&stopped| stopped).await;
}

async fn until_stopped(
    mut stopped: watch::Receiver<bool>,
    request: Request,
    next: Next,
) -> Response {
    tokio::select! {
        response = next.run(request) => response,
        () = wait(&mut stopped) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}
