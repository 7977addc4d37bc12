// A client of docs/PROTOCOL.md for a browser, that shares no code with the others: one call over a WebSocket that is
// closed under it, and over the next one what became of it.
const OP = { HELLO: 1, WELCOME: 2, PING: 3, PONG: 4, GOODBYE: 6, BIND: 0x10, BOUND: 0x11, CALL: 0x12, RESULT: 0x13 };
const [BINDING, CALL] = [1, 2];

const numbers = (Kind, ...values) => new Uint8Array(Kind.from(values).buffer);
const [u16, u32] = [(...values) => numbers(Uint16Array, ...values), (...values) => numbers(Uint32Array, ...values)];
const blob = (bytes) => join(u16(bytes.length), bytes);
const text = (string) => blob(new TextEncoder().encode(string));

function join(...parts) {
  return new Uint8Array(parts.flatMap((part) => [...part]));
}

function frame(id, operation, ...parts) {
  const payload = join(...parts);
  return join(u32(8 + payload.length, id), u16(operation, 0), payload);
}

function hello(token, session, calls) {
  const magic = new TextEncoder().encode("LWOW");
  const limits = [u16(1, 1), u32(1 << 20, 8 << 20)];
  return frame(0, OP.HELLO, magic, ...limits, text(token), blob(session), u16(calls.length), u32(...calls), u16(0));
}

// WELCOME: version, resumed, five limits, session, what became of each call.
function welcome(payload) {
  const view = new DataView(payload.buffer);
  const end = 26 + view.getUint16(24, true);
  const known = payload.slice(end + 2, end + 2 + view.getUint16(end, true));
  return { resumed: view.getUint16(2, true), session: payload.slice(26, end), known: [...known] };
}

// Frames out of messages, which are cut anywhere.
function reader(take) {
  let held = new Uint8Array(0);
  return (data) => {
    held = join(held, data);
    for (let view; held.length >= 4; held = held.slice(4 + view.getUint32(0, true))) {
      view = new DataView(held.buffer);
      if (held.length < 4 + view.getUint32(0, true)) return;
      take(view.getUint32(4, true), view.getUint16(8, true), held.slice(12, 4 + view.getUint32(0, true)));
    }
  };
}

// Says HELLO and, once it is welcome, `more`; hands every frame to `take` until that returns something.
function speak(url, first, more, take) {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(url, ["lawow.v1"]);
    socket.binaryType = "arraybuffer";
    const read = reader((id, operation, payload) => {
      if (operation === OP.WELCOME && more.length) socket.send(join(...more));
      if (operation === OP.PING) socket.send(frame(0, OP.PONG, payload));
      const taken = take(id, operation, payload);
      if (taken === undefined) return;
      socket.close(1000);
      resolve(taken);
    });
    socket.onopen = () => socket.send(first);
    socket.onmessage = ({ data }) => read(new Uint8Array(data));
    socket.onclose = ({ code }) => reject(new Error(`closed with ${code}`));
  });
}

// Makes one call of `name`, and returns what became of it and its result.
export async function call(url, token, target, name, number) {
  const bind = frame(BINDING, OP.BIND, text(target), text(name), text("i>i"));
  const made = frame(CALL, OP.CALL, u32(BINDING, 0, number, 0));
  let [first, second] = [];
  // BOUND comes when the edge has read both frames, which are one message; then the connection is closed.
  await speak(url, hello(token, new Uint8Array(0), []), [bind, made], (id, operation, payload) => {
    if (operation === OP.WELCOME) first = welcome(payload);
    return operation === OP.BOUND ? true : undefined;
  });
  const result = await speak(url, hello(token, first.session, [CALL]), [], (id, operation, payload) => {
    if (operation === OP.WELCOME) second = welcome(payload);
    const view = new DataView(payload.buffer);
    return operation === OP.RESULT && id === CALL ? view.getInt32(8, true) : undefined;
  });
  return { resumed: second.resumed, known: second.known, result };
}
