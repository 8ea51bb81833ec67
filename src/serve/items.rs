//! Imported files: their list, what is known of each, and their bytes in whole or in part.
//! What somebody imported is data, and never runs in our origin: only media is shown, all else is saved.

use std::fmt::Write;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde::Serialize;

use super::api::fresh;
use super::byte_range::{Wanted, wanted};
use super::extract::{Path, Query};
use super::problem::Problem;
use super::recordings::blocking;
use super::router::Shared;
use crate::chunk::{ItemId, ItemName, ItemSource, MediaKind};
use crate::store::{ImportError, ItemContent, ItemEntry, ListPlace, ReadError, Store};

/// An item as the API shows it.
#[derive(Serialize)]
pub(super) struct ItemShown {
    id: String,
    name: String,
    media: &'static str,
    source: &'static str,
    camera: Option<String>,
    at: Option<String>,
    made: String,
    bytes: u64,
    /// Of its bytes, those that were not stored before.
    new_bytes: u64,
    digest: String,
    /// Whether the disk has damaged some of its bytes, and how many.
    damaged: bool,
    damaged_bytes: u64,
}

impl From<&ItemEntry> for ItemShown {
    fn from(item: &ItemEntry) -> Self {
        Self {
            id: item.id.to_string(),
            name: item.name.to_string(),
            media: match item.media {
                MediaKind::Video => "video",
                MediaKind::Sound => "sound",
                MediaKind::Still => "still",
                MediaKind::Other => "other",
            },
            source: match item.source {
                ItemSource::Import => "import",
                ItemSource::Upload => "upload",
            },
            camera: item.camera.as_ref().map(ToString::to_string),
            at: item.at.map(|at| at.to_string()),
            made: item.made.to_string(),
            bytes: item.bytes,
            new_bytes: item.new_bytes,
            digest: item.digest.to_string(),
            damaged: item.damaged_bytes > 0,
            damaged_bytes: item.damaged_bytes,
        }
    }
}

#[derive(Serialize)]
struct Items {
    items: Vec<ItemShown>,
    /// What to ask for as `before` to see those that came earlier, even if all of these are gone by then; null at the
    /// end.
    next: Option<String>,
}

/// Behind what a list is to go on.
#[derive(Clone, Copy)]
enum Before {
    /// What an answer called `next`.
    Place(ListPlace),
    /// Any item.
    Item(ItemId),
}

impl Before {
    fn read(query: &Query) -> Result<Option<Self>, Problem> {
        let Some(text) = query.get("before") else {
            return Ok(None);
        };
        let place = text.parse().map(Self::Place).ok();
        let before = place.or_else(|| item_id(text).map(Self::Item));
        before.map(Some).ok_or_else(|| {
            Problem::bad_request(format!(
                "before: `{text}` is neither the `next` of an answer nor the id of an item"
            ))
        })
    }

    fn place(self, store: &Store) -> Result<ListPlace, Problem> {
        match self {
            Self::Place(place) => Ok(place),
            Self::Item(id) => store.item_place(id)?.ok_or_else(|| {
                Problem::gone(format!(
                    "before: there is no item `{id}` any more; send the `next` of an answer, or no `before`"
                ))
            }),
        }
    }
}

fn item_id(text: &str) -> Option<ItemId> {
    text.parse().ok()
}

fn no_such(path: &Path) -> Problem {
    Problem::not_found(format!("there is no item `{}`", path.at(0)))
}

/// `GET /api/v1/items?limit=&before=`: newest first.
pub(super) async fn items(
    State(appliance): State<Shared>,
    query: Query,
) -> Result<Response, Problem> {
    let limit = query.limit()?;
    let before = Before::read(&query)?;
    let page = blocking(appliance, move |store| {
        let place = before.map(|before| before.place(store)).transpose()?;
        Ok(store.item_page(place, limit)?)
    })
    .await?;
    Ok(fresh(Items {
        items: page.items.iter().map(ItemShown::from).collect(),
        next: page.next.map(|place| place.to_string()),
    }))
}

async fn open(appliance: Shared, path: &Path) -> Result<ItemContent, Problem> {
    let id = item_id(path.at(0)).ok_or_else(|| no_such(path))?;
    let content = blocking(appliance, move |store| Ok(store.open_item(id)?)).await?;
    content.ok_or_else(|| no_such(path))
}

/// `GET /api/v1/items/{id}`
pub(super) async fn item(State(appliance): State<Shared>, path: Path) -> Result<Response, Problem> {
    let content = open(appliance, &path).await?;
    Ok(fresh(ItemShown::from(content.item())))
}

