/**
 * Socket.IO's client without what no page of ours asks for: a plugin for esbuild.
 *
 * The library is made for browsers of 2011 and for every use; ours is JSON over WebSocket and polling in a
 * browser of today. So some of its modules are replaced, each by the least that the others take from it.
 * Only what we bundle is changed: who brings a client (`task-progress.peer.js`) has it whole.
 */

import { readFile } from "node:fs/promises";
import { dirname } from "node:path";

/** What stands in place of a module, by the end of its path. @type {Record<string, string>} */
const INSTEAD = {
  // Which connection is whose, `connection.js` knows.
  "socket.io-client/build/esm/index.js": 'export { Manager } from "./manager.js";',
  "engine.io-client/build/esm/index.js": `
    export { Socket } from "./socket.js";
    export { installTimerFunctions } from "./util.js";
    export { nextTick } from "./globals.node.js";`,

  // Without WebTransport, and with `fetch` instead of XMLHttpRequest.
  "engine.io-client/build/esm/transports/index.js": `
    import { Fetch } from "./polling-fetch.js";
    import { WS } from "./websocket.node.js";
    export const transports = { websocket: WS, polling: Fetch };`,

  // Every address of ours comes from a `URL`.
  "engine.io-client/build/esm/contrib/parseuri.js": `
    export const parse = (address) => {
      const { protocol, hostname, port } = new URL(address);
      return { protocol: protocol.slice(0, -1), host: hostname.replace(/[[\\]]/g, ""), port };
    };`,

  "engine.io-client/build/esm/contrib/parseqs.js": `
    export const encode = (query) => String(new URLSearchParams(query));
    export const decode = undefined;`,
  "engine.io-client/build/esm/globals.js": `
    export const nextTick = queueMicrotask;
    export const globalThisShim = globalThis;
    export const defaultBinaryType = "arraybuffer";
    export const createCookieJar = () => {};`,
  "engine.io-client/build/esm/util.js": `
    export const installTimerFunctions = (object) => {
      object.setTimeoutFn = setTimeout.bind(globalThis);
      object.clearTimeoutFn = clearTimeout.bind(globalThis);
    };
    export const byteLength = (text) => new TextEncoder().encode(text).length;
    export const randomString = () => Math.random().toString(36).slice(2);
    export const pick = () => ({});`,

  // What we send is JSON. A message that somebody else sends with attachments comes without these.
  "socket.io-parser/build/esm/is-binary.js": `
    export const isBinary = (data) => data instanceof ArrayBuffer;
    export const hasBinary = () => false;`,
  "socket.io-parser/build/esm/binary.js": `
    export const deconstructPacket = undefined;
    export const reconstructPacket = (packet) => packet;`,
  "engine.io-parser/build/esm/decodePacket.browser.js": `
    import { ERROR_PACKET, PACKET_TYPES_REVERSE } from "./commons.js";
    export const decodePacket = (packet) => {
      if (typeof packet !== "string") return { type: "message", data: packet };
      if (packet[0] === "b") return { type: "message", data: new ArrayBuffer(0) };
      const type = PACKET_TYPES_REVERSE[packet[0]];
      return type ? { type, data: packet.slice(1) || undefined } : ERROR_PACKET;
    };`,
  "engine.io-parser/build/esm/encodePacket.browser.js": `
    import { PACKET_TYPES } from "./commons.js";
    export const encodePacket = ({ type, data }, supportsBinary, callback) => callback(PACKET_TYPES[type] + (data || ""));
    export const encodePacketToBinary = undefined;`,
};

/** A method of a class, as the library's compiler writes it. @param {string} name */
const method = (name) => new RegExp(`^ {4}${name}\\(.*\\) \\{\\n( {8}.*\\n|\\n)* {4}\\}\\n`, "m");

/** Of a `Socket`; neither we nor the library call them. */
const UNCALLED = [
  "send", "close", "compress", "emitWithAck", "prependAny", "offAny", "listenersAny",
  "onAnyOutgoing", "prependAnyOutgoing", "offAnyOutgoing", "listenersAnyOutgoing",
];

/** What is said otherwise within a module. @type {Record<string, [RegExp, string][]>} */
const CHANGED = {
  "engine.io-client/build/esm/transports/polling-fetch.js": [
    // A connection that breaks within an answer must be an error too, not a poll that never ends.
    [/res\.text\(\)\.then\(/, "return res.text().then("],
  ],
  "engine.io-client/build/esm/transports/websocket.js": [[/const isReactNative =[^;]*;/, "const isReactNative = false;"]],
  "socket.io-client/build/esm/socket.js": UNCALLED.map((name) => [method(name), ""]),
  // Else all of the parser would be kept, used or not.
  "socket.io-client/build/esm/manager.js": [[/const _parser = .*/, ""], [/_parser\./g, "parser."]],
};

/** @param {string} path @param {object} by @returns {string | undefined} the entry for a module */
const entryFor = (path, by) => Object.keys(by).find((end) => path.replaceAll("\\", "/").endsWith(`/${end}`));

/** A version of the library that no longer has what is replaced fails the build. @type {import("esbuild").Plugin} */
export const smallClient = {
  name: "small-client",
  setup(build) {
    const missing = new Set([...Object.keys(INSTEAD), ...Object.keys(CHANGED)]);

    build.onLoad({ filter: /(socket|engine)\.io-(client|parser)[\\/].*\.js$/ }, async ({ path }) => {
      const replaced = entryFor(path, INSTEAD);
      const changed = entryFor(path, CHANGED);
      missing.delete(replaced ?? changed ?? "");
      if (replaced) return { contents: INSTEAD[replaced], resolveDir: dirname(path) };
      if (!changed) return undefined;
      let contents = await readFile(path, "utf8");
      for (const [before, after] of CHANGED[changed] ?? []) {
        if (contents.search(before) < 0) throw new Error(`${path} no longer says ${before}`);
        contents = contents.replace(before, after);
      }
      return { contents, resolveDir: dirname(path) };
    });

    build.onEnd(() => {
      if (missing.size) throw new Error(`Socket.IO's client has no longer ${[...missing].join(", ")}`);
    });
  },
};
