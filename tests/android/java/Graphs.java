package dev.lawow;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.Random;

/** Object graphs on their way: what goes, what comes back, and answers that lie. Prints a line for each. */
public final class Graphs {
    private static final int ROW = 5 << 16 | 2;
    private static final int ROWS = 20 << 16 | 0xFFF << 2 | 2;
    private static final int NODE = 21 << 16 | 2 << 2 | 1 << 14 | 3;
    private static final int WRITTEN = 1 << 15;
    private static final String SHAPE = "@" + (NODE | WRITTEN) + ",I,@" + (ROWS | WRITTEN) + ",@" + ROWS + " "
        + (NODE | WRITTEN) + ":Ldev/lawow/Graphs$Node;:!next@Ldev/lawow/Graphs$Node;|!row@Ldev/lawow/Graphs$Node;"
        + "|!count@Ldev/lawow/Graphs$Node;|fixed@Ldev/lawow/Graphs$Node; "
        + (ROWS | WRITTEN) + ":[[I: " + (ROW | WRITTEN) + ":[I:";

    /** An object of data. */
    static class Node {
        Node next;
        int[] row;
        int count;
        final long fixed;

        Node(int count) {
            this.count = count;
            this.fixed = -count;
        }

        @Override
        public String toString() {
            return count + "/" + fixed + Arrays.toString(row) + (next == null ? "" : next == this ? "@" : "+" + next);
        }
    }

    public static void main(String[] unused) throws Exception {
        roundTrip();
        strangers();
        lies();
    }

    private static Node sample(int[][] rows) {
        Node node = new Node(3);
        node.row = rows[1];
        node.next = new Node(4);
        node.next.next = node.next;
        return node;
    }

    private static int[][] rows() {
        int[] row = {7, 8};
        return new int[][] {{1}, row, null, row};
    }

    private static ObjectGraph graph(Object... arguments) {
        return new ObjectGraph(GraphShape.of(SHAPE), arguments);
    }

    /** The answer is made by hand: the node's count is 9, its row is new, the last of the rows is the first. */
    private static void roundTrip() throws Exception {
        int[][] rows = rows();
        Node node = sample(rows);
        Node second = node.next;
        ObjectGraph graph = graph(node, 6, rows);
        Object[] sent = graph.sent();
        System.out.println(sent.length + " " + sent[1] + " " + Hex.encode((byte[]) sent[0]));
        Object result = graph.taken(answer((byte[]) sent[0]));
        System.out.println(node + " " + (node.next == second) + " " + (rows[3] == rows[0]) + " " + (result == rows));
        System.out.println(Arrays.deepToString(rows) + " " + (node.row == rows[2]));
    }

    private static byte[] answer(byte[] image) {
        ByteBuffer in = ByteBuffer.wrap(image).order(ByteOrder.LITTLE_ENDIAN);
        int node = in.getInt(8);
        int rows = in.getInt(12);
        int made = image.length + 16;
        ByteBuffer out = ByteBuffer.allocate(16 + 16 + 32 + 16 + 16 + 24).order(ByteOrder.LITTLE_ENDIAN);
        out.putLong(rows).putLong(0);
        out.putInt(node).putInt(0).putInt(4).putInt(NODE | WRITTEN);
        out.putLong(in.getLong(node + 8)).putLong(made).putLong(9).putLong(77);
        out.putInt(rows).putInt(0).putInt(4).putInt(ROWS | WRITTEN);
        out.putInt(in.getInt(rows + 8)).putInt(in.getInt(rows + 12)).putInt(made).putInt(in.getInt(rows + 8));
        return out.putInt(made).putInt(0).putInt(2).putInt(ROW).putInt(-1).putInt(-2).array();
    }

    /** Objects of other classes than the method's own types do not travel. */
    private static void strangers() throws Exception {
        Node node = new Node(1);
        node.next = new Node(2) {};
        for (Object[] arguments : new Object[][] {{node, 1, null}, {"text", 1, null}, {null, 1, new long[0][]}}) {
            try {
                graph(arguments).sent();
                System.out.println("sent");
            } catch (IllegalArgumentException error) {
                System.out.println("refused");
            }
        }
        for (String shape : new String[] {"", "@5,V", "V 1:Ldev/lawow/Nobody;:", "V 1:Ldev/lawow/Graphs$Node;:no@Lx;"}) {
            try {
                GraphShape.of(shape);
                System.out.println("known");
            } catch (IllegalArgumentException error) {
                System.out.println("refused");
            }
        }
    }

    /** An answer with something wrong changes nothing. */
    private static void lies() throws Exception {
        Random random = new Random(1);
        int refused = 0;
        for (int turn = 0; turn < 3000; turn++) {
            int[][] rows = rows();
            Node node = sample(rows);
            ObjectGraph graph = graph(node, 6, rows);
            byte[] answer = answer((byte[]) graph.sent()[0]);
            if (turn % 3 == 0) {
                answer = Arrays.copyOf(answer, random.nextInt(answer.length));
            } else {
                answer[random.nextInt(answer.length)] ^= 1 << random.nextInt(8);
            }
            try {
                graph.taken(answer);
            } catch (IllegalArgumentException error) {
                refused++;
                if (!node.toString().equals("3/-3[7, 8]+4/-4null@") || !Arrays.deepEquals(rows, rows())) {
                    System.out.println("changed by a lie: " + node);
                }
            }
        }
        System.out.println(refused > 1000);
    }
}
