import assert from "node:assert/strict";
import { it } from "node:test";
import { backoffMs } from "../src/backoff.js";

it("doubles from half a second to three seconds, jittered", () => {
  const most = (tries) => backoffMs(tries, () => 1);
  assert.deepEqual([0, 1, 2, 3, 4, 1000].map(most), [500, 1000, 2000, 3000, 3000, 3000]);
  assert.equal(backoffMs(3, () => 0), most(3) / 2);
});
