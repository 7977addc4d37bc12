import dev.lawow.ElasticChannel;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.atomic.AtomicBoolean;

/**
 * Numbers go out by one thread and come back by another one, while the channel's end moves along a route.
 *
 * <p>Whoever has the end answers a number with itself, times 20, and the mark of the place. Each place is left only once it
 * has answered something new, so messages are on their way before each move, meanwhile and afterwards.
 */
final class Flow {
    private static final long MILLIS = 30000;
    private static final int AT_ONCE = 8;

    private final ElasticChannel channel;
    private final AtomicBoolean hasArrived = new AtomicBoolean();
    private final Set<Long> marks = new TreeSet<>();
    private long sent;
    private long received;
    private long inOrder;
    private long lastMark;
    private RuntimeException failure;

    /** {@code route}: names of places, each with its mark behind a colon; {@code *}: it goes there unasked. */
    static String along(ElasticChannel channel, String... route) throws InterruptedException {
        return new Flow(channel).run(route);
    }

    private Flow(ElasticChannel channel) {
        this.channel = channel;
    }

    private String run(String[] route) throws InterruptedException {
        Thread sender = started(new Runnable() {
            @Override
            public void run() {
                send();
            }
        });
        Thread receiver = started(new Runnable() {
            @Override
            public void run() {
                receive();
            }
        });
        for (String stop : route) {
            String[] parts = stop.split(":");
            if (!parts[0].equals("*")) {
                channel.move(parts[0]);
            }
            awaitAnswerOf(Long.parseLong(parts[1]));
        }
        hasArrived.set(true);
        sender.join();
        receiver.join();
        return (inOrder == sent ? "all" : inOrder + " of " + sent) + " in order by " + marks;
    }

    private Thread started(final Runnable work) {
        Thread thread = new Thread() {
            @Override
            public void run() {
                try {
                    work.run();
                } catch (RuntimeException error) {
                    fail(error);
                }
            }
        };
        thread.start();
        return thread;
    }

    private void send() {
        for (long number = 0; !hasArrived.get(); number++) {
            channel.send(number, MILLIS);
            if (number % AT_ONCE == 0) {
                pause();
            }
            sent = number + 1;
        }
        channel.send(-1L, MILLIS);
    }

    private void receive() {
        for (long answer = answer(); answer >= 0; answer = answer()) {
            inOrder += answer / 20 == received ? 1 : 0;
            note(answer % 20);
        }
    }

    private long answer() {
        return (Long) channel.receive(MILLIS);
    }

    private static void pause() {
        try {
            Thread.sleep(1);
        } catch (InterruptedException error) {
            throw new IllegalStateException(error);
        }
    }

    private synchronized void note(long mark) {
        received++;
        lastMark = mark;
        marks.add(mark);
        notifyAll();
    }

    private synchronized void fail(RuntimeException error) {
        failure = failure == null ? error : failure;
        hasArrived.set(true);
        notifyAll();
    }

    private synchronized void awaitAnswerOf(long mark) throws InterruptedException {
        while (lastMark != mark) {
            if (failure != null) {
                throw failure;
            }
            wait(MILLIS);
        }
    }
}
