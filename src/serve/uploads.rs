//! Resumable uploads over HTTP: tus 1.0 and the IETF's drafts by their methods, and `GET` for people. `upload` has the
//! rules; what is stored is the store's business.
//!
//! A page of another site cannot upload: every request that changes something has a method, a media type or a header
//! field that browsers send across sites only after asking with `OPTIONS`, and that is never answered with leave.
//! (Fetch standard, CORS-preflight)

use axum::Json;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::bounds::Bounds;
use super::extract::Path;
use super::problem::Problem;
use super::recordings::blocking;
use super::router::Shared;
use super::upload_body::{Incoming, receive};
use super::upload_problem::not_inspected;
use crate::store::{NewUpload, Upload, UploadHold, UploadImport, UploadPhase};
use crate::upload::{
    CreationKind, Dialect, Fields, Lifetime, Line, Told, UploadId, UploadKind, UploadState,
    appended, created, inspected, upload_address,
};

/// What all answers about uploads have: the protocol, if it was tus (1.0, core), and that they are true only now.
pub(super) async fn speak(request: Request, next: Next) -> Response {
    const TUS: &str = "tus-resumable";
    let is_tus = request.headers().contains_key(TUS);
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if is_tus {
        headers.insert(TUS, HeaderValue::from_static("1.0.0"));
    }
    response
}

fn fields(headers: &HeaderMap) -> Fields<'_> {
    let fields = headers.iter();
    fields
        .map(|(name, value)| (name.as_str(), value.as_bytes()))
        .collect()
}

fn answer(status: StatusCode, lines: Vec<Line>) -> Result<Response, Problem> {
    let mut response = status.into_response();
    for (name, value) in lines {
        let value = HeaderValue::from_str(&value).map_err(|error| Problem::internal(&error))?;
        response.headers_mut().insert(name, value);
    }
    Ok(response)
}

/// The upload that the address names.
fn named(path: &Path) -> Result<UploadId, Problem> {
    path.at(0)
        .parse()
        .map_err(|error| Problem::not_found(format!("`{}`: {error}", path.at(0))))
}

fn told<'a>(appliance: &Shared, upload: &'a Upload) -> Told<'a> {
    Told {
        id: upload.id,
        state: upload.state,
        metadata: upload.metadata.as_str(),
        parts: &upload.parts,
        lifetime: Lifetime {
            now: appliance.clock().wall(),
            until: upload.expires,
        },
    }
}

/// Whether the client sends its body without waiting for a word. (RFC 9110 §10.1.1)
fn may_drain(headers: &HeaderMap) -> bool {
    !headers.contains_key(header::EXPECT)
}

/// `OPTIONS /api/v1/uploads` and below. Gives no leave to pages of other origins.
pub(super) async fn abilities() -> Result<Response, Problem> {
    answer(StatusCode::NO_CONTENT, crate::upload::abilities())
}

/// `POST /api/v1/uploads`: begins an upload, with or without data.
pub(super) async fn create(
    State(appliance): State<Shared>,
    State(bounds): State<Bounds>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let request = crate::upload::Request::read(fields(&headers))?;
    let dialect = request.dialect;
    let creation = request.creation()?;
    let (kind, parts) = match creation.kind {
        CreationKind::Single => (UploadKind::Single, Vec::new()),
        CreationKind::Partial => (UploadKind::Partial, Vec::new()),
        CreationKind::Final(parts) => (UploadKind::Final, parts),
    };
    let delivery = creation.delivery.filter(|delivery| !delivery.is_empty());
    if let Some(delivery) = &delivery {
        // So that nothing is begun for data that cannot be taken.
        delivery.admit(&UploadState {
            kind,
            length: creation.length,
            offset: 0,
            is_complete: false,
        })?;
    }
    let new = NewUpload {
        kind,
        length: creation.length,
        is_complete: dialect.ends_at_length() && creation.length == Some(0),
        metadata: creation.metadata,
        parts,
    };
    let place = delivery.map(|_| bounds.upload()).transpose()?;
    let store = appliance.store().clone();
    let mut upload = blocking(Shared::clone(&appliance), |store| {
        Ok(store.begin_upload(new)?)
    })
    .await?;
    if let (Some(delivery), Some(place)) = (delivery, place)
        && !upload.state.is_complete
    {
        let incoming = Incoming {
            store,
            id: upload.id,
            delivery,
            is_new: true,
            _place: place,
        };
        upload = receive(incoming, body, may_drain(&headers)).await?;
    }
    answer(
        StatusCode::CREATED,
        created(dialect, &told(&appliance, &upload)),
    )
}

