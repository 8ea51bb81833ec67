// The pictures of a tile, against a box that takes its time.
import assert from "node:assert/strict";
import { test } from "node:test";
import { pass } from "./browser.js";
import { Stills } from "../src/stills.js";

function check<T>(got: T, expected: T): void {
  assert.deepEqual(got, expected);
}

/** Stills that are answered by hand: what was asked for, what of it was given up. */
function rig() {
  const asked: { address: string; done: (isThere: boolean) => void }[] = [];
  const givenUp: string[] = [];
  let number = 0;
  const stills = new Stills(
    () => `/still?t=${++number}`,
    (address, done) => {
      asked.push({ address, done });
      return () => givenUp.push(address);
    },
  );
  return { stills, asked, givenUp };
}

test("a picture that takes longer than the next one is waited for, and shown", async () => {
  const { stills, asked, givenUp } = rig();
  stills.want(true);
  await pass(9000);
  check([asked.length, stills.shown.value], [1, ""]);
  asked[0]!.done(true);
  check([stills.shown.value, stills.isOld.value, givenUp.length], ["/still?t=1", false, 0]);
  await pass(3900);
  check(asked.length, 1);
  await pass(200);
  check(asked.length, 2);
});

test("a picture that does not come is given up, and the one on view says that it is old", async () => {
  const { stills, asked, givenUp } = rig();
  stills.want(true);
  await pass(100);
  asked[0]!.done(true);
  await pass(4000 + 9900);
  check([asked.length, givenUp, stills.isOld.value], [2, [], false]);
  await pass(200);
  check(givenUp, ["/still?t=2"]);
  await pass(1000);
  check([stills.isOld.value, stills.shown.value], [true, "/still?t=1"]);
  await pass(3000);
  check(asked.length, 3);
  asked[2]!.done(false);
  await pass(4100);
  asked[3]!.done(true);
  check([stills.isOld.value, stills.shown.value], [false, "/still?t=4"]);
});

test("nothing is asked for that is of no use, and what comes back is not asked for sooner", async () => {
  const { stills, asked, givenUp } = rig();
  stills.want(true);
  await pass(100);
  stills.want(false);
  check(givenUp, ["/still?t=1"]);
  await pass(60_000);
  check([asked.length, stills.isOld.value], [1, false]);
  stills.want(true);
  check(stills.isOld.value, true);
  await pass(0);
  asked[1]!.done(true);
  for (let turn = 0; turn < 5; turn++) {
    stills.want(false);
    stills.want(true);
    await pass(100);
  }
  check(asked.length, 2);
  await pass(4000);
  check(asked.length, 3);
});
