import assert from "node:assert/strict";
import { it } from "node:test";
import { Glide } from "../src/glide.js";

it("shows the first value, and the first of a new run, at once", () => {
  const glide = new Glide();
  assert.equal(glide.to(0.4, 1, false, 0), 0);
  assert.notEqual(glide.to(0.5, 1, false, 100), 0);
  assert.equal(glide.to(0.1, 2, false, 200), 0);
});

it("takes as long as the news are apart, within bounds", () => {
  const at = (interval) => {
    const glide = new Glide();
    let took;
    for (let n = 0; n < 40; n += 1) took = glide.to(n / 100, 1, false, n * interval);
    return took;
  };
  assert.equal(at(250), 250);
  assert.equal(at(1), 100);
  assert.equal(at(60_000), 1100);
});

it("leaves the bar alone where nothing changed, and does not wait for an end", () => {
  const glide = new Glide();
  glide.to(0.4, 1, false, 0);
  assert.equal(glide.to(0.4, 1, false, 100), null);
  assert.ok(glide.to(1, 1, true, 900) < 350);
});

it("starts anew after a value that nobody knows, and for another job", () => {
  const glide = new Glide();
  glide.to(0.4, 1, false, 0);
  assert.equal(glide.to(null, 1, false, 10), 0);
  assert.equal(glide.to(0.6, 1, false, 20), 0);
  glide.forget();
  assert.equal(glide.to(0.7, 1, false, 30), 0);
});
