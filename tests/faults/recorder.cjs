// Node's own socket.io-client: tells all that it hears as lines of JSON, [what, name, data, at];
// `at` is the machine's monotonic clock in seconds. Takes {"tag": ..., "watch": {...}} on stdin.
"use strict";

const { createRequire } = require("node:module");
const path = require("node:path");
const readline = require("node:readline");

const [, , url, packageFolder] = process.argv;
const { io } = createRequire(path.join(packageFolder, "package.json"))("socket.io-client");

const socket = io(`${url}/bridge`, {
  transports: ["websocket"],
  reconnectionDelay: 100,
  reconnectionDelayMax: 1000,
});

const tell = (what, name = "", data = null) => {
  const at = Number(process.hrtime.bigint()) / 1e9;
  process.stdout.write(`${JSON.stringify([what, name, data, at])}\n`);
};

socket.on("connect", () => tell("connect"));
socket.on("disconnect", () => tell("disconnect"));
socket.onAny((name, data) => tell("live", name, data));

const lines = readline.createInterface({ input: process.stdin });
lines.on("line", (line) => {
  const { tag, watch } = JSON.parse(line);
  socket.emit("watch", watch, (answer) => tell("ack", tag, answer));
});
lines.on("close", () => socket.close());
