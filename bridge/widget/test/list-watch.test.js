/** `watchList()` on a real Socket.IO server that plays the contract. */

import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { watchList } from "../src/wire.js";
import { ContractServer, until } from "./contract-server.js";

let server;
let lists = [];

const start = async (options) => {
  const list = await watchList({ url: server.url, ...options });
  list.log = [];
  for (const name of ["progress", "loaded", "online", "offline", "error", "bridge:event"]) {
    list.addEventListener(name, ({ type, detail }) => list.log.push([type, detail]));
  }
  lists.push(list);
  return list;
};
const sent = (name) => server.requests.filter(([kind]) => kind === name).map(([, request]) => request);
const fill = (count, more = {}) => {
  for (let n = 0; n < count; n += 1) server.state(`j${n}`, { user: "7", ...more });
};

beforeEach(async () => {
  server = await new ContractServer().listen();
});
afterEach(async () => {
  for (const each of lists) each.close();
  lists = [];
  await server.close();
});

describe("jobs of a user", () => {
  it("come page by page, then live, old and new ones", async () => {
    fill(600);
    const list = await start({ user: "7", token: "t" });
    await until(() => list.loaded);
    assert.equal(list.jobs.size, 600);
    assert.deepEqual(sent("watch").map(({ limit, cursor }) => [limit, cursor]), [[50, undefined], [250, "50"], [250, "300"], [250, "550"]]);
    server.state("j3", { current: 5 });
    server.state("new", { user: "7" });
    server.state("another's", { user: "8" });
    server.event("j3", "row", 1);
    await until(() => list.jobs.get("new"));
    assert.equal(list.jobs.get("j3").current, 5);
    assert.ok(!list.jobs.has("another's"));
    assert.deepEqual(list.actions("new"), ["watch"]);
  });

  it("are only so many as are wanted, until more are", async () => {
    fill(30);
    const list = await start({ user: "7", limit: 10 });
    await until(() => list.loaded);
    assert.deepEqual([list.jobs.size, list.hasMore], [10, true]);
    server.state("j0", { current: 9 });
    await until(() => list.jobs.has("j0"));
    list.more(100);
    await until(() => list.loaded && !list.hasMore);
    assert.equal(list.jobs.size, 30);
  });

  it("are read again after the connection was lost", async () => {
    fill(60);
    const list = await start({ user: "7" });
    await until(() => list.loaded);
    server.state("j0", { state: "SUCCESS" }, { live: false });
    server.state("missed", { user: "7" }, { live: false });
    server.cut();
    await until(() => list.jobs.get("j0").state === "SUCCESS" && list.jobs.has("missed"));
    assert.deepEqual(list.log.map(([type]) => type).filter((type) => type.endsWith("line")), ["online", "offline", "online"]);
  });

  it("are refused, or asked for with a fresh token once the old one has run out", async () => {
    server.tokens.set("user:7", "good");
    fill(3);
    const refused = await start({ user: "7", token: "bad" });
    await until(() => refused.refusal);
    assert.equal(refused.refusal.error, "forbidden");
    const renewed = await start({ user: "7", token: "t1" });
    assert.equal(renewed.jobs.size, 0);
    const list = await start({ user: "7", token: async () => "good" });
    await until(() => list.loaded);
    assert.equal(list.jobs.size, 3);
    server.tokens.set("user:7", "better");
    server.expired.add("good");
    list.close();
    const again = await start({ user: "7", token: async () => "better" });
    await until(() => again.loaded);
  });

  it("are left when nobody watches them", async () => {
    fill(1);
    const list = await start({ user: "7" });
    const other = await start({ jobs: ["j0"] });
    await until(() => list.loaded && other.loaded);
    list.close();
    await until(() => server.members("7", "user") === 0);
    assert.deepEqual(sent("unwatch"), [{ user: "7" }]);
    assert.equal(server.members("j0"), 1);
  });
});

describe("a workflow", () => {
  it("is its first job and all below it", async () => {
    server.state("root", {});
    server.state("child", { root: "root", parent: "root" });
    const list = await start({ root: "root" });
    await until(() => list.loaded);
    server.state("root", { state: "SUCCESS" });
    server.state("late", { root: "root", parent: "child" });
    await until(() => list.jobs.has("late") && list.jobs.get("root").state === "SUCCESS");
    assert.deepEqual([...list.jobs.keys()].sort(), ["child", "late", "root"]);
  });
});

describe("jobs by name", () => {
  it("are one watch without events, beside those who want them", async () => {
    for (const job of ["a", "b", "c"]) server.state(job, {});
    server.event("a", "row", 1);
    const list = await start({ jobs: ["a", "b", "c", "a"] });
    await until(() => list.loaded);
    assert.deepEqual(sent("watch"), [{ jobs: ["a", "b", "c"], token: undefined, events: false }].map((each) => JSON.parse(JSON.stringify(each))));
    assert.deepEqual(list.log.filter(([type]) => type === "bridge:event"), []);
    server.state("b", { state: "FAILURE" });
    await until(() => list.jobs.get("b").state === "FAILURE");
  });

  it("are told apart where some are refused", async () => {
    server.state("a", {});
    server.tokens.set("b", "x");
    const list = await start({ jobs: ["a", "b"] });
    await until(() => list.loaded);
    assert.deepEqual([list.jobs.size, list.refusal, list.refusals.get("b").error], [1, null, "forbidden"]);
  });

  it("can be asked to stop", async () => {
    server.state("a", {});
    const list = await start({ jobs: ["a"], token: "t" });
    await until(() => list.loaded);
    assert.equal(await list.cancel("a"), null);
    assert.deepEqual(sent("cancel"), [{ job: "a", token: "t" }]);
    server.cancelled = () => ({ ok: false, error: "finished", message: "m" });
    assert.equal((await list.cancel("a")).error, "finished");
  });
});

it("needs exactly one of user, root and jobs", async () => {
  await assert.rejects(() => watchList({ url: server.url }), /one of user, root and jobs/);
  await assert.rejects(() => watchList({ url: server.url, user: "7", root: "a" }), /one of user, root and jobs/);
});
