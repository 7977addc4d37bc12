package dev.lawow;

import java.io.Closeable;
import java.io.IOException;
import java.net.ConnectException;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Future;

/**
 * The data plane of one lease: calls and channels over one connection (TLS 1.3 by the pin that the lease gave; plain TCP
 * to loopback alone). Many calls may be under way; each runs at most once. A lost connection is resumed for ten seconds,
 * or until nobody listens there any more, and the edge tells what became of the calls: most losses are not seen at all.
 *
 * <p>All methods may be called from any thread. Threads of this class do the I/O, one for each direction while there is a
 * connection; callers of {@link #call} wait for them. TLS 1.3 needs Android 10 (API 29): below, calls go by HTTP.
 */
public final class DataClient implements Closeable {
    /** One lock for all connections of the process, because a channel that moves belongs to two of them. */
    static final Object LOCK = new Object();

    private static final int MOST_REFUSALS = 4;
    private static final int DEFAULT_DEADLINE_MILLIS = 30000;

    /** What an edge says that a client may answer by another connection. */
    private static final List<String> COME_BACK = Arrays.asList("", "draining", "idle", "too-slow", "busy");

    private final PlaneAddress address;
    private final byte[] token;
    private final ClientSession session = new ClientSession();
    private final Map<String, Long> functions = new HashMap<>();
    private final Map<Long, DataCall> waiting = new HashMap<>();
    private final Map<Long, ElasticChannel> listeners = new HashMap<>();
    private final ArrayDeque<DataCall> pending = new ArrayDeque<>();
    private final ArrayDeque<ElasticChannel> opening = new ArrayDeque<>();
    private ClientConnection connection = new ClientConnection(session);
    private RemoteException ended;
    private boolean started;
    private boolean welcomed;
    private boolean closed;

    /**
     * Prepares a client; no I/O happens before the first call.
     *
     * @param certificateSha256 64 lower-case digits, or empty for plain TCP to this machine itself
     * @param token as the lease told it
     * @throws IllegalStateException without a certificate's SHA-256, for a host that is not this machine
     */
    public DataClient(String host, int port, String certificateSha256, String token) {
        this.address = new PlaneAddress(host, port, certificateSha256);
        this.token = token.getBytes(StandardCharsets.UTF_8);
    }

    /**
     * Calls an export and waits, as {@link Target#call}. REFUSED and calls that never arrived are {@link RemoteException}s
     * whose {@code mayHaveRun} is false; of FAILED and of what nobody knows it is true.
     *
     * @param target {@code session:} and a lease for its instance, {@code sha256:} and its module for a fresh one
     * @param deadlineMillis how long the call may take; 0 leaves it to the edge
     */
    public Object call(String target, String export, String signature, long deadlineMillis, Object... arguments) {
        DataCall call = begin(target, export, signature, deadlineMillis, arguments);
        return call.await(deadlineMillis == 0 ? DEFAULT_DEADLINE_MILLIS : deadlineMillis);
    }

    /**
     * Begins a call and returns at once. The future's {@code get} gives the result, and fills lists that come back; an
     * ExecutionException has the {@link Trap} or {@link RemoteException} as its cause.
     */
    public Future<Object> start(
            String target, String export, String signature, long deadlineMillis, Object... arguments) {
        return begin(target, export, signature, deadlineMillis, arguments);
    }

    /** Ends the session; nobody will know the outcome of what is under way. Returns at once. */
    @Override
    public void close() {
        synchronized (LOCK) {
            closed = true;
            for (Long id : new ArrayList<>(session.channels.keySet())) {
                connection.endChannel(id, "closed");
            }
            if (StateTable.CONNECTION.maySend(connection.state, "GOODBYE")) {
                connection.sendGoodbye("", "");
            } else if (!started) {
                giveUpAll();
            }
            LOCK.notifyAll();
        }
    }

    /** Tells whether the session has ended, so that it takes no more calls. */
    public boolean isOver() {
        synchronized (LOCK) {
            return closed || ended != null;
        }
    }

    @Override
    public String toString() {
        return address.toString();
    }

    // for channels and calls, all under LOCK or taking it

    ClientConnection connection() {
        return connection;
    }

