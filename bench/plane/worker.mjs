// Calls the function `same` of the benchmark's module with four bytes, over HTTP or over a WebSocket.
import module from "guest.wasm";

const { same } = new WebAssembly.Instance(module, {}).exports;

function called(body) {
  const view = new DataView(body);
  view.setInt32(0, same(view.getInt32(0, true)), true);
  return body;
}

export default {
  async fetch(request) {
    if (request.headers.get("Upgrade") !== "websocket") {
      return new Response(called(await request.arrayBuffer()));
    }
    const [client, server] = Object.values(new WebSocketPair());
    server.accept();
    server.binaryType = "arraybuffer";
    server.addEventListener("message", (event) => server.send(called(event.data)));
    return new Response(null, { status: 101, webSocket: client });
  },
};
