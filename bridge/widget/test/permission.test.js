/** Tokens that run out, and cancelling: the plain API on a server that plays the contract. */

import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { WatchError, watch } from "../src/watch.js";
import { ContractServer, until } from "./contract-server.js";

let server;
let watches = [];

const start = (job, options = {}) => {
  const started = watch(job, { url: server.url, ...options });
  started.errors = [];
  started.rows = [];
  started.addEventListener("error", ({ detail }) => started.errors.push(detail.error));
  started.addEventListener("row", ({ detail }) => started.rows.push(detail.seq));
  watches.push(started);
  return started;
};
const sent = (name) => server.requests.filter(([kind]) => kind === name).map(([, request]) => request);

/** Gives "t1", "t2", ... and counts; each is good for these jobs. */
const granting = (...jobs) => {
  const grants = async () => {
    grants.times += 1;
    for (const job of jobs) server.tokens.set(job, `t${grants.times}`);
    return `t${grants.times}`;
  };
  grants.times = 0;
  return grants;
};
const at = (path, grants, more = {}) => {
  server.route(path, async () => [200, { token: await grants(), ...more }]);
  return `${server.url}${path}`;
};

beforeEach(async () => {
  server = await new ContractServer().listen();
});
afterEach(async () => {
  for (const each of watches) each.close();
  watches = [];
  await server.close();
});

describe("a token that has expired", () => {
  it("is renewed when the server refuses it", async () => {
    const tokenUrl = at("/token", granting("a"));
    server.tokens.set("a", "t1");
    const one = start("a", { token: "old", tokenUrl });
    server.state("a", { current: 1 });
    await until(() => one.state);
    assert.deepEqual(sent("watch").map(({ token }) => token), ["old", "t1"]);
    assert.deepEqual(one.errors, []);
  });

  it("while the job is watched, too, and no event is missed or told twice", async () => {
    const grants = granting("a");
    const one = start("a", { token: grants });
    await until(() => server.members("a"));
    server.event("a", "row", 1);
    await until(() => one.rows.length === 1);
    server.expire("a", "t1");
    server.event("a", "row", 2);
    await until(() => server.members("a"));
    server.event("a", "row", 3);
    await until(() => one.rows.length === 3);
    assert.deepEqual(one.rows, [1, 2, 3]);
    assert.deepEqual(one.errors, []);
    assert.equal(grants.times, 2);
  });

  it("is renewed once for all who share the address", async () => {
    const jobs = ["a", "b", "c"];
    const grants = granting(...jobs);
    const tokenUrl = at("/shared", grants);
    for (const job of jobs) server.tokens.set(job, "t0");
    const all = jobs.map((job) => start(job, { token: "t0", tokenUrl }));
    await until(() => jobs.every((job) => server.members(job)));
    for (const job of jobs) server.expire(job, "t0");
    await until(() => jobs.every((job) => server.members(job)));
    assert.equal(grants.times, 1);
    assert.ok(all.every(({ errors }) => !errors.length));
  });

  it("and can't be renewed: that is final, and told as expired", async () => {
    server.route("/gone", () => [403, {}]);
    server.tokens.set("a", "good");
    const one = start("a", { token: "old", tokenUrl: `${server.url}/gone` });
    await until(() => one.refusal);
    assert.deepEqual([one.refusal.error, one.errors], ["expired", ["expired"]]);
    assert.match(one.refusal.message, /\/gone answered 403/);
    assert.equal(sent("watch").length, 1);
  });

  it("that the server refuses time and again ends the tries", async () => {
    server.tokens.set("a", "good");
    let times = 0;
    const one = start("a", { token: () => server.expired.add(`x${++times}`) && `x${times}` });
    await until(() => one.refusal);
    assert.equal(one.refusal.error, "expired");
    assert.ok(times <= 4, `asked ${times} times`);
  });

  it("of somebody else on the page does not end our watch", async () => {
    const one = start("a", { token: "t0" });
    await until(() => server.members("a"));
    server.expire("a", "another");
    await until(() => server.members("a"));
    server.state("a", { current: 1 });
    await until(() => one.state);
    assert.deepEqual(one.errors, []);
  });

  it("without a way to renew it is final", async () => {
    server.tokens.set("a", "t0");
    const one = start("a", { token: "t0" });
    await until(() => server.members("a"));
    server.expire("a", "t0");
    await until(() => one.refusal);
    assert.equal(one.refusal.error, "expired");
  });

  it("is renewed ahead of time where its lifetime is known, without a hole in the watch", async () => {
    const grants = granting("a");
    const one = start("a", { tokenUrl: at("/short", grants, { expires_in: 1.2 }) });
    await until(() => grants.times === 3);
    await until(() => sent("watch").length === 3);
    assert.deepEqual(sent("watch").map(({ token }) => token), ["t1", "t2", "t3"]);
    assert.deepEqual(one.errors, []);
  });
});

