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
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Future;

/**
 * The whole offload sequence of one device, step by step; what comes out of each step is a line.
 *
 * <p>{@code first DIGEST NAME=ADDRESS:PORT:PIN:TOKEN...} offloads the counter, calls it, lets a channel's end move between
 * the two hosts that are named while messages flow, waits for a line, brings the state home and goes on with it here.
 * {@code second SHARED} calls the instance that the first device shares.
 */
public final class OffloadSequence {
    private static final String MODULE = "counter.wasm@";
    private static final long MILLIS = 30000;
    private static final int COUNT = 400;

    public static void main(String[] words) throws Exception {
        if (words[0].equals("first")) {
            first(MODULE + words[1], hosts(words));
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

    /** Hosts answer a number with itself, times 20, and the last digit of their name. */
    private static void channel(Map<String, DataClient> hosts) throws Exception {
        try (ElasticChannel channel = ElasticChannel.open("numbers", "s64", hosts, "edge-1")) {
            Sender sender = new Sender(channel);
            Receiver receiver = new Receiver(channel);
            sender.start();
            receiver.start();
            for (int round = 0; round < 5; round++) {
                channel.move("edge-2");
                sender.hasMoved.countDown();
                receiver.hasHeardSecond.await(); // in the first round; from then on it has
                channel.move("edge-1");
            }
            sender.join();
            receiver.join();
            channel.move("edge-2");
            channel.send((long) COUNT, MILLIS);
            say("messages", receiver.inOrder + " of " + COUNT + " by " + receiver.hosts);
            say("last", channel.receive(MILLIS) + " at " + channel.host());
        }
    }

    private static final class Sender extends Thread {
        private final ElasticChannel channel;
        final CountDownLatch hasMoved = new CountDownLatch(1);

        Sender(ElasticChannel channel) {
            this.channel = channel;
        }

        @Override
        public void run() {
            for (long number = 0; number < COUNT; number++) {
                if (number == COUNT / 2) {
                    awaitMove(); // messages before it, meanwhile and after it, however quick they are
                }
                channel.send(number, MILLIS);
            }
        }

        private void awaitMove() {
            try {
                hasMoved.await();
            } catch (InterruptedException error) {
                throw new IllegalStateException(error);
            }
        }
    }

    private static final class Receiver extends Thread {
        private final ElasticChannel channel;
        final Set<Long> hosts = new TreeSet<>();
        final CountDownLatch hasHeardSecond = new CountDownLatch(1);
        int inOrder;

        Receiver(ElasticChannel channel) {
            this.channel = channel;
        }

        @Override
        public void run() {
            for (int number = 0; number < COUNT; number++) {
                long answer = (Long) channel.receive(MILLIS);
                inOrder += answer / 20 == number ? 1 : 0;
                hosts.add(answer % 20);
                if (answer % 20 == 2) {
                    hasHeardSecond.countDown();
                }
            }
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
