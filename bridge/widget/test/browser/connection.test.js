/** Socket.IO's client as the build makes it: by polling, by polling that becomes a WebSocket, over a fault between. */

import assert from "node:assert/strict";
import { describe } from "node:test";
import { until } from "../contract-server.js";
import { button, element, it, missing, serve, shows, stage } from "./page.js";

const on = stage();

const POLLING = { transports: ["polling"] };

/** In place of the server that each test has. */
const servedBy = async (options) => {
  await on.server.close();
  on.server = await serve(0, options);
};

/** The transports that a page's requests went by, each time it asked. */
const transportsOf = (page) => {
  const seen = [];
  const note = (url) => seen.push(...(/[?&]transport=(\w+)/.exec(url)?.slice(1) ?? []));
  page.on("request", (request) => note(request.url()));
  page.on("websocket", (socket) => note(socket.url()));
  return seen;
};

const add = (page, job) =>
  page.evaluate((id) => document.querySelector("main").append(Object.assign(document.createElement("task-progress"), { job: id })), job);

/** The server's answers to polls break off in the middle while `broken()`. */
const breakOff = (server, broken) => {
  const [answer] = server.http.listeners("request");
  server.http.removeAllListeners("request");
  server.http.on("request", (request, response) => {
    if (request.method !== "GET" || !request.url.includes("sid=") || !broken()) return answer(request, response);
    response.writeHead(200, { "content-type": "text/plain", "content-length": 1000 });
    response.write("42/bridge,");
    setTimeout(() => response.destroy(), 50);
  });
};

describe("the connection", { skip: missing }, () => {
  it("is a WebSocket from the first request on", async () => {
    on.server.state("a", { current: 1, total: 4 });
    const { page } = await on.visit("");
    const seen = transportsOf(page);
    await add(page, "a");
    await shows(page, "a", "25%");
    assert.deepEqual([...new Set(seen)], ["websocket"]);
  });

  it("polls where WebSockets don't pass, with the page's session, both ways", async () => {
    await servedBy(POLLING);
    const cookies = [];
    on.server.space.on("connection", ({ handshake }) => cookies.push(handshake.headers.cookie));
    on.server.actions = ["watch", "cancel"];
    on.server.state("a", { current: 1, total: 4, message: "Größe: 5 µm" });
    const { page } = await on.visit("");
    await page.context().addCookies([{ name: "session", value: "ann", url: on.server.url, httpOnly: true }]);
    const seen = transportsOf(page);
    await add(page, "a");
    await shows(page, "a", "Größe: 5 µm");
    on.server.state("a", { current: 2 });
    await shows(page, "a", "50%");
    await button(page, "a").click();
    await until(() => on.server.requests.some(([kind]) => kind === "cancel"), "the button's request comes");
    on.server.state("a", { state: "REVOKED" });
    await shows(page, "a", "Cancelled");
    assert.deepEqual(cookies, ["session=ann"]);
    assert.ok(seen.includes("polling"));
  });

  it("polls where WebSockets are swallowed, and is a WebSocket again where they pass", async () => {
    on.server.state("a", { current: 1, total: 4 });
    const { page } = await on.visit("");
    await page.addInitScript(() => {
      const { WebSocket } = window;
      let tries = 0;
      window.WebSocket = new Proxy(WebSocket, {
        construct: (made, given) => (tries++ ? new made(...given) : Object.assign(new EventTarget(), { close: () => {} })),
      });
    });
    on.server.page("/swallowed", `<!doctype html><title>Test</title><script type="module" src="/bridge/task-progress.js"></script>${element("a")}`);
    const seen = transportsOf(page);
    await page.goto(`${on.server.url}/swallowed`);
    const upgraded = () => [...on.server.space.sockets.values()].map(({ conn }) => conn.transport.name);
    await until(() => upgraded().join() === "websocket", "it polls first, then becomes a WebSocket", 20_000);
    assert.ok(seen.includes("polling"));
    await shows(page, "a", "25%");
    on.server.state("a", { current: 3 });
    await shows(page, "a", "75%");
  }, 40_000);

  it("comes back where an answer to a poll breaks off in the middle", async () => {
    await servedBy(POLLING);
    on.server.state("a", { current: 1, total: 4 });
    const { page } = await on.visit(element("a"));
    await shows(page, "a", "25%");
    let broken = 1;
    breakOff(on.server, () => broken-- > 0);
    on.server.state("a", { current: 2 });
    await until(() => broken < 1, "an answer breaks off");
    on.server.state("a", { current: 3 });
    await shows(page, "a", "75%");
  });

  it("is by the page's own client in the build without one, which draws as soon as its looks are there", async () => {
    const client = new URL("../../node_modules/socket.io-client/dist/socket.io.esm.min.js", import.meta.url);
    on.server.page("/client.js", client);
    on.server.page("/peer", `<!doctype html><title>Test</title>
      <script type="importmap">{"imports": {"socket.io-client": "/client.js"}}</script>
      <script type="module" src="/bridge/task-progress.peer.js"></script>
      ${element("a").replace("><", "><span>drawn by the server</span><")}`);
    on.server.state("a", { current: 1, total: 4 });
    const { page } = await on.visit("");
    let held;
    await page.route("**/task-progress.looks.js", (route) => (held = route));
    await page.goto(`${on.server.url}/peer`);
    await until(() => held && on.server.members("a"), "it watches, and asks for its looks");
    const words = page.locator("task-progress > span");
    await words.waitFor({ state: "visible" });
    await held.continue();
    await shows(page, "a", "25%");
    assert.equal(await words.isVisible(), false);
  });

  for (const options of [{}, POLLING]) {
    it(`lives on where somebody else sends bytes (${options.transports ?? "websocket"})`, async () => {
      await servedBy(options);
      on.server.state("a", { current: 1, total: 4 });
      const { page, faults } = await on.visit(element("a"));
      await shows(page, "a", "25%");
      on.server.space.emit("picture", { job: "a", data: Buffer.from("a picture") });
      on.server.state("a", { current: 2 });
      await shows(page, "a", "50%");
      assert.equal(on.server.requests.filter(([kind]) => kind === "watch").length, 1, "over the same connection");
      assert.deepEqual(faults.filter((fault) => !fault.startsWith("WebSocket connection to")), []);
    });
  }
});
