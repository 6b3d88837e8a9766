import assert from "node:assert/strict";
import { afterEach, beforeEach, it } from "node:test";
import { WIRE } from "../src/wire.js";
import { WorkflowWatch, summed } from "../src/workflow.js";
import { ContractServer, until } from "./contract-server.js";

const state = (job, more) => [job, { job, rev: 1, state: "PROGRESS", task: `shop.${job}`, ...more }];
let server;

beforeEach(async () => {
  server = await new ContractServer().listen();
});
afterEach(() => server.close());

it("each job counts alike, and is told by itself", () => {
  const sum = summed(new Map([state("root", { state: "SUCCESS" }), state("read_rows", { current: 1, total: 2 }), state("b", { state: "PENDING" })]), "root");
  assert.deepEqual([sum.state, sum.current, sum.total, sum.task], ["PROGRESS", 1, 3, "shop.root"]);
  assert.deepEqual(sum.stages.map(({ name, state: told }) => [name, told]), [["B", "PROGRESS"], ["Read rows", "PROGRESS"], ["Root", "SUCCESS"]]);
});

it("its jobs stand in the order in which they began: the root of a chain is its last task", () => {
  const chain = new Map([state("third", { queued_at: 1, state: "PENDING" }), state("second", { queued_at: 9, started_at: 9 }), state("first", { queued_at: 2, started_at: 2 })]);
  assert.deepEqual(summed(chain, "third").stages.map(({ name }) => name), ["First", "Second", "Third"]);
});

it("it has ended when all have, and failed if one has", () => {
  const sum = (...states) => summed(new Map(states.map((each, n) => state(`j${n}`, each))), "j0");
  assert.equal(sum({ state: "SUCCESS" }, { state: "PENDING" }).state, "PROGRESS");
  assert.equal(sum({ state: "PENDING" }).state, "PENDING");
  assert.equal(sum({ state: "SUCCESS" }, { state: "SUCCESS" }).state, "SUCCESS");
  assert.equal(sum({ state: "SUCCESS" }, { state: "REVOKED" }).state, "REVOKED");
  const failed = sum({ state: "REVOKED" }, { state: "FAILURE", error: { type: "E", message: "m" } });
  assert.deepEqual([failed.state, failed.error.type], ["FAILURE", "E"]);
  assert.equal(summed(new Map(), "j0"), null);
});

it("is told as one job is", async () => {
  server.state("root", {});
  server.state("child", { root: "root", parent: "root", current: 1, total: 2 });
  const watch = new WorkflowWatch(WIRE, { root: "root", url: server.url });
  const told = [];
  for (const name of ["progress", "success", "failure"]) watch.addEventListener(name, () => told.push(name));
  await until(() => watch.part === 0.25);
  for (const job of ["root", "child"]) server.state(job, { state: "SUCCESS" });
  await until(() => told.includes("success"));
  assert.deepEqual([watch.part, watch.state.current], [1, 2]);
  watch.close();
});
