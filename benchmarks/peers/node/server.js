// Node's socket.io as its users run it, with the Redis adapter or the sharded one.
// Arguments: port, Redis URL, key, "redis" or "sharded", ping timeout in ms.

const { createServer } = require("http");
const { createClient } = require("redis");
const { Server } = require("socket.io");
const { createAdapter, createShardedAdapter } = require("@socket.io/redis-adapter");

const [port, url, key, kind, pingTimeout] = process.argv.slice(2);

async function main() {
  const pub = createClient({ url });
  const sub = pub.duplicate();
  await Promise.all([pub.connect(), sub.connect()]);
  const adapter =
    kind === "sharded"
      ? createShardedAdapter(pub, sub, { channelPrefix: key })
      : createAdapter(pub, sub, { key });
  const server = createServer();
  const io = new Server(server, { adapter, pingTimeout: Number(pingTimeout) });
  io.on("connection", (socket) => {
    socket.on("join", (rooms, answer) => {
      socket.join(rooms);
      answer({ ok: true });
    });
  });
  server.listen({ port: Number(port), host: "127.0.0.1", backlog: 2048 });
}

main();
