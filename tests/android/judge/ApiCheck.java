import java.io.File;
import java.io.FileInputStream;
import java.util.Collections;
import org.codehaus.mojo.animal_sniffer.SignatureChecker;
import org.codehaus.mojo.animal_sniffer.logging.PrintWriterLogger;

/** Says what a JAR or class file uses that an Android release lacks: {@code ApiCheck SIGNATURES FILE IGNORED-PACKAGE}. */
public final class ApiCheck {
    public static void main(String[] words) throws Exception {
        SignatureChecker checker = new SignatureChecker(
            new FileInputStream(words[0]), Collections.singleton(words[2] + ".*"), new PrintWriterLogger(System.out));
        checker.setSourcePath(Collections.<File>emptyList());
        checker.process(new File(words[1]));
        System.exit(checker.isSignatureBroken() ? 1 : 0);
    }
}
