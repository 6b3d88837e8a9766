// Node's own socket.io-client, driven by lines of JSON on stdin: {"ask": ["watch", {...}]} | {"received": true} |
// {"cut": true}, which breaks the connection and answers when it is back. Its first line tells that it is connected.
"use strict";

const { createRequire } = require("node:module");
const path = require("node:path");
const readline = require("node:readline");

const [, , url, packageFolder] = process.argv;
const { io } = createRequire(path.join(packageFolder, "package.json"))("socket.io-client");

const socket = io(`${url}/bridge`, { transports: ["websocket"] });
const received = [];
socket.onAny((name, data) => received.push([name, data]));

const answer = (value) => process.stdout.write(`${JSON.stringify(value)}\n`);

socket.once("connect", () => answer(true));

const lines = readline.createInterface({ input: process.stdin });
lines.on("line", async (line) => {
  const message = JSON.parse(line);
  if (message.received) return answer(received);
  if (message.cut) {
    socket.once("connect", () => answer(true));
    return socket.io.engine.close();
  }
  answer(await socket.timeout(10_000).emitWithAck(...message.ask));
});
lines.on("close", () => socket.close());