describe("a watch without a token", () => {
  it("gets one first, from a function or an address", async () => {
    const one = start("a", { token: granting("a") });
    const two = start("b", { tokenUrl: at("/b", granting("b")) });
    server.state("a", { current: 1 });
    server.state("b", { current: 1 });
    await until(() => one.state && two.state);
    assert.deepEqual(new Set(sent("watch").map(({ token }) => token)), new Set(["t1"]));
  });

  it("that is closed meanwhile asks nothing", async () => {
    let grant;
    const one = start("a", { token: () => new Promise((resolve) => (grant = resolve)) });
    const two = start("b");
    await until(() => grant && server.members("b"));
    one.close();
    grant("late");
    server.state("b", { current: 1 });
    await until(() => two.state);
    assert.deepEqual(sent("watch").map(({ job }) => job), ["b"]);
  });

  it("outlives a reconnect while its token is on the way", async () => {
    let grant;
    const one = start("a", { token: () => new Promise((resolve) => (grant = resolve)) });
    await until(() => grant && one.online);
    server.cut();
    await until(() => one.online === false);
    await until(() => one.online);
    assert.deepEqual(sent("watch"), []);
    grant("t");
    server.state("a", { current: 1 });
    await until(() => one.state);
  });

  it("takes one way to get it, over http", () => {
    assert.throws(() => start("a", { token: () => "t", tokenUrl: "http://a.test/" }), /leave tokenUrl out/);
    assert.throws(() => start("a", { tokenUrl: "javascript:alert(1)" }), /must start with http/);
  });
});

describe("cancelling", () => {
  it("is allowed as the server says, and it may say otherwise later", async () => {
    const one = start("a", { token: "t" });
    assert.deepEqual(one.actions, []);
    let changes = 0;
    one.addEventListener("bridge:actions", () => (changes += 1));
    server.actions = ["watch", "cancel"];
    await until(() => one.actions.length);
    assert.deepEqual(one.actions, ["watch", "cancel"]);
    server.cut();
    await until(() => sent("watch").length === 2);
    server.actions = ["watch"];
    server.cut();
    await until(() => one.actions.length === 1);
    assert.equal(changes, 2);
  });

  it("of a server that knows nothing of it is not allowed", async () => {
    for (const [i, actions] of [undefined, null, "cancel", { cancel: true }, 5].entries()) {
      server.actions = actions;
      const one = start(`a${i}`);
      server.state(`a${i}`, { current: 1 });
      await until(() => one.state);
      assert.deepEqual(one.actions, []);
    }
  });

  it("tells the job with the watch's token", async () => {
    const one = start("a", { token: "t" });
    await until(() => server.members("a"));
    await one.cancel();
    assert.deepEqual(sent("cancel"), [{ job: "a", token: "t" }]);
  });

  it("throws what the server refused", async () => {
    const one = start("a", { token: "t" });
    await until(() => server.members("a"));
    for (const error of ["forbidden", "expired", "finished", "unknown_job"]) {
      server.cancelled = () => ({ ok: false, error, message: "no" });
      await assert.rejects(one.cancel(), (thrown) => thrown instanceof WatchError && thrown.error === error);
    }
    assert.equal(one.refusal, null, "the watch goes on");
  });

  it("renews a token whose permission to cancel has expired, once", async () => {
    const grants = granting("a");
    const one = start("a", { token: grants });
    await until(() => server.members("a"));
    server.cancelled = ({ token }) => (token === "t2" ? { ok: true } : { ok: false, error: "expired", message: "m" });
    await one.cancel();
    assert.deepEqual(sent("cancel").map(({ token }) => token), ["t1", "t2"]);
    server.cancelled = () => ({ ok: false, error: "expired", message: "m" });
    await assert.rejects(one.cancel(), ({ error }) => error === "expired");
    assert.equal(sent("cancel").length, 4);
  });

  it("without a connection is told at once, and not sent later", async () => {
    const one = start("a", { token: "t" });
    await until(() => server.members("a"));
    server.cut();
    await until(() => one.online === false);
    await assert.rejects(one.cancel(), ({ error }) => error === "unavailable");
    await until(() => server.members("a"));
    assert.deepEqual(sent("cancel"), []);
  });

  it("understands no other answer", async () => {
    const one = start("a", { token: "t" });
    await until(() => server.members("a"));
    for (const answer of [null, 5, "ok", [], {}, { ok: 1 }]) {
      server.cancelled = () => answer;
      await assert.rejects(one.cancel(), ({ error }) => error === "bad_answer");
    }
  });
});
