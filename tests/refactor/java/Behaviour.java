import dev.lawow.Lawow;
import java.util.Arrays;
import java.util.Random;
import sample.ArraysWasm;
import sample.TotalWasm;

/**
 * Calls every method with generated values and prints what comes back: results, changed arrays, exceptions. Knows
 * nothing of where the methods run; says on its standard error whether any ran through the stub library.
 *
 * <p>usage: Behaviour SEED ROUNDS
 */
public final class Behaviour {
    private static final String LETTERS = "abcXYZ 019äß€\u0000\ud83c\udf0d";
    private static Random random;

    public static void main(String[] arguments) {
        random = new Random(Long.parseLong(arguments[0]));
        for (int round = 0; round < Integer.parseInt(arguments[1]); round++) {
            arrays(round);
            others();
            texts();
        }
        exceptions();
        objects();
        System.err.println(Lawow.lastTiming() == null ? "all here" : "some elsewhere");
    }

    private static void arrays(int round) {
        int[] ints = random.ints(round % 9).toArray();
        System.out.println(ArraysWasm.sum(ints));
        ArraysWasm.reverse(ints);
        System.out.println(Arrays.toString(ints));
        int[] copy = ints.clone();
        boolean same = ArraysWasm.both(ints, copy);
        same &= ints.length > 0; // the address of an empty list says nothing
        System.out.println(same + Arrays.toString(ints) + Arrays.toString(copy));
        System.out.println(ArraysWasm.both(ints, ints) + Arrays.toString(ints));
        double[] doubles = random.doubles(round % 5).toArray();
        ArraysWasm.scale(doubles, round - 2.5);
        System.out.println(Arrays.toString(doubles));
        System.out.println(ArraysWasm.xor_longs(random.longs(round % 7).toArray()));
        System.out.println(Arrays.toString(ArraysWasm.squares(round - 2)));
    }

    private static void others() {
        byte[] bytes = new byte[random.nextInt(20)];
        random.nextBytes(bytes);
        ArraysWasm.fill(bytes, random.nextInt());
        System.out.println(Arrays.toString(bytes));
        boolean[] flags = {random.nextBoolean(), random.nextBoolean(), random.nextBoolean()};
        ArraysWasm.invert(flags);
        System.out.println(Arrays.toString(flags));
        char[] letters = {(char) random.nextInt(), 'ÿ', '\uffff'};
        ArraysWasm.next_chars(letters);
        System.out.println((int) letters[0] + " " + (int) letters[1] + " " + (int) letters[2]);
        System.out.println(ArraysWasm.largest_short(new short[] {(short) random.nextInt(), (short) random.nextInt()}));
        System.out.println(ArraysWasm.sum_floats(new float[] {random.nextFloat(), -random.nextFloat(), 1e9f}));
    }

    private static void texts() {
        StringBuilder text = new StringBuilder();
        for (int count = random.nextInt(12); count > 0; count--) {
            int at = LETTERS.offsetByCodePoints(0, random.nextInt(LETTERS.codePointCount(0, LETTERS.length())));
            text.appendCodePoint(LETTERS.codePointAt(at));
        }
        String upper = ArraysWasm.upper(text.toString());
        System.out.println(ArraysWasm.concat(upper, text.toString()) + upper.length());
    }

    private static void exceptions() {
        try {
            System.out.println(ArraysWasm.sum(null));
        } catch (NullPointerException error) {
            System.out.println("null array");
        }
        try {
            System.out.println(ArraysWasm.concat("a", null));
        } catch (NullPointerException error) {
            System.out.println("null text");
        }
        try {
            System.out.println(ArraysWasm.change_and_trap(new int[] {1}));
        } catch (RuntimeException error) {
            System.out.println("threw");
        }
    }

    private static void objects() {
        TotalWasm first = new TotalWasm();
        TotalWasm second = new TotalWasm();
        for (int at = 0; at < 5; at++) {
            System.out.println(first.accumulate(at) + " " + second.accumulate(10 * at));
        }
        first.close();
        System.out.println(first.isClosed() + " " + second.isClosed() + " " + second.accumulate(1));
        second.close();
    }
}
