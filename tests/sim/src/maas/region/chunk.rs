//! Chunks of an upload, and what goes wrong with them on demand.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{Path, Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;

use super::store::bad_request;
use super::version::Release;
use super::{Served, Shared, is_admin, refused};

/// What nginx in front of MAAS lets pass, in bytes.
pub(super) const MAX_CHUNK_BYTES: usize = 10 << 20;

/// What goes wrong with one chunk of an upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The connection ends in the middle of the chunk; it is not appended.
    Cut,
    /// It is appended, and the connection ends before the answer.
    LostReply,
    /// It is appended, and nginx gives up before the answer.
    Timeout,
    /// It is not appended, and nginx says that MAAS is not there.
    Unavailable,
    /// Nothing more of it is read, ever: time to kill the client.
    Stall,
    /// Half of it is read, and no more, ever.
    StallHalf,
    /// It is appended, and no answer comes, ever.
    NoReply,
    /// A byte of it is changed on its way.
    Corrupted,
    /// The region's disk is full: MAAS up to 3.7 fails, 3.8 refuses and removes
    /// what it had.
    DiskFull,
}

/// nginx hands a request on when it has all of it, so a chunk is appended whole
/// or not at all.
pub(super) async fn chunk(
    State(shared): State<Arc<Shared>>,
    Path((id, file)): Path<(u64, u64)>,
    request: Request,
) -> Served {
    is_admin(&shared).map_err(refused)?;
    let length = request.headers().get(header::CONTENT_LENGTH);
    let length = length.and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    let length = length.ok_or_else(|| StatusCode::LENGTH_REQUIRED.into_response())?;
    if length > MAX_CHUNK_BYTES {
        return Err(StatusCode::PAYLOAD_TOO_LARGE.into_response());
    }
    let number = shared.count_chunk();
    let fault = shared.lock().faults.remove(&number);
    let half = length / 2;
    let mut bytes = match fault {
        Some(Fault::Cut) => {
            read(request.into_body(), half).await?;
            hang_up()
        }
        Some(Fault::StallHalf) => {
            let mut body = request.into_body().into_data_stream();
            let mut came = 0;
            while let Some(Ok(bytes)) = body.next().await
                && came < half
            {
                came += bytes.len();
            }
            stall(&shared).await
        }
        Some(Fault::Stall) => stall(&shared).await,
        _ => read(request.into_body(), length).await?,
    };
    if bytes.len() != length {
        let text = "Content-Length doesn't equal size of received data.";
        return Err(refused(bad_request(text)));
    }
    match fault {
        Some(Fault::Corrupted) => bytes[0] ^= 1,
        Some(Fault::Unavailable) => return Err(nginx(StatusCode::BAD_GATEWAY)),
        Some(Fault::DiskFull) => {
            let full = shared.lock().store.reject_full((id, file), &shared.rules());
            return Err(refused(full));
        }
        _ => {}
    }
    let rules = shared.rules();
    let appended = (shared.lock().store).append((id, file), &bytes, &rules);
    let at_once = shared.config.slow == 0 || rules.release < Release::V3_7;
    // Before 3.5 an image is complete by its length, whatever is answered.
    if at_once && (appended.is_err() || matches!(appended, Ok(true))) {
        shared.lock().store.share();
    }
    appended.map_err(refused)?;
    match fault {
        Some(Fault::LostReply) => hang_up(),
        Some(Fault::Timeout) => Err(nginx(StatusCode::GATEWAY_TIMEOUT)),
        Some(Fault::NoReply) => stall(&shared).await,
        _ => Ok("OK".into_response()),
    }
}

/// At least `length` bytes of a body, if they come.
async fn read(body: Body, length: usize) -> std::result::Result<Vec<u8>, Response> {
    let mut all = Vec::new();
    let mut stream = body.into_data_stream();
    while all.len() < length
        && let Some(bytes) = stream.next().await
    {
        let bytes: Bytes = bytes.map_err(|_| StatusCode::BAD_REQUEST.into_response())?;
        all.extend_from_slice(&bytes);
    }
    Ok(all)
}

/// Ends the connection's task, and the connection with it, without an answer.
fn hang_up() -> ! {
    std::panic::resume_unwind(Box::new("hung up on demand"))
}

async fn stall(shared: &Shared) -> ! {
    shared.stalled.send_modify(|count| *count += 1);
    std::future::pending().await
}

fn nginx(status: StatusCode) -> Response {
    let head = [(header::CONTENT_TYPE, "text/html")];
    let text = format!("<html><head><title>{status}</title></head></html>");
    (status, head, text).into_response()
}