/// `DELETE /api/v1/items/{id}`
pub(super) async fn remove_item(
    State(appliance): State<Shared>,
    path: Path,
) -> Result<Response, Problem> {
    let id = item_id(path.at(0)).ok_or_else(|| no_such(&path))?;
    if !blocking(appliance, move |store| Ok(store.remove_item(id)?)).await? {
        return Err(no_such(&path));
    }
    Ok(StatusCode::NO_CONTENT.into_response())
}

impl From<ImportError> for Problem {
    fn from(error: ImportError) -> Self {
        match error {
            ImportError::NotMedia => Self::unsupported_media_type(error.to_string()),
            ImportError::NotAFile | ImportError::Changed => Self::bad_request(error.to_string()),
            ImportError::Busy
            | ImportError::DiskFull(_)
            | ImportError::NotWritable(_)
            | ImportError::Unanswered => Self::unavailable(error.to_string(), 5),
            ImportError::Source(_) => Self::internal(&error),
            ImportError::Read(error) => error.into(),
        }
    }
}

/// `GET /api/v1/items/{id}/content`, also with `Range`.
pub(super) async fn content(
    State(appliance): State<Shared>,
    path: Path,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    respond(open(appliance, &path).await?, &headers).await
}

/// How a file is shown or saved, under its own name whatever characters that has. (RFC 6266 §4, RFC 8187 §3.2)
fn disposition(name: &ItemName, is_media: bool) -> String {
    let kind = if is_media { "inline" } else { "attachment" };
    let plain: String = name
        .as_str()
        .chars()
        .map(|c| match c {
            '"' | '\\' | '%' => '_',
            c if c.is_ascii_graphic() || c == ' ' => c,
            _ => '_',
        })
        .collect();
    let mut value = format!("{kind}; filename=\"{plain}\"; filename*=UTF-8''");
    for byte in name.as_str().bytes() {
        if byte.is_ascii_alphanumeric() || b"!#$&+-.^_`|~".contains(&byte) {
            value.push(char::from(byte));
        } else {
            write!(value, "%{byte:02X}").expect("a text takes what is written");
        }
    }
    value
}

/// Where an answer that was to go from `from` to `to` ends: a part before what is damaged, so that all that is sound can
/// be had (RFC 9110 §15.3.7 lets a part be shorter than what was asked for); the whole never.
fn sound_until(
    content: &ItemContent,
    status: StatusCode,
    from: u64,
    to: u64,
) -> Result<u64, ReadError> {
    match content.damage_within(from, to)? {
        None => Ok(to),
        Some(damage) if status == StatusCode::PARTIAL_CONTENT && damage.start > from => {
            Ok(damage.start)
        }
        Some(damage) => Err(ReadError::ItemDamaged {
            name: content.item().name.clone(),
            from: damage.start,
            to: damage.end,
        }),
    }
}

