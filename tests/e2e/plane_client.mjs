// A client of docs/PROTOCOL.md that shares no code with the others: one call, whose connection is cut under it.
//     node plane_client.mjs HOST PORT PIN TOKEN TARGET EXPORT NUMBER
// Prints what became of the call when the session was resumed, and its result.
import { createHash } from "node:crypto";
import { connect } from "node:tls";

const [host, port, pin, token, target, name, number] = process.argv.slice(2);
const OP = { HELLO: 1, WELCOME: 2, PING: 3, PONG: 4, GOODBYE: 6, BIND: 0x10, BOUND: 0x11, CALL: 0x12, RESULT: 0x13 };
const [BINDING, CALL] = [1, 2];

const u16 = (value) => Buffer.from(Uint16Array.of(value).buffer);
const u32 = (value) => Buffer.from(Uint32Array.of(value).buffer);
const blob = (bytes) => Buffer.concat([u16(Buffer.byteLength(bytes)), Buffer.from(bytes)]);
const ids = (values) => Buffer.concat([u16(values.length), ...values.map(u32)]);

function frame(id, operation, ...parts) {
  const payload = Buffer.concat(parts);
  return Buffer.concat([u32(8 + payload.length), u32(id), u16(operation), u16(0), payload]);
}

function hello(session, calls) {
  const numbers = [u16(1), u16(1), u32(1 << 20), u32(8 << 20)];
  return frame(0, OP.HELLO, Buffer.from("LWOW"), ...numbers, blob(token), blob(session), ids(calls), u16(0));
}

// WELCOME: version, resumed, five limits, session, what became of each call.
function welcome(payload) {
  const end = 26 + payload.readUInt16LE(24);
  const known = payload.subarray(end + 2, end + 2 + payload.readUInt16LE(end));
  return { resumed: payload.readUInt16LE(2), session: payload.subarray(26, end), known: [...known] };
}

async function* frames(socket) {
  let held = Buffer.alloc(0);
  for await (const data of socket) {
    held = Buffer.concat([held, data]);
    while (held.length >= 4 && held.length >= 4 + held.readUInt32LE(0)) {
      const length = held.readUInt32LE(0);
      yield { id: held.readUInt32LE(4), operation: held.readUInt16LE(8), payload: held.subarray(12, 4 + length) };
      held = held.subarray(4 + length);
    }
  }
}

// The pin is the whole of the trust: the certificate is nobody's but the edge's own.
function dial() {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port: Number(port), rejectUnauthorized: false, minVersion: "TLSv1.3" }, () => {
      const digest = createHash("sha256").update(socket.getPeerCertificate().raw).digest("hex");
      if (digest === pin) return resolve(socket);
      socket.destroy();
      return reject(new Error(`the certificate is ${digest}`));
    });
    socket.on("error", reject);
  });
}

// Says HELLO and, once it is welcome, `more`; hands every frame to `take` until that returns something.
async function speak(session, calls, more, take) {
  const socket = await dial();
  socket.write(hello(session, calls));
  for await (const { id, operation, payload } of frames(socket)) {
    if (operation === OP.WELCOME) socket.write(Buffer.concat(more));
    if (operation === OP.PING) socket.write(frame(0, OP.PONG, payload));
    if (operation === OP.GOODBYE) throw new Error(`GOODBYE ${payload.subarray(10, 10 + payload.readUInt16LE(8))}`);
    const taken = take(id, operation, payload);
    if (taken !== undefined) {
      socket.destroy();
      return taken;
    }
  }
  throw new Error("the edge has closed the connection");
}

const bind = frame(BINDING, OP.BIND, blob(target), blob(name), blob("i>i"));
const call = frame(CALL, OP.CALL, u32(BINDING), u32(0), u32(Number(number)), u32(0));
let first;
// BOUND comes when the edge has read both frames, which are one write; then the connection is cut.
await speak(Buffer.alloc(0), [], [bind, call], (id, operation, payload) => {
  if (operation === OP.WELCOME) first = welcome(payload);
  return operation === OP.BOUND ? true : undefined;
});
let second;
const result = await speak(first.session, [CALL], [], (id, operation, payload) => {
  if (operation === OP.WELCOME) second = welcome(payload);
  return operation === OP.RESULT && id === CALL ? payload.readInt32LE(8) : undefined;
});
console.log(JSON.stringify({ resumed: second.resumed, known: second.known, result }));
