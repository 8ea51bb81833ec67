// The files on the appliance: listed, shown, saved, deleted, and brought by choosing or dropping them.
import { useSignal } from "@preact/signals";
import { useEffect, useRef, useState } from "preact/hooks";
import { say } from "./announce.js";
import { reasonOf } from "./archive.js";
import { Confirm } from "./confirm.js";
import { hasMore, items, others, removeItem, showMore, trouble, uploads, watchFiles } from "./files.js";
import { damageWords, itemWords } from "./filewords.js";
import { Bin, Download, Upload } from "./icons.js";
import { itemPath, type Item } from "./items.js";
import { LeavingButton } from "./leaving.js";
import { OtherRow, SendingRow } from "./sending.js";
import { cameras, serverNow } from "./server.js";
import { ShowButton } from "./shown.js";
import { forgetTimeline } from "./timeline.js";
import { sentence } from "./words.js";

export function Files() {
  const [doomed, setDoomed] = useState<Item | null>(null);
  const [wrong, setWrong] = useState("");
  const dropping = useDropping(take);
  useEffect(watchFiles, []);

  const remove = async (item: Item): Promise<void> => {
    setDoomed(null);
    try {
      await removeItem(item);
      if (item.at !== null) forgetTimeline();
      setWrong("");
    } catch (error) {
      setWrong(`${item.name} was not deleted: ${reasonOf(error)}`);
    } finally {
      // The question took the focus along.
      document.getElementById("files")?.focus();
    }
  };
  const all = items.value;
  const coming = uploads.all.value.length + others.value.length;
  return (
    <section class="panel files" aria-labelledby="files" data-dropping={dropping.value || undefined}>
      <header>
        <h2 id="files" tabIndex={-1}>
          Files
        </h2>
        <Choose />
      </header>
      {dropping.value && (
        <p class="drop" aria-hidden="true">
          Drop them to upload them
        </p>
      )}
      {trouble.value && <p class="wrong">The files are not known: {sentence(trouble.value)}</p>}
      <p class="wrong" role="alert">
        {sentence(wrong)}
      </p>
      {coming > 0 && (
        <ul class="list" aria-label="Uploads">
          {uploads.all.value.map((one) => (
            <SendingRow one={one} key={one.key} onWrong={setWrong} />
          ))}
          {others.value.map((one) => (
            <OtherRow one={one} key={one.id} onWrong={setWrong} />
          ))}
        </ul>
      )}
      {all?.length === 0 && coming === 0 && <Nothing />}
      {all && all.length > 0 && (
        <ul class="list" aria-labelledby="files">
          {all.map((item) => (
            <li key={item.id}>
              <Row item={item} onDelete={() => setDoomed(item)} />
            </li>
          ))}
        </ul>
      )}
      {hasMore.value && (
        <LeavingButton class="button small" heir=".files li:last-child a" onClick={() => void showMore()}>
          Earlier files
        </LeavingButton>
      )}
      {doomed && (
        <Confirm title={`Delete “${doomed.name}”?`} yes="Delete" no="Keep it" onYes={() => void remove(doomed)} onClose={() => setDoomed(null)}>
          The file goes for good. What of it other files share stays with them.
        </Confirm>
      )}
    </section>
  );
}

function take(files: File[]): void {
  if (files.length === 0) return;
  const taken = uploads.add(files);
  const words = (some: File[], what: string): string => (some.length === 1 ? `${some[0]!.name} is ${what}.` : `${some.length} files are ${what}.`);
  say(taken.length > 0 ? words(taken, "being uploaded") : words(files, "being uploaded already"));
}

/** A button over the browser's own chooser, which nobody can style. */
function Choose() {
  const input = useRef<HTMLInputElement>(null);
  return (
    <>
      <button type="button" class="button" onClick={() => input.current?.click()}>
        <Upload />
        Upload files…
      </button>
      <input
        ref={input}
        type="file"
        multiple
        hidden
        aria-label="Files to upload"
        onChange={(event) => {
          take([...(event.currentTarget.files ?? [])]);
          // So that the same file can be chosen again.
          event.currentTarget.value = "";
        }}
      />
    </>
  );
}

function Nothing() {
  return (
    <p class="nothing">
      There are no files yet. Drop videos, sound or pictures anywhere on this page, or choose them; what lies on the box itself is brought by{" "}
      <code>perch import</code>.
    </p>
  );
}

function Row({ item, onDelete }: { item: Item; onDelete: () => void }) {
  const camera = cameras.value?.find(({ id }) => id === item.camera)?.name ?? item.camera ?? "";
  return (
    <>
      <ShowButton item={item} />
      <span class="list-words">
        <span class="list-name" title={item.name}>
          {item.name}
        </span>
        <span class="list-more">{itemWords(item, camera, serverNow())}</span>
        {item.damaged && <span class="list-more list-wrong">{damageWords(item)}</span>}
      </span>
      <a class="icon-button" href={itemPath(item.id)} download={item.name} aria-label={`Download ${item.name}`} title="Download">
        <Download />
      </a>
      <button type="button" class="icon-button" aria-label={`Delete ${item.name}`} title="Delete" onClick={onDelete}>
        <Bin />
      </button>
    </>
  );
}

/** Files may be dropped anywhere: beside a place of their own, the browser would leave the page for them. */
function useDropping(onFiles: (files: File[]) => void): { readonly value: boolean } {
  const dropping = useSignal(false);
  useEffect(() => {
    const carriesFiles = (event: DragEvent): boolean => event.dataTransfer?.types.includes("Files") ?? false;
    const over = (event: DragEvent): void => {
      if (!carriesFiles(event)) return;
      event.preventDefault();
      event.dataTransfer!.dropEffect = "copy";
      dropping.value = true;
    };
    const leave = (event: DragEvent): void => {
      // Out of the window, not from one element to the next.
      if (event.relatedTarget === null) dropping.value = false;
    };
    const drop = (event: DragEvent): void => {
      if (!carriesFiles(event)) return;
      event.preventDefault();
      dropping.value = false;
      const entries = [...event.dataTransfer!.items].filter((item) => item.kind === "file");
      const files = entries.filter((entry) => !entry.webkitGetAsEntry()?.isDirectory).flatMap((entry) => entry.getAsFile() ?? []);
      if (files.length < entries.length) say("A folder is not uploaded: choose the files in it.");
      onFiles(files);
    };
    document.addEventListener("dragover", over);
    document.addEventListener("dragleave", leave);
    document.addEventListener("drop", drop);
    return () => {
      document.removeEventListener("dragover", over);
      document.removeEventListener("dragleave", leave);
      document.removeEventListener("drop", drop);
    };
  }, []);
  return dropping;
}
