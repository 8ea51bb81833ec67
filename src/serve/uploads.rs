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
use crate::store::{NewUpload, Upload, UploadHold, UploadPhase};
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
        is_complete: dialect == Dialect::Tus && creation.length == Some(0),
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
        Ok(store.take_upload(id)?.upload()?)
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

/// `DELETE /api/v1/uploads/{id}`: removes an upload and what came of it.
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

impl From<Upload> for UploadShown {
    fn from(upload: Upload) -> Self {
        let is_part = upload.state.kind == UploadKind::Partial;
        let (state, reason, item) = match upload.phase {
            UploadPhase::Receiving => ("uploading", None, None),
            UploadPhase::Complete if is_part => ("uploaded", None, None),
            UploadPhase::Complete => ("importing", None, None),
            UploadPhase::Imported(item) => ("done", None, Some(UploadId(item).to_string())),
            UploadPhase::Refused(reason) => ("refused", Some(reason), None),
        };
        Self {
            id: upload.id.to_string(),
            address: upload_address(upload.id),
            state,
            reason,
            item,
            imported_bytes: None,
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
    let uploads = blocking(appliance, |store| Ok(store.uploads()?)).await?;
    let uploads = uploads.into_iter().map(UploadShown::from).collect();
    Ok(Json(Uploads { uploads }).into_response())
}

/// `GET /api/v1/uploads/{id}`: how far an upload is, for people and without ending what works on it.
pub(super) async fn show(State(appliance): State<Shared>, path: Path) -> Result<Response, Problem> {
    let id = named(&path)?;
    let found = blocking(appliance, move |store| {
        let trouble = store.upload_import_trouble();
        Ok((store.upload(id)?, store.upload_import(id), trouble))
    });
    let (upload, progress, trouble) = found.await?;
    let upload = upload.ok_or_else(|| Problem::not_found(format!("there is no upload {id}")))?;
    let is_complete = upload.phase == UploadPhase::Complete;
    let mut shown = UploadShown::from(upload);
    shown.imported_bytes = progress.map(|progress| progress.done);
    if is_complete && progress.is_none() {
        shown.reason = trouble;
    }
    Ok(Json(shown).into_response())
}
