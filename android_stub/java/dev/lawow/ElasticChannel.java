package dev.lawow;

import java.util.Map;

/**
 * The stationary end of an elastic channel: it stays on this device, while the other one, the flexible end, moves between
 * hosts, or home to this device. A program keeps this one object. Messages keep their order and come once, before, during
 * and after a move, and while connections are cut: what the former host did not take is sent to the next one.
 *
 * <pre>{@code
 * try (ElasticChannel channel = ElasticChannel.open("sensor", "f64", hosts, "edge-1")) {
 *     channel.send(21.5, 0);
 *     channel.move("edge-2");
 *     double answer = (Double) channel.receive(1000);
 * }
 * }</pre>
 */
public final class ElasticChannel extends MessageEnd {
    /** What a topic does while this end is too slow: it waits. */
    public static final int BLOCK = 0;

    /** It drops the oldest messages, which {@link #missed} counts. */
    public static final int DROP_OLDEST = 1;

    /** It ends the channel. */
    public static final int DISCONNECT = 2;

    /** Where a flexible end is that has come to this device. */
    public static final String HOME = "";

    private static final int ENDPOINT = 0;
    private static final int TOPIC = 1;
    private static final long OPEN_MILLIS = 30000;
    private static final int MOST_REOPENINGS = 5;

    private final Map<String, DataClient> hosts;
    private ChannelEnd end;
    private DataClient carrier;
    private FlexibleEnd.Handler handler;
    private FlexibleEnd atHome;
    private String host;
    private String refuge = HOME;
    private String asked; // to move there, if it was asked and has not gone
    private long id;
    private byte[] ticket = new byte[0];
    private byte[] ownTicket; // of an end that is at no host, so that any may take it
    private RuntimeException turned;
    private int reopenings;
    private int steps;
    private RuntimeException refusal;

    private ElasticChannel(String name, String type, Map<String, DataClient> hosts, int kind, int policy) {
        super(name, type);
        this.hosts = hosts;
        this.end = new ChannelEnd(kind, policy, name, type);
    }

    /**
     * Opens a channel to an endpoint of a host, one to one, and waits until it is open.
     *
     * @param type WIT type of all messages: {@code s32}, {@code s64}, {@code f32}, {@code f64}, {@code string} or a list
     * @param hosts the data planes of all hosts that the flexible end may be on, by the names that the hosts use; the
     *     program may add to it. {@link #HOME} is this device
     * @param at the host on which it begins
     * @throws RemoteException the host refuses, or cannot be reached
     * @throws IllegalArgumentException no message has this type, or {@code hosts} lacks the host
     */
    public static ElasticChannel open(String name, String type, Map<String, DataClient> hosts, String at) {
        return new ElasticChannel(name, type, hosts, ENDPOINT, BLOCK).begin(at);
    }

    /** Opens a channel to a topic, which sends every message to all that opened it; otherwise as {@link #open}. */
    public static ElasticChannel subscribe(
            String topic, String type, Map<String, DataClient> hosts, String at, int policy) {
        return new ElasticChannel(topic, type, hosts, TOPIC, policy).begin(at);
    }

    private ElasticChannel begin(String at) {
        synchronized (DataClient.LOCK) {
            int step = steps;
            host = at;
            client(at).openChannel(this);
            await(step);
        }
        return this;
    }

    /** Says what runs on this device when the flexible end comes home, each time in a thread of its own. */
    public void setHome(FlexibleEnd.Handler code) {
        synchronized (DataClient.LOCK) {
            handler = code;
        }
    }

    /**
     * Says which host takes the flexible end when its host sends it away and names no other, as an edge that ends does, and
     * when the next host does not take it. At first it is {@link #HOME}.
     */
    public void setRefuge(String hostName) {
        synchronized (DataClient.LOCK) {
            refuge = hostName;
        }
    }

    /** Returns the name of the host that has the flexible end; {@link #HOME} for this device. */
    public String host() {
        synchronized (DataClient.LOCK) {
            return host;
        }
    }