/// `PATCH /api/v1/uploads/{id}`: adds data.
pub(super) async fn append(
    State(appliance): State<Shared>,
    State(bounds): State<Bounds>,
    path: Path,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let request = crate::upload::Request::read(fields(&headers))?;
    let incoming = Incoming {
        store: appliance.store().clone(),
        id: named(&path)?,
        delivery: request.delivery()?,
        is_new: false,
        _place: bounds.upload()?,
    };
    let upload = receive(incoming, body, may_drain(&headers)).await?;
    let lines = appended(request.dialect, &told(&appliance, &upload));
    answer(StatusCode::NO_CONTENT, lines)
}

/// `HEAD /api/v1/uploads/{id}`: how far an upload is. Ends a request that still works on it, which the client must
/// have given up.
pub(super) async fn inspect(
    State(appliance): State<Shared>,
    path: Path,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let dialect = Dialect::of(&fields(&headers))?;
    let id = named(&path)?;
    let found = blocking(Shared::clone(&appliance), move |store| {
        let found = store.take_upload(id).and_then(|hold| hold.upload());
        found.map_err(|error| not_inspected(error, dialect))
    });
    let upload = found.await?;
    if let UploadPhase::Refused(reason) = &upload.phase {
        return Err(Problem::gone(reason));
    }
    let status = match dialect {
        Dialect::Tus => StatusCode::OK,
        Dialect::Draft(_) => StatusCode::NO_CONTENT,
    };
    answer(status, inspected(dialect, &told(&appliance, &upload)))
}

/// `DELETE /api/v1/uploads/{id}`: removes an upload, and what was imported of it so far. An item that it became stays.
pub(super) async fn remove(
    State(appliance): State<Shared>,
    path: Path,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    Dialect::of(&fields(&headers))?;
    let id = named(&path)?;
    blocking(appliance, move |store| {
        Ok(store.take_upload(id).and_then(UploadHold::remove)?)
    })
    .await?;
    answer(StatusCode::NO_CONTENT, Vec::new())
}

/// `POST /api/v1/uploads/{id}` with another method in `X-HTTP-Method-Override`, for clients whose own method does not
/// get through. (tus 1.0, core)
pub(super) async fn overridden(
    appliance: State<Shared>,
    bounds: State<Bounds>,
    path: Path,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let meant = headers.get("x-http-method-override");
    match meant.map(|method| Method::from_bytes(method.as_bytes())) {
        Some(Ok(Method::PATCH)) => append(appliance, bounds, path, headers, body).await,
        Some(Ok(Method::DELETE)) => remove(appliance, path, headers).await,
        Some(Ok(Method::HEAD)) => inspect(appliance, path, headers).await,
        _ => Err(Problem::method_not_allowed()),
    }
}

/// An upload for people.
#[derive(Serialize)]
struct UploadShown {
    id: String,
    address: String,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    item: Option<String>,
    /// While it is being imported: bytes that are dealt with.
    #[serde(skip_serializing_if = "Option::is_none")]
    imported_bytes: Option<u64>,
    kind: &'static str,
    name: Option<String>,
    r#type: Option<String>,
    /// All that its client said of it, as in `Upload-Metadata`.
    metadata: String,
    bytes: u64,
    length: Option<u64>,
    parts: Vec<String>,
    began: String,
    expires: String,
}

impl UploadShown {
    /// An upload that was read before `import` was asked how its import is.
    fn new(upload: Upload, import: impl FnOnce(UploadId) -> UploadImport) -> Self {
        let is_part = upload.state.kind == UploadKind::Partial;
        let (mut reason, mut item, mut imported_bytes) = (None, None, None);
        let state = match upload.phase {
            UploadPhase::Receiving => "uploading",
            UploadPhase::Complete if is_part => "uploaded",
            UploadPhase::Complete => {
                match import(upload.id) {
                    UploadImport::Waiting => {}
                    UploadImport::Running(progress) => imported_bytes = Some(progress.done),
                    UploadImport::Failing(trouble) => reason = Some(trouble),
                }
                "importing"
            }
            UploadPhase::Imported(made) => {
                item = Some(UploadId(made).to_string());
                "done"
            }
            UploadPhase::Refused(why) => {
                reason = Some(why);
                "refused"
            }
        };
        Self {
            id: upload.id.to_string(),
            address: upload_address(upload.id),
            state,
            reason,
            item,
            imported_bytes,
            kind: match upload.state.kind {
                UploadKind::Single => "single",
                UploadKind::Partial => "partial",
                UploadKind::Final => "final",
            },
            name: upload.metadata.name().map(str::to_owned),
            r#type: upload.metadata.media_type().map(str::to_owned),
            metadata: upload.metadata.as_str().to_owned(),
            bytes: upload.state.offset,
            length: upload.state.length,
            parts: upload.parts.iter().map(UploadId::to_string).collect(),
            began: upload.began.to_string(),
            expires: upload.expires.to_string(),
        }
    }
}