    /** Opens a channel as soon as there is a connection, or goes on with one that has moved here. */
    void openChannel(ElasticChannel channel) {
        opening.add(channel);
        if (closed || ended != null) {
            giveUpAll();
        } else {
            start();
            pump();
        }
    }

    /** Takes a call back; tells whether it was sent before. */
    boolean giveUp(DataCall call) {
        synchronized (LOCK) {
            if (pending.remove(call)) {
                return false;
            }
            if (waiting.remove(call.id) != null && StateTable.CONNECTION.maySend(connection.state, "CANCEL")) {
                cancel(call.id);
                LOCK.notifyAll();
            }
            return true;
        }
    }

    /** Returns the exception for an outcome that is no result. */
    RuntimeException failure(Event outcome) {
        String detail = outcome.detail == null || outcome.detail.isEmpty() ? outcome.code : outcome.detail;
        switch (outcome.kind) {
            case TRAPPED:
                return new Trap(outcome.code, this + ": " + detail);
            case REFUSED:
            case FAILED:
                boolean begun = outcome.kind == Event.Kind.FAILED;
                return new RemoteException(outcome.code, 0, begun, this + ": " + detail, null).answered();
            case NOT_STARTED:
                return new RemoteException("lost", 0, false, this + ": the call did not arrive, and was not started", null);
            default:
                return new RemoteException(
                    "unknown", 0, true, this + ": the call may have run, and its outcome is lost", null);
        }
    }

    /** There may be something to send. */
    void wake() {
        LOCK.notifyAll();
    }

    private DataCall begin(String target, String export, String signature, long deadlineMillis, Object[] arguments) {
        Arguments values = new Arguments(Signature.parse(signature), arguments);
        DataCall call = new DataCall(this, target, export, values, deadlineMillis);
        synchronized (LOCK) {
            pending.add(call);
            if (closed || ended != null) {
                giveUpAll();
            } else {
                start();
                pump();
            }
        }
        return call;
    }

    private void cancel(long id) {
        ClientSession.Call call = session.calls.get(id);
        if (call != null && StateTable.CALL.maySend(call.state, "CANCEL")) {
            connection.sendCancel(id);
        }
    }

    /** Sends what waits for a connection and has room. */
    void pump() {
        while (connection.isOpen() && !opening.isEmpty()) {
            openOne(opening.poll());
        }
        while (connection.isOpen() && !pending.isEmpty()) {
            DataCall call = pending.peek();
            RuntimeException never = connection.refuses(call, functions.containsKey(call.key()));
            if (never != null) {
                pending.poll().fail(never);
            } else if (!connection.canCall(call.body.length) || !isBound(call)) {
                break;
            } else {
                pending.poll();
                call.id = connection.sendCall(functions.get(call.key()), call.body, call.deadlineMicros());
                waiting.put(call.id, call);
            }
        }
        wake();
    }

    private void openOne(ElasticChannel channel) {
        try {
            listeners.put(channel.openOn(connection), channel);
        } catch (IllegalStateException error) {
            channel.take(new Event(Event.Kind.REFUSED, 0).reason("busy", error.getMessage()));
        }
    }

    /** Sees that the call's function is bound; false if that has to wait until other calls have their outcome. */
    private boolean isBound(DataCall call) {
        if (functions.containsKey(call.key())) {
            return true;
        }
        functions.put(call.key(), connection.sendBind(call.target, call.export, call.arguments.signature.toString()));
        return connection.canCall(call.body.length);
    }

    private void start() {
        if (started) {
            return;
        }
        started = true;
        daemon("lawow-data", new Runnable() {
            @Override
            public void run() {
                serve();
            }
        });
    }

    static void daemon(String name, Runnable work) {
        Thread thread = new Thread(work, name);
        thread.setDaemon(true);
        thread.start();
    }

    // the reading thread

    /** Runs one connection after the other until there is no use in it. */
    private void serve() {
        try {
            Patience patience = new Patience();
            for (Socket next = connect(patience, true); next != null; next = connect(patience, false)) {
                if (carry(next)) {
                    patience = new Patience();
                } else {
                    patience.pause(); // lost before the welcome: as good as not connected
                }
            }
        } finally {
            synchronized (LOCK) {
                if (ended == null) {
                    ended = new RemoteException("lost", 0, true, this + ": the connection is lost", null);
                }
                giveUpAll();
                wake();
            }
        }
    }

