/** Whatever the network and the journal do, the view ends in the true state. */

import assert from "node:assert/strict";
import { it } from "node:test";
import fc from "fast-check";
import { JobView } from "../src/job-view.js";

/** The journal of one job, as DESIGN.md describes it. */
class Journal {
  rev = 0;
  kept;
  constructor(kept, lenient) {
    this.kept = kept;
    this.lenient = lenient;
    this.lose();
  }
  lose() {
    this.snapshot = null;
    this.events = [];
    this.last_seq = 0;
    this.epoch = null;
  }
  #next() {
    this.rev += 3;
    this.epoch ??= this.rev;
    return this.rev;
  }
  publishState(final) {
    const rev = this.#next();
    this.snapshot = { job: "j", state: final ? "SUCCESS" : "PROGRESS", rev, run: 1, last_seq: this.last_seq, epoch: this.epoch };
    return { name: "progress", message: this.snapshot };
  }
  publishEvent() {
    const rev = this.#next();
    const message = { job: "j", rev, run: 1, seq: ++this.last_seq, at: rev, data: null };
    this.events = [...this.events, { name: "row", ...message }].slice(-this.kept);
    if (this.snapshot) this.snapshot = { ...this.snapshot, last_seq: this.last_seq };
    return { name: "row", message };
  }
  read(asked) {
    // A server may see that the number is of a lost journal, and start from the first event.
    const since = this.lenient && asked > this.last_seq ? 0 : asked;
    const events = this.events.filter(({ seq }) => seq > since);
    return { snapshot: this.snapshot, events, gap: asked > since || since < this.last_seq && (events[0]?.seq ?? Infinity) > since + 1 };
  }
}

/** A client on a bad line; random choices come from the steps. */
class Client {
  view = new JobView();
  told = [];
  line = [];
  answer = null;
  wantsToAsk = true;
  connected = true;

  constructor(journal) {
    this.journal = journal;
  }
  take(effects) {
    for (const effect of effects) {
      if (effect.type === "hole") this.wantsToAsk = true;
      else this.told.push(effect);
    }
  }
  send(message, fate) {
    if (!this.connected || fate === "drop") return;
    const at = fate === "early" ? Math.max(0, this.line.length - 2) : this.line.length;
    this.line.splice(at, 0, message);
    if (fate === "twice") this.line.push(message);
  }
  ask() {
    if (!this.connected || !this.wantsToAsk || this.answer) return;
    this.wantsToAsk = false;
    const since = this.view.asking();
    this.answer = { since, reading: this.journal.read(since) };
  }
  hear() {
    if (!this.answer) return;
    const { reading, since } = this.answer;
    this.answer = null;
    this.take(this.view.answered(structuredClone(reading), since));
  }
  noAnswer() {
    if (!this.answer) return;
    this.answer = null;
    this.wantsToAsk = true;
    this.take(this.view.unanswered());
  }
  deliver(count) {
    for (const { name, message } of this.line.splice(0, count)) this.take(this.view.live(name, message));
  }
  cut() {
    this.connected = false;
    this.line = [];
    this.answer = null;
  }
  reconnect() {
    this.connected = true;
    this.wantsToAsk = true;
    this.view.asking();
  }
  /** The fault ends. @returns {number} answers that were needed */
  heal() {
    this.deliver(Infinity);
    this.cut();
    this.reconnect();
    let asked = 0;
    while (this.wantsToAsk && asked < 20) {
      this.ask();
      this.hear();
      asked += 1;
    }
    return asked;
  }
}

const fate = fc.constantFrom("pass", "pass", "pass", "drop", "twice", "early");
const step = (losses) =>
  fc.oneof(
    { weight: 6, arbitrary: fc.record({ do: fc.constant("event"), fate }) },
    { weight: 4, arbitrary: fc.record({ do: fc.constant("state"), fate }) },
    { weight: 4, arbitrary: fc.record({ do: fc.constant("deliver"), count: fc.nat(4) }) },
    { weight: 3, arbitrary: fc.record({ do: fc.constantFrom("ask", "hear", "hear") }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constantFrom("cut", "reconnect", "noAnswer", ...(losses ? ["lose"] : [])) }) },
  );

const play = (steps, kept, final, lenient) => {
  const journal = new Journal(kept, lenient);
  const client = new Client(journal);
  const published = [];
  /** Lost with their journal before the client had heard of the job at all: it cannot know of them. */
  let unknowable = new Set();
  const publish = ({ name, message }, how) => {
    if (name === "row") published.push(message.rev);
    client.send({ name, message }, how);
  };
  for (const { do: what, fate: how, count } of steps) {
    if (what === "event") publish(journal.publishEvent(), how);
    else if (what === "state") publish(journal.publishState(false), how);
    else if (what === "lose") {
      journal.lose();
      if (!client.told.length) unknowable = new Set(published);
    }
    else client[what](count);
  }
  publish(journal.publishState(final), "drop");
  const asked = client.heal();
  return { journal, client, published, unknowable, asked };
};

const eventsTold = (client) => client.told.filter(({ type }) => type === "event").map(({ event }) => event.rev);
const runs = { numRuns: Number(process.env.PROPERTY_RUNS ?? 3000) };

it("ends in the true state with every retained event told once, whatever happens", () => {
  fc.assert(
    fc.property(fc.array(step(true), { maxLength: 60 }), fc.integer({ min: 1, max: 8 }), fc.boolean(), fc.boolean(), (steps, kept, final, lenient) => {
      const { journal, client, asked } = play(steps, kept, final, lenient);
      assert.ok(asked < 8, `asked ${asked} times`);
      assert.equal(client.view.state.rev, journal.snapshot.rev);
      assert.equal(client.view.seq, journal.last_seq);
      assert.equal(client.view.complete, final);
      const told = eventsTold(client);
      assert.equal(new Set(told).size, told.length, "an event was told twice");
      for (const { rev } of journal.events) assert.ok(told.includes(rev), `retained event ${rev} was not told`);
    }),
    runs,
  );
});

it("tells every event in order, or a gap", () => {
  fc.assert(
    fc.property(fc.array(step(true), { maxLength: 60 }), fc.integer({ min: 1, max: 8 }), fc.boolean(), (steps, kept, lenient) => {
      const { client, published, unknowable } = play(steps, kept, true, lenient);
      if (client.told.some(({ type }) => type === "gap")) return;
      const told = eventsTold(client);
      assert.deepEqual(told, published.filter((rev) => told.includes(rev) || !unknowable.has(rev)));
    }),
    runs,
  );
});

it("tells no gap where all events are retained, and all of them in order", () => {
  fc.assert(
    fc.property(fc.array(step(false), { maxLength: 60 }), (steps) => {
      const { client, published } = play(steps, 1000, true);
      assert.deepEqual(client.told.filter(({ type }) => type === "gap"), []);
      assert.deepEqual(eventsTold(client), published);
    }),
    runs,
  );
});

it("never goes back in rev", () => {
  fc.assert(
    fc.property(fc.array(step(true), { maxLength: 60 }), (steps) => {
      const { client } = play(steps, 5, true);
      const revs = client.told.filter(({ type }) => type === "state").map(({ state }) => state.rev);
      assert.deepEqual(revs, [...revs].sort((a, b) => a - b));
    }),
    runs,
  );
});