/// The answer that a request for an item's bytes gets.
async fn respond(mut content: ItemContent, request: &HeaderMap) -> Result<Response, Problem> {
    let bytes = content.item().bytes;
    let tag = format!("\"{}\"", content.item().digest);
    let tag_value = HeaderValue::from_str(&tag).map_err(|error| Problem::internal(&error))?;
    let mut headers = HeaderMap::new();
    headers.insert(header::ETAG, tag_value);
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    // Only for who asked, and to be asked for again, since it may be removed.
    headers.insert(
        header::CACHE_CONTROL,
        HeaderValue::from_static("private, no-cache"),
    );
    let (status, from, to) = match wanted(request, bytes, &tag) {
        Wanted::NotModified => return Ok((StatusCode::NOT_MODIFIED, headers).into_response()),
        Wanted::Whole => (StatusCode::OK, 0, bytes),
        Wanted::Part(part) => (StatusCode::PARTIAL_CONTENT, part.start, part.end),
        Wanted::Unsatisfiable => {
            let detail = format!("range: it starts behind the end; there are {bytes} bytes");
            return Err(Problem::range_not_satisfiable(detail, bytes));
        }
    };
    let (content, to, kind) = tokio::task::spawn_blocking(move || {
        let to = sound_until(&content, status, from, to)?;
        let kind = match content.content_type() {
            // What lies behind can be had all the same, to be saved.
            Err(ReadError::ItemDamaged { .. }) => None,
            kind => kind?,
        };
        Ok::<_, ReadError>((content, to, kind))
    })
    .await
    .map_err(|error| Problem::internal(&error))??;
    if status == StatusCode::PARTIAL_CONTENT {
        let told = format!("bytes {from}-{}/{bytes}", to - 1);
        let told = HeaderValue::from_str(&told).map_err(|error| Problem::internal(&error))?;
        headers.insert(header::CONTENT_RANGE, told);
    }
    let shown = disposition(&content.item().name, kind.is_some());
    let shown = HeaderValue::from_str(&shown).map_err(|error| Problem::internal(&error))?;
    headers.insert(header::CONTENT_DISPOSITION, shown);
    let kind = kind.unwrap_or("application/octet-stream");
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CONTENT_LENGTH, (to - from).into());
    // One piece at a time, read when the viewer has taken the one before: memory is flat.
    let pieces = stream::try_unfold((content, from), move |(mut content, from)| async move {
        if from >= to {
            return Ok(None);
        }
        let load = move || {
            let bytes = content.load_from(from);
            bytes.map(|bytes| bytes.map(|bytes| (bytes, content)))
        };
        let loaded = tokio::task::spawn_blocking(load)
            .await
            .map_err(std::io::Error::other)?;
        let loaded = loaded.map_err(|error| {
            tracing::error!(%error, "an imported file cannot be read");
            std::io::Error::other(error)
        })?;
        let Some((mut bytes, content)) = loaded else {
            return Ok(None);
        };
        bytes.truncate(usize::try_from(to - from).unwrap_or(usize::MAX));
        let next = from + bytes.len() as u64;
        Ok::<_, std::io::Error>(Some((bytes, (content, next))))
    });
    Ok((status, headers, Body::from_stream(pieces)).into_response())
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::sync::Arc;

    use axum::http::HeaderName;

    use super::*;
    use crate::base::SystemClock;
    use crate::store::{ImportMeta, Origin, StoreOptions, scrub_once};

    #[test]
    fn names_are_told_in_any_script_and_break_out_of_nothing() {
        for (name, is_media, expected) in [
            (
                "a.mp4",
                true,
                "inline; filename=\"a.mp4\"; filename*=UTF-8''a.mp4",
            ),
            (
                "x\"; a=b%.html",
                false,
                "attachment; filename=\"x_; a=b_.html\"; filename*=UTF-8''x%22%3B%20a%3Db%25.html",
            ),
            (
                "Über.mov",
                true,
                "inline; filename=\"_ber.mov\"; filename*=UTF-8''%C3%9Cber.mov",
            ),
        ] {
            let name = name.parse().expect("a name");
            assert_eq!(disposition(&name, is_media), expected);
        }
    }

    /// What a request with these headers gets of an item.
    async fn get(
        name: &str,
        bytes: &[u8],
        request: &[(HeaderName, &'static str)],
    ) -> (StatusCode, HeaderMap, Vec<u8>) {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join(name);
        std::fs::write(&path, bytes).expect("a file");
        let store = open_store(&dir.path().join("data"));
        let id = import(&store, &path);
        answer(&store, id, request).await
    }

    fn open_store(data: &std::path::Path) -> Store {
        let options = StoreOptions {
            ballast_bytes: 0,
            free_bytes_min: 0,
            ..StoreOptions::default()
        };
        let opened = Store::open(data, options, Arc::new(SystemClock));
        opened.expect("it opens").0
    }

    fn import(store: &Store, path: &std::path::Path) -> ItemId {
        let name = path.file_name().and_then(|name| name.to_str());
        let meta = ImportMeta {
            name: name.expect("text").parse().expect("a name"),
            source: ItemSource::Import,
            camera: None,
            at: None,
            origin: Origin::Path(path.to_owned()),
        };
        let imported = store.import(File::open(path).expect("a file"), &meta, |_| {});
        imported.expect("it is imported").id
    }

    /// What a request with these headers gets of an item that is stored.
    async fn answer(
        store: &Store,
        id: ItemId,
        request: &[(HeaderName, &'static str)],
    ) -> (StatusCode, HeaderMap, Vec<u8>) {
        let content = store.open_item(id).expect("readable");
        let headers = request
            .iter()
            .map(|(name, value)| (name.clone(), HeaderValue::from_static(value)));
        let request: HeaderMap = headers.collect();
        let response = match respond(content.expect("there"), &request).await {
            Ok(response) => response,
            Err(problem) => problem.into_response(),
        };
        let (parts, body) = response.into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await.expect("whole");
        (parts.status, parts.headers, body.to_vec())
    }

    fn picture() -> Vec<u8> {
        let noise = (0..400_000u32).flat_map(|n| (n.wrapping_mul(2_654_435_761)).to_be_bytes());
        [b"\xFF\xD8\xFF\xE0".to_vec(), noise.collect()].concat()
    }

    #[tokio::test]
    async fn an_item_is_sent_whole_or_in_part() {
        let bytes = picture();
        let (status, headers, body) = get("a.jpg", &bytes, &[]).await;
        assert_eq!((status, body == bytes), (StatusCode::OK, true));
        assert_eq!(headers["content-type"], "image/jpeg");
        assert_eq!(headers["content-length"], bytes.len().to_string().as_str());
        let part = [(header::RANGE, "bytes=70000-900000")];
        let (status, headers, body) = get("a.jpg", &bytes, &part).await;
        assert_eq!(status, StatusCode::PARTIAL_CONTENT);
        assert!(body == bytes[70_000..=900_000]);
        let told = format!("bytes 70000-900000/{}", bytes.len());
        assert_eq!(headers["content-range"], told.as_str());
        let behind = [(header::RANGE, "bytes=9000000-")];
        let (status, headers, _) = get("a.jpg", &bytes, &behind).await;
        assert_eq!(status, StatusCode::RANGE_NOT_SATISFIABLE);
        let told = format!("bytes */{}", bytes.len());
        assert_eq!(headers["content-range"], told.as_str());
        assert_eq!(headers["content-type"], "application/problem+json");
    }

    #[tokio::test]
    async fn a_part_of_other_bytes_is_not_mixed_in_and_known_bytes_are_not_sent() {
        let bytes = picture();
        let other = [
            (header::RANGE, "bytes=0-9"),
            (header::IF_RANGE, "\"something else\""),
        ];
        let (status, headers, body) = get("a.jpg", &bytes, &other).await;
        assert_eq!((status, body.len()), (StatusCode::OK, bytes.len()));
        let tag = headers["etag"].to_str().expect("text").to_owned();
        let known: &'static str = tag.leak();
        let (status, _, body) = get("a.jpg", &bytes, &[(header::IF_NONE_MATCH, known)]).await;
        assert_eq!((status, body.len()), (StatusCode::NOT_MODIFIED, 0));
    }

    #[tokio::test]
    async fn of_a_damaged_file_the_sound_parts_are_sent_and_the_rest_is_refused() {
        let bytes = picture();
        let dir = tempfile::tempdir().expect("a folder");
        let (path, data) = (dir.path().join("a.jpg"), dir.path().join("data"));
        std::fs::write(&path, &bytes).expect("a file");
        let store = open_store(&data);
        let id = import(&store, &path);
        store.close();
        drop(store);
        let mut packs = std::fs::read_dir(data.join("pack")).expect("packs");
        let pack = packs.next().expect("one").expect("readable").path();
        let mut stored = std::fs::read(&pack).expect("readable");
        stored[700_000] ^= 1;
        std::fs::write(&pack, stored).expect("writable");
        let found = scrub_once(&data, |_, _| {}).expect("it is read");
        assert_eq!(found.packs.damaged.len(), 1);

        let store = open_store(&data);
        let shown = ItemShown::from(&store.items(None, 1).expect("readable")[0]);
        assert_eq!(shown.damaged_bytes, u64::from(found.packs.damaged[0].bytes));
        assert!(shown.damaged);
        let (status, _, body) = answer(&store, id, &[]).await;
        assert_eq!(status, StatusCode::GONE);
        let body = String::from_utf8(body).expect("text");
        assert!(body.contains("a.jpg: bytes ") && body.contains("import the same file again"));
        let range = |range| [(header::RANGE, range)];
        let (status, headers, body) = answer(&store, id, &range("bytes=9-")).await;
        assert_eq!(status, StatusCode::PARTIAL_CONTENT);
        assert!(body.len() > 300_000 && bytes[9..].starts_with(&body));
        let told = format!("bytes 9-{}/{}", 8 + body.len(), bytes.len());
        assert_eq!(headers["content-range"], told.as_str());
        assert_eq!(headers["content-length"], body.len().to_string().as_str());
        let (status, _, _) = answer(&store, id, &range("bytes=699000-699001")).await;
        assert_eq!(status, StatusCode::GONE);
        let (status, _, body) = answer(&store, id, &range("bytes=-1000")).await;
        assert_eq!(status, StatusCode::PARTIAL_CONTENT);
        assert!(bytes.ends_with(&body) && body.len() == 1000);
        import(&store, &path);
        let (status, _, body) = answer(&store, id, &[]).await;
        assert_eq!((status, body == bytes), (StatusCode::OK, true));
    }

    #[tokio::test]
    async fn a_page_is_saved_and_never_shown() {
        let page = b"<!doctype html><script>alert(1)</script>";
        let (_, headers, body) = get("a.jpg", page, &[]).await;
        assert_eq!(body, page);
        assert_eq!(headers["content-type"], "application/octet-stream");
        let shown = headers["content-disposition"].to_str().expect("text");
        assert!(shown.starts_with("attachment; "), "{shown}");
        let (status, headers, body) = get("empty", b"", &[]).await;
        assert_eq!((status, body.len()), (StatusCode::OK, 0));
        assert_eq!(headers["content-length"], "0");
    }
}