    /**
     * Takes the flexible end to another host, or home, and returns when it is there. Other threads may send and receive
     * meanwhile.
     *
     * @throws RemoteException either host refuses; if it was the former one, nothing has changed, if the next one, the end
     *     is at its refuge, or the channel has ended. {@code deadline}: it is not there after 30 seconds
     * @throws IllegalArgumentException {@code hosts} lacks the host
     * @throws IllegalStateException nothing runs at home
     */
    public void move(String destination) {
        synchronized (DataClient.LOCK) {
            requireNotClosed();
            if (destination.equals(HOME) ? handler == null : client(destination) == null) {
                throw new IllegalStateException("channel " + name + ": setHome says what runs on this device");
            }
            long ends = ends(OPEN_MILLIS);
            while (atHome == null && !isConnected()) {
                await(ends);
                requireNotClosed();
            }
            int step = steps;
            refusal = null;
            if (atHome != null) {
                leaveHome(destination);
            } else {
                asked = destination;
                carrier.connection().sendMove(id, destination);
                carrier.wake();
            }
            await(step);
        }
    }

    /**
     * Sends no more; the other end still receives all that was sent, and may go on sending.
     *
     * @throws RemoteException {@code deadline}: it could not be sent in time
     */
    public void closeOutput(long timeoutMillis) {
        long ends = ends(timeoutMillis);
        synchronized (DataClient.LOCK) {
            requireNotClosed();
            while (!tryClose()) {
                await(ends);
                requireNotClosed();
            }
            closed = true;
        }
    }

    /** Ends the channel in both directions, whatever is on its way. */
    @Override
    public void close() {
        synchronized (DataClient.LOCK) {
            if (carrier != null && carrier.connection().session.channels.containsKey(id)) {
                carrier.connection().endChannel(id, "closed");
            }
            if (atHome != null) {
                atHome.endWith(new ChannelClosedException("channel " + name + ": the other end has ended it"));
            }
            carrier = null;
            closed = true;
            endWith(new ChannelClosedException("channel " + name + ": this end is closed"));
        }
    }

    // for the carrier, which holds the lock

    /** Opens it on a connection and returns its id there. */
    long openOn(ClientConnection connection) {
        return connection.sendOpen(end, ticket);
    }

    /** The connection is another one: what waits looks again. */
    void look() {
        DataClient.LOCK.notifyAll();
    }

    void take(Event event) {
        switch (event.kind) {
            case MESSAGE:
                arrived.add(event);
                break;
            case CHANNEL_OPENED:
                carrier = client(host);
                id = event.id;
                reopenings = 0;
                arrive();
                break;
            case PEER_CLOSED:
                peerClosed = true;
                break;
            case MOVED:
                follow(event);
                break;
            case MOVE_REFUSED:
                finish(because(event));
                break;
            case REFUSED:
                turnAway(because(event));
                break;
            case CHANNEL_ENDED:
                endedBy(event);
                break;
            default:
                break; // WRITABLE: there is room
        }
        DataClient.LOCK.notifyAll();
    }

    @Override
    boolean trySend(byte[] data) {
        if (atHome != null) {
            return atHome.offer(data);
        }
        if (carrier == null || !carrier.connection().canSend(id, data.length)) {
            return false;
        }
        carrier.connection().sendMessage(id, data);
        return true;
    }

    /** Says that a message was taken; if the connection is lost, the next one says it. */
    @Override
    void taken(Event message) {
        if (message.id == FlexibleEnd.LOCAL) {
            return;
        }
        boolean isHere = carrier != null && carrier.connection().session.channels.containsKey(id);
        String now = isHere ? carrier.connection().channel(id).state : StateTable.MOVED;
        boolean maySay = isHere && StateTable.CONNECTION.maySend(carrier.connection().state, "CREDIT");
        if (maySay && StateTable.CHANNEL.maySend(now, "CREDIT")) {
            carrier.connection().sendCredit(id, message.first);
        } else if (message.first <= end.received) {
            end.take(message.first);
        }
    }

    /** Tells whether there is room for a message of the flexible end at home. */
    boolean hasRoomFor(int bytes) {
        return FlexibleEnd.hasRoom(arrived, bytes);
    }

    private boolean isConnected() {
        return carrier != null && StateTable.CONNECTION.maySend(carrier.connection().state, "MOVE");
    }

