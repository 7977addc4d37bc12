package dev.lawow;

import java.net.ProtocolException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * A client's connection of the data plane: the handshake and calls. A session outlives its connections: give the same one
 * to the next, and {@link #sendHello} asks what became of the calls that have no outcome. Every call gets exactly one of
 * RETURNED, TRAPPED, REFUSED, FAILED, NOT_STARTED and UNKNOWN.
 */
final class ClientConnection extends ChannelConnection {
    private static final int VERSION = 1;
    private static final int ACK_CALLS = 64;
    private static final int ACK_BYTES = 64 << 10;
    private static final int MAGIC = 0x574f574c; // LWOW
    private static final int RUNNING = 1;
    private static final int KEPT = 2;
    private static final int FORGOTTEN = 3;
    private static final long MOST_U32 = 0xffffffffL;
    private static final int MOST_NAME_CHARACTERS = 4000;

    private final List<Event> lostBefore = new ArrayList<>();
    private final List<Long> asked = new ArrayList<>();
    private final List<Long> toAck = new ArrayList<>();
    private int toAckBytes;
    private long mostCalls;
    private long mostCallBytes;
    private long mostBindings;

    ClientConnection(ClientSession session) {
        super(session);
    }

    /** Introduces this client by its lease's token, and asks for the session to go on if there was one. */
    void sendHello(byte[] token) {
        require(Op.HELLO);
        notStarted(session.connectionLost(), lostBefore);
        boolean resumes = session.token.length > 0;
        if (resumes) {
            asked.addAll(session.calls.keySet());
        }
        FrameWriter frame = new FrameWriter(0, Op.HELLO).u32(MAGIC).u16(VERSION).u16(VERSION)
            .u32(FRAME_BYTES).u32(RESULT_BYTES).blob(token).blob(session.token).u16(asked.size());
        for (long id : asked) {
            frame.u32(id);
        }
        frame.u16(resumes ? session.channels.size() : 0);
        if (resumes) {
            for (Map.Entry<Long, ChannelEnd> entry : session.channels.entrySet()) {
                frame.u32(entry.getKey()).u64(entry.getValue().received);
            }
        }
        put(frame);
        state = StateTable.GREETED;
    }

    /** Tells whether a call with so many bytes of arguments may be sent now. */
    boolean canCall(int bytes) {
        return isOpen() && session.calls.size() < mostCalls && session.callBytes + bytes <= mostCallBytes;
    }

    /** Returns why the server will never take a call, or null if it may. */
    RuntimeException refuses(DataCall call, boolean isBound) {
        boolean fits = call.target.length() + call.export.length() <= MOST_NAME_CHARACTERS;
        if (call.body.length <= mostCallBytes && (isBound || session.bindings < mostBindings) && fits) {
            return null;
        }
        String code = call.body.length > mostCallBytes || !fits ? "too-large" : "busy";
        String detail = call.body.length + " bytes of arguments, " + session.bindings + " functions are bound";
        return new RemoteException(code, 0, false, detail, null).answered();
    }

    /** Names a function, and returns the id by which calls name it; they need not wait for BOUND. */
    long sendBind(String target, String export, String signature) {
        if (session.bindings >= mostBindings || isOpen() && session.calls.size() >= mostCalls) {
            throw new IllegalStateException(session.bindings + " functions are bound, or too many calls under way");
        }
        FrameWriter frame = new FrameWriter(session.lastId + 1, Op.BIND).text(target).text(export).text(signature);
        long id = nextId(Op.BIND);
        session.calls.put(id, new ClientSession.Call(0, true));
        session.bindings++;
        put(frame);
        return id;
    }

    /**
     * Calls a bound function and returns the call's id.
     *
     * @param deadlineMicros how long it may take from its arrival on; 0 leaves that to the server
     * @param arguments a body as {@link Arguments#body} makes it
     */
    long sendCall(long function, byte[] arguments, long deadlineMicros) {
        boolean fits = function > 0 && function <= MOST_U32 && deadlineMicros >= 0 && deadlineMicros <= MOST_U32;
        if (!fits || isOpen() && !canCall(arguments.length)) {
            throw new IllegalStateException(
                arguments.length + " bytes of arguments beside " + session.calls.size() + " calls without an outcome");
        }
        long id = nextId(Op.CALL);
        ClientSession.Call call = new ClientSession.Call(arguments.length, false);
        session.calls.put(id, call);
        session.callBytes += arguments.length;
        putCall(id, function, deadlineMicros, arguments, call);
        return id;
    }

    /** Tells the server that nobody waits for the outcome; one comes all the same. */
    void sendCancel(long id) {
        require(Op.CANCEL);
        ClientSession.Call call = session.calls.get(id);
        if (call == null) {
            throw new IllegalStateException("call " + id + " has its outcome, or never was");
        }
        call.state = StateTable.CALL.sent(call.state, "CANCEL", "call " + id);
        stopStream(id);
        put(new FrameWriter(id, Op.CANCEL));
    }

    @Override
    void handle(Frame frame, List<Event> events) throws ProtocolException {
        switch (frame.operation) {
            case Op.WELCOME:
                onWelcome(frame, events);
                break;
            case Op.DRAIN:
            case Op.GOODBYE:
                onNotice(frame, events);
                break;
            case Op.BOUND:
                onBound(frame, events);
                break;
            case Op.RESULT:
                onResult(frame, events);
                break;
            case Op.CONTINUE:
                onContinue(frame, events);
                break;
            case Op.TRAP:
                onTrap(frame, events);
                break;
            case Op.REFUSED:
            case Op.FAILED:
                onRefusal(frame, events);
                break;
            default:
                super.handle(frame, events);
        }
    }

    private void onWelcome(Frame frame, List<Event> events) throws ProtocolException {
        requireConnection(frame);
        int version = frame.u16();
        int resumed = frame.u16();
        long frameBytes = frame.u32();
        mostCallBytes = frame.u32();
        mostCalls = frame.u32();
        mostBindings = frame.u32();
        mostChannels = frame.u32();
        byte[] name = frame.blob();
        byte[] known = frame.blob();
        Map<Long, Long> marks = marks(frame);
        if (version != VERSION || resumed > 1 || frameBytes < FrameWriter.CONTROL_BYTES) {
            throw frame.wrong("version " + version + ", resumed " + resumed + ", frames of " + frameBytes + " bytes");
        }
        open(Math.min(frameBytes, Integer.MAX_VALUE));
        events.addAll(lostBefore);
        events.add(new Event(Event.Kind.WELCOMED, 0).numbers(version, resumed));
        if (resumed == 1) {
            resumeAll(frame, known, marks, events);
        } else {
            startAnew(events);
        }
        session.token = name;
    }

    private static Map<Long, Long> marks(Frame frame) throws ProtocolException {
        Map<Long, Long> marks = new HashMap<>();
        for (int left = frame.u16(); left > 0; left--) {
            long id = frame.u32();
            marks.put(id, frame.u64());
        }
        return marks;
    }

    /** The server knows nothing of the former session. */
    private void startAnew(List<Event> events) {
        for (Long id : new ArrayList<>(session.calls.keySet())) {
            forget(id);
            events.add(new Event(Event.Kind.UNKNOWN, id));
        }
        for (Long id : session.channels.keySet()) {
            events.add(new Event(Event.Kind.CHANNEL_ENDED, id).reason("session-lost", ""));
        }
        session.channels.clear();
        session.bindings = 0;
    }

    private void resumeAll(Frame frame, byte[] known, Map<Long, Long> marks, List<Event> events)
            throws ProtocolException {
        if (session.token.length == 0 || known.length != asked.size()) {
            throw frame.wrong("a session that was not asked for");
        }
        for (int at = 0; at < known.length; at++) {
            resumeCall(frame, asked.get(at), known[at], events);
        }
        for (Map.Entry<Long, ChannelEnd> entry : new ArrayList<>(session.channels.entrySet())) {
            Long id = entry.getKey();
            Long received = marks.get(id);
            if (received != null) {
                resume(id, entry.getValue(), received);
                continue;
            }
            boolean neverOpened = entry.getValue().state.equals(StateTable.OPENING);
            session.channels.remove(id);
            events.add(new Event(Event.Kind.CHANNEL_ENDED, id).reason(neverOpened ? "not-opened" : "session-lost", ""));
        }
    }

    private void resumeCall(Frame frame, long id, byte known, List<Event> events) throws ProtocolException {
        if (known == 0) {
            forget(id);
            events.add(new Event(Event.Kind.NOT_STARTED, id));
        } else if (known == FORGOTTEN) {
            forget(id);
            events.add(new Event(Event.Kind.UNKNOWN, id));
        } else if (known != RUNNING && known != KEPT) {
            throw frame.wrong("says " + known + " of call " + id + " (allowed 0 to 3)");
        }
    }

    private void onNotice(Frame frame, List<Event> events) throws ProtocolException {
        requireConnection(frame);
        boolean isDrain = frame.operation == Op.DRAIN;
        long lastId = frame.u32();
        Event notice = new Event(isDrain ? Event.Kind.DRAINING : Event.Kind.GOODBYE, 0).numbers(lastId, frame.u32());
        String code = frame.code();
        events.add(notice.reason(code, frame.text()));
        frame.end();
        state = isDrain ? StateTable.DRAINING : StateTable.CLOSED;
        dropBeyond(lastId, events);
    }

    /** Nothing with a higher id was started. */
    private void dropBeyond(long lastId, List<Event> events) {
        List<Long> late = new ArrayList<>();
        for (Long id : session.calls.keySet()) {
            if (id > lastId) {
                late.add(id);
                stopStream(id);
            }
        }
        notStarted(late, events);
        for (Long id : new ArrayList<>(session.channels.keySet())) {
            if (id > lastId) {
                session.channels.remove(id);
                events.add(new Event(Event.Kind.CHANNEL_ENDED, id).reason("not-opened", ""));
            }
        }
    }

    private void onBound(Frame frame, List<Event> events) throws ProtocolException {
        long micros = frame.u32();
        frame.end();
        if (!end(frame, 0).isBinding) {
            throw frame.wrong("it is a call");
        }
        events.add(new Event(Event.Kind.BOUND, frame.id).numbers(micros, 0));
    }

    private void onResult(Frame frame, List<Event> events) throws ProtocolException {
        long prepare = frame.u32();
        long run = frame.u32();
        if (!frame.isPart()) {
            if (frame.remaining() > RESULT_BYTES) {
                throw frame.wrong(frame.remaining() + " bytes");
            }
            end(frame, frame.remaining());
            events.add(new Event(Event.Kind.RETURNED, frame.id).numbers(prepare, run).data(frame.rest()));
            return;
        }
        long size = frame.u32();
        ClientSession.Call call = session.calls.get(frame.id);
        if (call == null || call.isBinding || size > RESULT_BYTES || frame.remaining() >= size) {
            throw frame.wrong("a result of " + size + " bytes in parts");
        }
        call.state = StateTable.CALL.received(call.state, "RESULT_PART", "call " + frame.id);
        call.pieces = new Pieces(size, prepare, run);
        call.pieces.add(frame.rest(), true);
    }

    private void onContinue(Frame frame, List<Event> events) throws ProtocolException {
        ClientSession.Call call = session.calls.get(frame.id);
        if (call == null) {
            continueMessage(frame, events);
            return;
        }
        if (call.pieces == null || !call.pieces.add(frame.rest(), false)) {
            throw frame.wrong("a piece that does not fit");
        }
        Pieces pieces = call.pieces;
        call.state = StateTable.CALL.received(call.state, pieces.isWhole() ? "LAST" : "CONTINUE", "call " + frame.id);
        if (pieces.isWhole()) {
            ended(frame.id, (int) pieces.size);
            events.add(new Event(Event.Kind.RETURNED, frame.id).numbers(pieces.first, pieces.second).data(pieces.bytes()));
        }
    }

    private void onTrap(Frame frame, List<Event> events) throws ProtocolException {
        Event trap = new Event(Event.Kind.TRAPPED, frame.id);
        trap.first = frame.u32();
        trap.second = frame.u32();
        trap.status = frame.i32();
        trap.code = frame.code();
        trap.detail = frame.text();
        trap.frames = frame.texts();
        frame.end();
        end(frame, 0);
        events.add(trap);
    }

    private void onRefusal(Frame frame, List<Event> events) throws ProtocolException {
        boolean isRefused = frame.operation == Op.REFUSED;
        Event refusal = new Event(isRefused ? Event.Kind.REFUSED : Event.Kind.FAILED, frame.id).numbers(frame.u32(), 0);
        refusal.code = frame.code();
        refusal.detail = frame.text();
        frame.end();
        if (!isRefused || session.calls.containsKey(frame.id)) {
            if (end(frame, 0).isBinding) {
                session.bindings--;
            }
        } else if (!isRefusedToOpen(frame, refusal, events)) {
            return;
        }
        events.add(refusal);
    }

    /** Removes a call that has its outcome. */
    private ClientSession.Call end(Frame frame, int bytes) throws ProtocolException {
        ClientSession.Call call = session.calls.get(frame.id);
        if (call == null) {
            throw frame.wrong("waits for nothing");
        }
        boolean fits = frame.operation == Op.BOUND || frame.operation == Op.REFUSED;
        if (call.isBinding && !fits) {
            throw frame.wrong("it is a binding");
        }
        String then = StateTable.CALL.received(call.state, Op.name(frame.operation), "call " + frame.id);
        if (then.equals(StateTable.STOPPING)) {
            stopStream(frame.id);
            put(new FrameWriter(frame.id, Op.CANCEL));
        }
        ended(frame.id, bytes);
        return call;
    }

    /** Acknowledges outcomes now and then. */
    private void ended(long id, int bytes) {
        session.endCall(id);
        toAck.add(id);
        toAckBytes += bytes;
        if (toAck.size() < ACK_CALLS && toAckBytes < ACK_BYTES) {
            return;
        }
        FrameWriter frame = new FrameWriter(0, Op.ACK).u16(toAck.size());
        for (long each : toAck) {
            frame.u32(each);
        }
        put(frame);
        toAck.clear();
        toAckBytes = 0;
    }

    private void notStarted(List<Long> ids, List<Event> events) {
        for (Long id : ids) {
            forget(id);
            events.add(new Event(Event.Kind.NOT_STARTED, id));
        }
    }

    private void forget(long id) {
        if (session.endCall(id).isBinding) {
            session.bindings--;
        }
    }
}
