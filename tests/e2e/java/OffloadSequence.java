import dev.lawow.DataClient;
import dev.lawow.ElasticChannel;
import dev.lawow.ElasticFunction;
import dev.lawow.ElasticPolicy;
import dev.lawow.FlexibleEnd;
import dev.lawow.InstanceState;
import dev.lawow.Lawow;
import dev.lawow.OffloadHandler;
import dev.lawow.Offers;
import dev.lawow.Offloaded;
import dev.lawow.RemoteException;
import dev.lawow.WasmInstance;
import dev.lawow.WasmModule;
import dev.lawow.WasmOptions;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Future;

/**
 * The whole offload sequence of one device, step by step; what comes out of each step is a line.
 *
 * <p>{@code first DIGEST DIGEST NAME=ADDRESS:PORT:PIN:TOKEN...} offloads the counter, calls it, lets a channel's end move
 * between the two hosts that are named while messages flow, and another one between the relay's instance, here and them,
 * waits for a line, brings the state home and goes on with it here, and lets ends leave an edge that ends.
 * {@code second SHARED} calls the instance that the first device shares.
 */
public final class OffloadSequence {
    private static final String MODULE = "counter.wasm@";
    private static final String RELAY = "relay.wasm@";
    private static final long MILLIS = 30000;
    private static final long LAST = 400;

    /** Answers as all hosts do, with the mark 3. */
    private static final FlexibleEnd.Handler HOME = new FlexibleEnd.Handler() {
        @Override
        public void run(FlexibleEnd end) {
            while (true) {
                end.answer(new FlexibleEnd.Answer() {
                    @Override
                    public Object to(Object message) {
                        return (Long) message * 20 + 3;
                    }
                }, 0);
            }
        }
    };

    public static void main(String[] words) throws Exception {
        if (words[0].equals("first")) {
            first(MODULE + words[1], RELAY + words[2], hosts(words));
        } else {
            second(words[1]);
        }
    }

    private static void first(String module, String relay, Map<String, DataClient> hosts) throws Exception {
        OffloadHandler handler = new OffloadHandler();
        Map<String, String> impossible = Collections.singletonMap("engine", "abacus");
        say("unmet", handler.request(module, impossible).unmet().size());
        Offers offers = handler.request(module, Collections.singletonMap("engine", "wasmtime"));
        say("offers", offers.offers().size());
        Offloaded lease = handler.select(offers, offers.offers().get(0));
        say("transferred", lease.transferredBytes());
        say("state", lease.state());
        say("plane", lease.data() != null);
        call(module, lease);
        channel(hosts);
        relay(handler, relay, hosts);
        handler.share(lease, "counter", "neighbour");
        say("shared", "counter");
        System.in.read();
        byte[] state = handler.synchronise(lease);
        say("still", lease.call("add", "i>i", 0, 0));
        handler.synchronise(lease, state);
        byte[] last = handler.recall(lease);
        say("recalled", lease.state() + " " + handler.offloaded().size());
        goOn(module, last);
        try {
            lease.call("add", "i>i", 0, 1);
        } catch (RemoteException error) {
            say("ended", error.mayHaveRun());
        }
        drained(handler, relay, hosts);
    }

    private static void call(String module, Offloaded lease) throws Exception {
        List<Object> results = new ArrayList<>();
        List<Future<Object>> later = new ArrayList<>();
        for (int number = 1; number <= 5; number++) {
            later.add(lease.start("add", "i>i", 0, number));
        }
        for (Future<Object> each : later) {
            results.add(each.get());
        }
        say("calls", results);
        // Calls by the class that was split off go the same way, each to a fresh instance.
        say("fresh", CounterWasm.add(7));
        ElasticFunction add = new ElasticFunction.Builder(module, "add", "i>i")
            .policy(ElasticPolicy.REMOTE).deadlineMillis(MILLIS).build();
        say("elastic", add.call(8) + " " + add.wasRemote() + " " + add.callAsync(9).get());
        ElasticFunction here = new ElasticFunction.Builder(module, "add", "i>i").policy(ElasticPolicy.LOCAL).build();
        say("local", here.call(8) + " " + here.wasRemote());
    }

    /** The end moves between two hosts. */
    private static void channel(Map<String, DataClient> hosts) throws Exception {
        try (ElasticChannel channel = ElasticChannel.open("numbers", "s64", hosts, "edge-1")) {
            say("messages", Flow.along(channel, "edge-2:2", "edge-1:1", "edge-2:2", "edge-1:1"));
            channel.move("edge-2");
            channel.send(LAST, MILLIS);
            say("last", channel.receive(MILLIS) + " at " + channel.host());
        }
    }

    /** The end begins in an instance on the edge, comes home, and leaves again, for the edge and for another host. */
    private static void relay(OffloadHandler handler, String module, Map<String, DataClient> hosts) throws Exception {
        Offers offers = handler.request(module, Collections.<String, Object>emptyMap());
        Offloaded lease = handler.select(offers, offers.offers().get(0));
        hosts.put("edge", lease.data());
        try (ElasticChannel channel = ElasticChannel.open("numbers", "s64", hosts, "edge")) {
            channel.setHome(HOME);
            say("home", Flow.along(channel, ":3", "edge:4", ":3", "edge:4", ":3"));
            say("carried", Flow.along(channel, "edge:4", "edge-1:1", "edge:4", "edge-2:2", ":3"));
        }
        handler.release(lease);
    }

    /** The edge ends, while messages flow: one end comes home, another one goes to a host that is named for that. */
    private static void drained(OffloadHandler handler, String module, Map<String, DataClient> hosts) throws Exception {
        Offers offers = handler.request(module, Collections.<String, Object>emptyMap());
        hosts.put("edge", handler.select(offers, offers.offers().get(0)).data());
        try (ElasticChannel channel = ElasticChannel.open("numbers", "s64", hosts, "edge");
                ElasticChannel other = ElasticChannel.open("numbers", "s64", hosts, "edge")) {
            channel.setHome(HOME);
            other.setRefuge("edge-1");
            other.send(1L, MILLIS);
            say("standing", other.receive(MILLIS));
            say("drained", Flow.along(channel, "*:3"));
            say("refuge", Flow.along(other, "*:1"));
        }
    }

    private static void goOn(String module, byte[] state) {
        try (WasmModule here = WasmModule.load(module, WasmOptions.defaults());
                WasmInstance instance = InstanceState.restore(here, state)) {
            say("here", instance.call("add", "i>i", 1000));
        }
    }

    private static void second(String shared) {
        OffloadHandler handler = new OffloadHandler();
        Offers offers = handler.requestShared(shared, Collections.<String, Object>emptyMap());
        Offloaded lease = handler.select(offers, offers.offers().get(0));
        say("transferred", lease.transferredBytes());
        say("calls", lease.call("add", "i>i", 0, 100));
        handler.release(lease);
        say("released", lease.state());
    }

    private static Map<String, DataClient> hosts(String[] words) {
        Map<String, DataClient> hosts = new ConcurrentHashMap<>();
        for (String word : Arrays.asList(words).subList(3, words.length)) {
            String[] parts = word.split("[=:]");
            hosts.put(parts[0], new DataClient(parts[1], Integer.parseInt(parts[2]), parts[3], parts[4]));
        }
        return hosts;
    }

    private static void say(String step, Object result) {
        System.out.println(step + " " + result);
    }
}