    private boolean tryClose() {
        if (atHome != null) {
            atHome.peerClosed = true;
            return true;
        }
        if (carrier == null || !carrier.connection().canSend(id, 0)) {
            return false;
        }
        if (!StateTable.CHANNEL.maySend(carrier.connection().channel(id).state, "CLOSE")) {
            return false;
        }
        carrier.connection().sendClose(id);
        carrier.wake();
        return true;
    }

    private DataClient client(String name) {
        DataClient client = hosts.get(name);
        if (client == null) {
            throw new IllegalArgumentException("channel " + this.name + ": no data plane for the host " + name);
        }
        return client;
    }

    /** Goes where the flexible end has gone; one that its host sent away goes where it was asked to, or to the refuge. */
    private void follow(Event moved) {
        carrier = null;
        host = moved.detail;
        if (host.equals(HOME)) {
            host = asked == null ? refuge : asked;
        }
        ownTicket = ChannelEnd.ticket(moved.first, moved.second);
        go(moved.data.length > 0 ? moved.data : ownTicket);
    }

    /** No host has the end now, because the next one does not take it: it goes to its refuge. */
    private void turnAway(RuntimeException error) {
        boolean hasRefuge = refuge.equals(HOME) ? handler != null : hosts.containsKey(refuge);
        if (ownTicket == null || host.equals(refuge) || !hasRefuge) {
            fail(error);
        } else {
            turned = error;
            host = refuge;
            go(ownTicket);
        }
    }

    private void go(byte[] nextTicket) {
        ticket = nextTicket;
        reopenings = 0;
        if (!host.equals(HOME)) {
            reopen();
        } else if (handler == null) {
            fail(new RemoteException("not-found", 0, false, "channel " + name + ": nothing runs at home for it", null));
        } else {
            comeHome();
        }
    }

    /** The end is there. */
    private void arrive() {
        RuntimeException why = turned;
        turned = null;
        ownTicket = null;
        finish(why);
    }

    private void reopen() {
        DataClient next = hosts.get(host);
        if (next == null || next.isOver()) {
            turnAway(new RemoteException("lost", 0, false, "channel " + name + ": no data plane for the host " + host, null));
        } else {
            next.openChannel(this);
        }
    }

    /** The flexible end is here now: what the former host did not take is its own. */
    private void comeHome() {
        atHome = new FlexibleEnd(this);
        for (ChannelEnd.Kept item : end.kept) {
            atHome.put(item.value);
        }
        end.kept.clear();
        atHome.start(handler);
        arrive();
    }

    /** The flexible end leaves: what it has not taken goes to the next host, with numbers from 1 on. */
    private void leaveHome(String destination) {
        FlexibleEnd former = atHome;
        atHome = null;
        former.endWith(new ChannelClosedException("channel " + name + ": its flexible end has gone to " + destination));
        end = new ChannelEnd(end.kind, end.policy, name, type);
        end.peerWindow = Integer.MAX_VALUE;
        for (Event message : former.arrived) {
            end.keep(message.data);
        }
        former.arrived.clear();
        host = destination;
        ticket = new byte[0];
        ownTicket = ticket; // it is at the beginning
        reopen();
    }

    private void endedBy(Event event) {
        DataClient next = hosts.get(host);
        boolean isThere = next != null && !next.isOver();
        if (event.code.equals("not-opened") && isThere && reopenings++ < MOST_REOPENINGS) {
            reopen();
        } else if (event.code.equals("not-opened")) {
            turnAway(because(event));
        } else if (event.code.equals("closed")) {
            fail(new ChannelClosedException("channel " + name + ": the other end has ended it"));
        } else {
            fail(because(event));
        }
    }

    private RemoteException because(Event event) {
        String detail = event.detail.isEmpty() ? event.code : event.detail;
        return new RemoteException(event.code, 0, false, "channel " + name + " on " + host + ": " + detail, null).answered();
    }

    private void fail(RuntimeException error) {
        carrier = null;
        endWith(error);
        finish(error);
    }

    private void finish(RuntimeException error) {
        steps++;
        asked = null;
        refusal = error;
        DataClient.LOCK.notifyAll();
    }

    /** Waits until the channel is open on the first host or the next one. Throws why it is not. */
    private void await(int step) {
        long ends = ends(OPEN_MILLIS);
        while (steps == step) {
            await(ends);
        }
        if (refusal != null) {
            RuntimeException why = refusal;
            refusal = null;
            throw why;
        }
    }
}