#[derive(Serialize)]
struct Uploads {
    uploads: Vec<UploadShown>,
}

/// `GET /api/v1/uploads`
pub(super) async fn list(State(appliance): State<Shared>) -> Result<Response, Problem> {
    let uploads = blocking(appliance, |store| {
        let uploads = store.uploads()?.into_iter();
        let shown = uploads.map(|upload| UploadShown::new(upload, |id| store.upload_import(id)));
        Ok(shown.collect::<Vec<_>>())
    });
    let uploads = uploads.await?;
    Ok(Json(Uploads { uploads }).into_response())
}

/// `GET /api/v1/uploads/{id}`: how far an upload is, for people and without ending what works on it.
pub(super) async fn show(State(appliance): State<Shared>, path: Path) -> Result<Response, Problem> {
    let id = named(&path)?;
    let found = blocking(appliance, move |store| {
        let found = store.upload(id)?;
        Ok(found.map(|upload| UploadShown::new(upload, |id| store.upload_import(id))))
    });
    let shown = found.await?;
    let shown = shown.ok_or_else(|| Problem::not_found(format!("there is no upload {id}")))?;
    Ok(Json(shown).into_response())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::base::SystemClock;
    use crate::store::{ImportProgress, Store, StoreOptions};
    use crate::upload::Metadata;

    #[test]
    fn only_what_is_being_imported_says_how_that_goes() {
        let dir = tempfile::tempdir().expect("a folder");
        let options = StoreOptions {
            ballast_bytes: 0,
            free_bytes_min: 0,
            ..StoreOptions::default()
        };
        let opened = Store::open(dir.path(), options, Arc::new(SystemClock));
        let begun = opened.expect("it opens").0.begin_upload(NewUpload {
            kind: UploadKind::Single,
            length: Some(9),
            is_complete: false,
            metadata: Metadata::default(),
            parts: Vec::new(),
        });
        let begun = begun.expect("it is begun");
        let item = [7; 16];
        let running = UploadImport::Running(ImportProgress { done: 5, total: 9 });
        let failing = UploadImport::Failing("disk full".to_owned());
        let refused = UploadPhase::Refused("it is no media".to_owned());
        let name = UploadId(item).to_string();
        for (kind, phase, import, expected) in [
            (
                UploadKind::Single,
                UploadPhase::Complete,
                UploadImport::Waiting,
                ("importing", None, None, None),
            ),
            (
                UploadKind::Final,
                UploadPhase::Complete,
                running.clone(),
                ("importing", None, None, Some(5)),
            ),
            (
                UploadKind::Single,
                UploadPhase::Complete,
                failing.clone(),
                ("importing", Some("disk full"), None, None),
            ),
            (
                UploadKind::Partial,
                UploadPhase::Complete,
                failing.clone(),
                ("uploaded", None, None, None),
            ),
            (
                UploadKind::Single,
                UploadPhase::Receiving,
                failing.clone(),
                ("uploading", None, None, None),
            ),
            // It has ended meanwhile.
            (
                UploadKind::Single,
                UploadPhase::Imported(item),
                running,
                ("done", None, Some(name.as_str()), None),
            ),
            (
                UploadKind::Single,
                refused,
                failing,
                ("refused", Some("it is no media"), None, None),
            ),
        ] {
            let mut upload = begun.clone();
            (upload.state.kind, upload.phase) = (kind, phase);
            let shown = UploadShown::new(upload, |_| import);
            let found = (
                shown.state,
                shown.reason.as_deref(),
                shown.item.as_deref(),
                shown.imported_bytes,
            );
            assert_eq!(found, expected);
        }
    }
}
