import dev.lawow.ChannelClosedException;
import dev.lawow.DataClient;
import dev.lawow.ElasticChannel;
import dev.lawow.RemoteException;
import dev.lawow.Trap;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CancellationException;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;

/** Data planes and one channel, driven by lines: one in, one out. Values are ints for {@code i}, {@code S} is a string. */
public final class Planes {
    private final Map<String, DataClient> hosts = new ConcurrentHashMap<>();
    private final List<Future<Object>> started = new ArrayList<>();
    private ElasticChannel channel;

    public static void main(String[] unused) throws Exception {
        Planes planes = new Planes();
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, "UTF-8"));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            System.out.println(planes.answer(line.split("\t", -1)).replace("\n", " | "));
        }
    }

    private String answer(String[] words) throws Exception {
        try {
            return obey(words);
        } catch (Trap trap) {
            return "trap " + trap.code();
        } catch (RemoteException error) {
            return "remote " + error.code() + " " + error.mayHaveRun() + " " + error.getMessage();
        } catch (ChannelClosedException error) {
            return "closed " + error.getMessage();
        } catch (CancellationException error) {
            return "cancelled";
        } catch (ExecutionException error) {
            return "failed " + error.getCause();
        } catch (RuntimeException error) {
            return "error " + error.getClass().getSimpleName() + " " + error.getMessage();
        }
    }

    private String obey(String[] words) throws Exception {
        DataClient plane = words.length > 1 ? hosts.get(words[1]) : null;
        switch (words[0]) {
            case "host": // name, address, port, pin, token
                hosts.put(words[1], new DataClient(words[2], Integer.parseInt(words[3]), words[4], words[5]));
                return "ok";
            case "call": // host, target, export, signature, deadline, values
                Object[] values = values(words, 6);
                Object result = plane.call(words[2], words[3], words[4], Long.parseLong(words[5]), values);
                return text(result) + (values.length > 0 && values[0] instanceof int[] ? " " + text(values[0]) : "");
            case "start": // host, target, export, signature, deadline, values
                started.add(plane.start(words[2], words[3], words[4], Long.parseLong(words[5]), values(words, 6)));
                return "ok";
            case "cancel":
                return String.valueOf(started.get(started.size() - 1).cancel(true));
            case "wait":
                List<String> results = new ArrayList<>();
                for (Future<Object> each : new ArrayList<>(started)) {
                    started.remove(each);
                    results.add(text(each.get()));
                }
                return String.join(" ", results);
            case "close":
                plane.close();
                return "ok";
            case "over":
                return String.valueOf(plane.isOver());
            default:
                return channel(words);
        }
    }

    private String channel(String[] words) throws Exception {
        switch (words[0]) {
            case "open": // name, type, host
                channel = ElasticChannel.open(words[1], words[2], hosts, words[3]);
                channel.setHome(end -> {
                    while (true) {
                        end.answer(message -> message + "@home", 0);
                    }
                });
                return "ok";
            case "subscribe": // topic, type, host, policy
                channel = ElasticChannel.subscribe(words[1], words[2], hosts, words[3], Integer.parseInt(words[4]));
                return "ok";
            case "send": // value, ms
                channel.send(words[1], Long.parseLong(words[2]));
                return "ok";
            case "receive": // ms
                return text(channel.receive(Long.parseLong(words[1]))) + " missed " + channel.missed();
            case "move":
                channel.move(words[1]);
                return channel.host();
            case "flow": // count, then where to move meanwhile
                return flow(Integer.parseInt(words[1]), Arrays.copyOfRange(words, 2, words.length));
            case "end":
                channel.closeOutput(1000);
                return "ok";
            default:
                channel.close();
                return "ok";
        }
    }

    /** Sends so many messages in one thread, receives the answers in another, and moves the flexible end meanwhile. */
    private String flow(int count, String[] destinations) throws Exception {
        List<String> received = new ArrayList<>();
        List<Throwable> failures = new ArrayList<>();
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
        for (Thread thread : Arrays.asList(sender, receiver)) {
            thread.setUncaughtExceptionHandler((failed, error) -> failures.add(error));
            thread.start();
        }
        for (String destination : destinations) {
            Thread.sleep(20);
            channel.move(destination);
        }
        sender.join();
        receiver.join();
        return failures.isEmpty() ? String.join(" ", received) : "failures " + failures;
    }

    private static Object[] values(String[] words, int from) {
        Object[] values = new Object[words.length - from];
        for (int at = 0; at < values.length; at++) {
            String word = words[at + from];
            boolean isNumber = word.matches("-?[0-9]+");
            values[at] = isNumber ? (Object) Integer.valueOf(word)
                : word.startsWith("int*") ? (Object) new int[Integer.parseInt(word.substring(4))] : word;
        }
        return values;
    }

    private static String text(Object value) {
        return value instanceof int[] ? ((int[]) value).length + " ints"
            : value instanceof Object[] ? Arrays.toString((Object[]) value) : String.valueOf(value);
    }
}