    /** Connects; after a loss again and again for a while. Null if that is of no use. */
    private Socket connect(Patience patience, boolean isFirst) {
        IOException last = null;
        for (int refusals = 0; mayConnect() && refusals < MOST_REFUSALS && !patience.isOver(); patience.pause()) {
            try {
                return address.dial();
            } catch (IOException error) {
                last = error;
                refusals = error instanceof ConnectException ? refusals + 1 : 0;
            }
            if (isFirst || PlaneAddress.isForGood(last)) {
                break;
            }
        }
        if (mayConnect()) {
            end("unreachable", last == null ? "connections end before the welcome" : last.getMessage(), isFirst, last);
        }
        return null;
    }

    private boolean mayConnect() {
        synchronized (LOCK) {
            return !closed && ended == null;
        }
    }

    /** Carries bytes until the connection is lost or over; tells whether there was a welcome. */
    private boolean carry(Socket socket) {
        ClientConnection mine = new ClientConnection(session);
        synchronized (LOCK) {
            connection = mine;
            welcomed = false;
            mine.sendHello(token);
            if (closed) {
                mine.sendGoodbye("", "");
            }
        }
        new DataLink(this, mine, socket).run();
        synchronized (LOCK) {
            return welcomed;
        }
    }

    // events, under LOCK

    /** Passes on what has happened on a connection. */
    void handle(Event event) {
        switch (event.kind) {
            case WELCOMED:
                welcomed = true;
                if (event.second == 0) {
                    functions.clear();
                }
                for (ElasticChannel channel : listeners.values()) {
                    channel.look();
                }
                break;
            case GOODBYE:
                onGoodbye(event);
                break;
            case CHANNEL_OPENED:
            case MESSAGE:
            case WRITABLE:
            case PEER_CLOSED:
            case MOVE_REFUSED:
                tell(listeners.get(event.id), event);
                break;
            case CHANNEL_ENDED:
            case MOVED:
                tell(listeners.remove(event.id), event);
                break;
            default:
                onOutcome(event);
        }
    }

    private static void tell(ElasticChannel channel, Event event) {
        if (channel != null) {
            channel.take(event);
        }
    }

    private void onOutcome(Event event) {
        DataCall call = waiting.remove(event.id);
        ElasticChannel refused = event.kind == Event.Kind.REFUSED ? listeners.remove(event.id) : null;
        if (call != null) {
            call.finish(event);
        } else if (refused != null) {
            refused.take(event);
        } else if (event.kind != Event.Kind.BOUND) {
            functions.values().remove(event.id); // a binding that is not there is made again
        }
    }

    private void onGoodbye(Event goodbye) {
        if (!COME_BACK.contains(goodbye.code)) {
            end(goodbye.code, goodbye.detail, false, null);
            ended.answered();
        }
    }

    private void end(String code, String detail, boolean isFirst, IOException cause) {
        synchronized (LOCK) {
            ended = new RemoteException(code, 0, !isFirst, this + ": " + detail, cause);
        }
    }

    /** Nobody will know what became of what was sent; what waits was not started. */
    private void giveUpAll() {
        for (DataCall call : pending) {
            call.fail(notSent());
        }
        pending.clear();
        for (DataCall call : waiting.values()) {
            call.finish(new Event(Event.Kind.UNKNOWN, call.id));
        }
        waiting.clear();
        endAll(listeners.values(), "session-lost", "the connection is lost");
        endAll(opening, "not-opened", ended == null ? "this session is closed" : ended.getMessage());
    }

    /** Tells channels that they are over; they may open others meanwhile. */
    private static void endAll(Collection<ElasticChannel> channels, String code, String detail) {
        List<ElasticChannel> over = new ArrayList<>(channels);
        channels.clear();
        for (ElasticChannel channel : over) {
            channel.take(new Event(Event.Kind.CHANNEL_ENDED, 0).reason(code, detail));
        }
    }

    private RemoteException notSent() {
        RemoteException why = ended;
        return why == null
            ? new RemoteException("lost", 0, false, this + ": this session is closed; the call was not sent", null)
            : why.ofNotSent();
    }
}
