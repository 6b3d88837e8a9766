/** The plain API on a real Socket.IO server that plays the contract. */

import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { WatchError, watch } from "../src/watch.js";
import { ContractServer, until } from "./contract-server.js";

let server;
let watches = [];

const start = (job, options = {}) => {
  const started = watch(job, { url: server.url, ...options });
  started.log = [];
  for (const name of ["progress", "row", "success", "failure", "retry", "lost", "revoked", "gap", "online", "offline", "error", "bridge:event"]) {
    started.addEventListener(name, ({ type, detail }) => started.log.push({ type, detail }));
  }
  started.types = () => started.log.map(({ type }) => type).filter((type) => !["online", "bridge:event"].includes(type));
  started.rows = () => started.log.filter(({ type }) => type === "row").map(({ detail }) => detail.seq);
  watches.push(started);
  return started;
};
const watched = (name) => server.requests.filter(([kind]) => kind === name).map(([, request]) => request);

beforeEach(async () => {
  server = await new ContractServer().listen();
});
afterEach(async () => {
  for (const each of watches) each.close();
  watches = [];
  await server.close();
});

describe("a watch", () => {
  it("tells what was, then what comes", async () => {
    server.state("a", { current: 1 });
    server.event("a", "row", { line: 1 });
    const one = start("a");
    await until(() => one.rows().length === 1 && one.state);
    server.event("a", "row", { line: 2 });
    server.state("a", { state: "SUCCESS" });
    await until(() => one.types().includes("success"));
    assert.deepEqual(one.types(), ["row", "progress", "row", "progress", "success"]);
    assert.deepEqual(one.log.find(({ type }) => type === "row").detail.data, { line: 1 });
    assert.equal(one.state.state, "SUCCESS");
    assert.equal(one.since, 2);
  });

  it("waits for a job that is not known yet", async () => {
    const one = start("later");
    await until(() => server.members("later"));
    assert.equal(one.state, null);
    server.state("later", { state: "PENDING" });
    await until(() => one.state?.state === "PENDING");
  });

  it("that begins while the connection is being made joins it: a second one would be refused", async () => {
    const asking = [];
    server.space.use((_, next) => asking.push(next));
    start("a");
    await until(() => asking.length);
    start("b");
    asking[0]();
    await until(() => server.members("a") && server.members("b"));
    assert.equal(asking.length, 1);
  });

  it("goes on from a given number", async () => {
    for (const line of [1, 2, 3]) server.event("a", "row", { line });
    const one = start("a", { since: 2 });
    await until(() => one.rows().length);
    assert.deepEqual(one.rows(), [3]);
  });

  it("gives custom events whose name is ours under bridge:event only", async () => {
    const one = start("a");
    await until(() => server.members("a"));
    server.event("a", "gap", { mine: true });
    await until(() => one.log.some(({ type }) => type === "bridge:event"));
    assert.ok(!one.types().includes("gap"));
    assert.equal(one.log.find(({ type }) => type === "bridge:event").detail.name, "gap");
  });

  it("tells nothing after close", async () => {
    const one = start("a");
    await until(() => server.members("a"));
    one.close();
    server.state("a", { current: 1 });
    await until(() => server.connections === 0);
    assert.deepEqual(one.types(), []);
  });

  it("refuses what can't be watched", () => {
    assert.throws(() => watch("", { url: server.url }), /job must be a job's id/);
    assert.throws(() => watch(7, { url: server.url }), /not 7/);
    assert.throws(() => watch("a", { url: "ftp://example.test" }), /http: or https:, not ftp:/);
  });
});

describe("one connection", () => {
  it("serves all watches, and those of one token in one request", async () => {
    for (let i = 0; i < 250; i += 1) start(`job-${i}`, { token: "t" });
    start("other", { token: "u" });
    await until(() => server.members("job-249") && server.members("other"));
    assert.equal(server.connections, 1);
    assert.deepEqual(watched("watch").map(({ jobs, job }) => jobs?.length ?? job), [200, 50, "other"]);
  });

  it("asks once for two watches of one job, and both hear", async () => {
    server.event("a", "row", 1);
    server.event("a", "row", 2);
    const [one, two] = [start("a"), start("a", { since: 1 })];
    await until(() => one.rows().length && two.rows().length);
    assert.equal(watched("watch").length, 1);
    assert.deepEqual([one.rows(), two.rows()], [[1, 2], [2]]);
  });

  it("leaves a job with its last watcher, and the server with its last job", async () => {
    const [one, two, three] = [start("a"), start("a"), start("b")];
    await until(() => server.members("a") && server.members("b"));
    one.close();
    two.close();
    await until(() => server.members("a") === 0);
    assert.deepEqual(watched("unwatch"), [{ job: "a" }]);
    const again = start("a");
    await until(() => server.members("a") === 1);
    again.close();
    three.close();
    await until(() => server.connections === 0);
    const late = start("a");
    await until(() => server.members("a") === 1 && late.online);
  });

  it("falls back to polling where WebSockets don't pass", async () => {
    await server.close();
    server = await new ContractServer({ transports: ["polling"] }).listen();
    server.state("a", { current: 3 });
    const one = start("a");
    await until(() => one.state?.current === 3);
  });
});

describe("after a fault", () => {
  it("resumes where it was, when the line comes back", async () => {
    const one = start("a");
    await until(() => server.members("a"));
    server.event("a", "row", 1);
    await until(() => one.rows().length === 1);
    server.cut();
    await until(() => one.types().includes("offline"));
    server.event("a", "row", 2);
    server.state("a", { state: "SUCCESS" });
    await until(() => one.types().includes("success"));
    assert.deepEqual(one.types(), ["row", "offline", "row", "progress", "success"]);
    assert.equal(watched("watch").at(-1).since, 1);
    assert.equal(one.log.filter(({ type }) => type === "online").length, 2);
  });

  it("comes back after the server has closed the namespace", async () => {
    const one = start("a");
    await until(() => server.members("a"));
    server.space.disconnectSockets();
    await until(() => one.types().includes("offline"));
    await until(() => server.members("a") === 1);
  });

  it("tells that the server is away, and finds it later", async () => {
    const { port } = server;
    await server.close();
    const one = start("a");
    await until(() => one.types().includes("offline"));
    const late = start("b");
    await until(() => late.types().includes("offline"));
    server = await new ContractServer().listen(port);
    server.state("a", { current: 1 });
    await until(() => one.state && late.online);
  });

  it("fills a hole", async () => {
    const one = start("a");
    await until(() => server.members("a"));
    server.event("a", "row", 1, { live: false });
    server.event("a", "row", 2);
    await until(() => one.rows().length === 2);
    assert.deepEqual(one.rows(), [1, 2]);
    server.event("a", "row", 3, { live: false });
    server.state("a", { state: "SUCCESS" });
    await until(() => one.rows().length === 3);
    assert.ok(!one.types().includes("gap"));
  });

  it("outlives a lost journal", async () => {
    const one = start("a");
    await until(() => server.members("a"));
    for (const line of [1, 2, 3]) server.event("a", "row", line);
    server.state("a", { current: 3 });
    await until(() => one.state);
    server.lose("a");
    server.event("a", "row", 1, { live: false });
    server.state("a", { current: 4 });
    await until(() => one.rows().length === 4);
    assert.deepEqual(one.types(), ["row", "row", "row", "progress", "gap", "progress", "row"]);
  });

  it("asks again where the journal is away, and tells it once", async () => {
    const unavailable = () => ({ ok: false, error: "unavailable", message: "the journal is away" });
    server.faults.push(unavailable, unavailable);
    const one = start("a");
    server.state("a", { current: 1 });
    await until(() => one.state);
    assert.deepEqual(one.types(), ["error", "progress"]);
    assert.equal(watched("watch").length, 3);
  });
});

describe("without permission", () => {
  it("is told, and final", async () => {
    server.tokens.set("a", "good");
    const one = start("a", { token: "forged" });
    await until(() => one.refusal);
    assert.deepEqual(one.types(), ["error"]);
    assert.equal(one.refusal.error, "forbidden");
    server.cut();
    await until(() => one.types().includes("offline"));
    const good = start("a", { token: "good" });
    server.state("a", { current: 1 });
    await until(() => good.state);
    assert.equal(watched("watch").length, 2);
    assert.equal(one.state, null, "nothing reaches who was refused");
  });

  it("does not spoil the batch", async () => {
    server.faults.push(() => ({ ok: false, error: "bad_request", message: "b!d is no job id" }));
    const [good, bad] = [start("a"), start("b!d")];
    server.faults.push((request) => ({ ok: true, job: request.job, snapshot: null, events: [], gap: false }));
    server.faults.push(() => ({ ok: false, error: "bad_request", message: "b!d is no job id" }));
    await until(() => bad.refusal);
    assert.equal(good.refusal, null);
  });

  it("says expired of one job in a batch", async () => {
    server.tokens.set("a", "new");
    const [one, two] = [start("a", { token: "old" }), start("b", { token: "old" })];
    server.state("b", { current: 1 });
    await until(() => one.refusal && two.state);
    assert.equal(one.refusal.error, "expired");
  });
});

describe("the iterator", () => {
  it("yields events until the job has ended", async () => {
    server.state("a", { current: 1 });
    const types = [];
    const one = start("a");
    setTimeout(() => server.event("a", "row", 1), 100);
    setTimeout(() => server.state("a", { state: "FAILURE", error: { type: "E", message: "m" } }), 150);
    for await (const { type } of one) types.push(type);
    assert.deepEqual(types, ["online", "progress", "row", "progress", "failure"]);
    assert.ok(one.closed);
  });

  it("starts with the state as it is", async () => {
    server.state("a", { state: "SUCCESS" });
    const one = start("a");
    await until(() => one.state);
    const types = [];
    for await (const { type } of one) types.push(type);
    assert.deepEqual(types, ["progress"]);
  });

  it("ends with close, and closes when left", async () => {
    server.state("a", { current: 1 });
    const one = start("a");
    for await (const event of one) if (event.type === "progress") break;
    assert.ok(one.closed);
    const two = start("a");
    setTimeout(() => two.close(), 100);
    const types = [];
    for await (const { type } of two) types.push(type);
    assert.ok(!types.includes("success"));
  });

  it("throws what the server refused", async () => {
    server.tokens.set("a", "good");
    const read = async () => {
      for await (const event of start("a")) assert.ok(event);
    };
    await assert.rejects(read, (error) => error instanceof WatchError && error.error === "forbidden");
  });

  it("gives a slow reader the newest progress only", async () => {
    const one = start("a");
    const iterator = one[Symbol.asyncIterator]();
    const first = iterator.next();
    await until(() => server.members("a"));
    assert.equal((await first).value.type, "online");
    for (let current = 1; current <= 50; current += 1) server.state("a", { current });
    await until(() => one.state?.current === 50);
    assert.equal((await iterator.next()).value.detail.current, 50);
    await iterator.return();
  });
});
