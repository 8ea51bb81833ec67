// Requests to the box, whose answers may begin and not end.
import assert from "node:assert/strict";
import { test } from "node:test";
import { askJson, fetchTimeline, reasonOf, Refusal } from "../src/archive.js";

/** Answers with a body that never comes, but is given up with the request. */
function begin(status: number): void {
  globalThis.fetch = ((_: string, { signal }: { signal: AbortSignal }) => {
    const json = (): Promise<never> => new Promise((_, reject) => signal.addEventListener("abort", () => reject(new DOMException("gone", "AbortError"))));
    return Promise.resolve({ ok: status < 400, status, json } as unknown as Response);
  }) as unknown as typeof fetch;
}

test("an answer that only began is called off with its request", async () => {
  begin(200);
  const control = new AbortController();
  const answer = fetchTimeline("test", { from: 0, to: 1000 }, 1, control.signal);
  // So that the body is waited for.
  await new Promise((resolve) => setImmediate(resolve));
  control.abort();
  await assert.rejects(answer, { name: "AbortError" });
});

test("a refusal carries the server's words, and a browser's own words reach nobody", async () => {
  globalThis.fetch = (() => Promise.resolve(Response.json({ detail: "the disk is full" }, { status: 507 }))) as typeof fetch;
  await assert.rejects(askJson("/api/v1/clips"), new Refusal("the disk is full", 507));
  assert.equal(reasonOf(new Refusal("the disk is full", 507)), "the disk is full");
  assert.equal(reasonOf(new TypeError("Failed to fetch")), "no answer; try it again");
  assert.equal(reasonOf(new DOMException("signal is aborted without reason"), "asked again"), "asked again");
});
