import dev.lawow.DataClient;
import dev.lawow.ElasticChannel;
import dev.lawow.ElasticFunction;
import dev.lawow.ElasticPolicy;
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
 * <p>{@code first MODULE NAME=ADDRESS:PORT:PIN:TOKEN...} offloads a module, calls it, lets a channel's end move between
 * the hosts that are named while messages flow, waits for a line, brings the state home and goes on with it here.
 * {@code second SHARED} calls the instance that the first device shares.
 */
public final class OffloadSequence {
    public static void main(String[] words) throws Exception {
        if (words[0].equals("first")) {
            first(words[1], hosts(words));
        } else {
            second(words[1]);
        }
    }

    private static void first(String module, Map<String, DataClient> hosts) throws Exception {
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
        handler.share(lease, "counter");
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
            say("ended", error.code() + " " + error.mayHaveRun());
        }
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
        // By the module's name each call has a fresh instance, and goes the same way.
        say("fresh", Lawow.remote(module, "add", "i>i", new Object[] {7}));
        ElasticFunction add = new ElasticFunction.Builder(module, "add", "i>i")
            .policy(ElasticPolicy.REMOTE).deadlineMillis(5000).build();
        say("elastic", add.call(8) + " " + add.wasRemote() + " " + add.callAsync(9).get());
        ElasticFunction here = new ElasticFunction.Builder(module, "add", "i>i").policy(ElasticPolicy.LOCAL).build();
        say("local", here.call(8) + " " + here.wasRemote());
    }

    private static void channel(Map<String, DataClient> hosts) throws Exception {
        final int count = 500;
        try (ElasticChannel channel = ElasticChannel.open("echo", "string", hosts, "alpha")) {
            List<String> received = Collections.synchronizedList(new ArrayList<>());
            Thread sender = new Thread(() -> {
                for (int number = 1; number <= count; number++) {
                    channel.send("m" + number, 20000);
                }
            });
            Thread receiver = new Thread(() -> {
                while (received.size() < count) {
                    received.add((String) channel.receive(20000));
                }
            });
            sender.start();
            receiver.start();
            for (String destination : Arrays.asList("beta", "alpha", "beta")) {
                channel.move(destination);
            }
            sender.join();
            receiver.join();
            int right = 0;
            for (int number = 1; number <= count; number++) {
                String line = received.get(number - 1);
                right += line.startsWith("m" + number + "@") && line.endsWith("#" + number) ? 1 : 0;
            }
            say("messages", right + " of " + received.size() + " at " + channel.host());
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
        for (String word : Arrays.asList(words).subList(2, words.length)) {
            String[] parts = word.split("[=:]");
            hosts.put(parts[0], new DataClient(parts[1], Integer.parseInt(parts[2]), parts[3], parts[4]));
        }
        return hosts;
    }

    private static void say(String step, Object result) {
        System.out.println(step + " " + result);
    }
}
