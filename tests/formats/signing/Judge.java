// Android's own verifier, kept running: one line "MIN_SDK PATH" in, one line of facts out.

import com.android.apksig.ApkVerifier;
import java.io.BufferedReader;
import java.io.File;
import java.io.InputStreamReader;
import java.util.ArrayList;
import java.util.List;

public class Judge {
    public static void main(String[] arguments) throws Exception {
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            String[] parts = line.split(" ", 2);
            System.out.println(judge(Integer.parseInt(parts[0]), new File(parts[1])));
            System.out.flush();
        }
    }

    private static String judge(int minSdk, File apk) {
        try {
            ApkVerifier.Builder builder = new ApkVerifier.Builder(apk);
            if (minSdk > 0) {
                builder.setMinCheckedPlatformVersion(minSdk);
            }
            ApkVerifier.Result result = builder.build().verify();
            List<String> issues = new ArrayList<>();
            for (ApkVerifier.IssueWithParams issue : result.getErrors()) {
                issues.add(issue.getIssue().name());
            }
            result.getV1SchemeSigners().forEach(s -> s.getErrors().forEach(i -> issues.add(i.getIssue().name())));
            result.getV2SchemeSigners().forEach(s -> s.getErrors().forEach(i -> issues.add(i.getIssue().name())));
            result.getV3SchemeSigners().forEach(s -> s.getErrors().forEach(i -> issues.add(i.getIssue().name())));
            return String.join(
                    " ",
                    result.isVerified() ? "verified" : "refused",
                    flag(result.isVerifiedUsingV1Scheme(), "1")
                            + flag(result.isVerifiedUsingV2Scheme(), "2")
                            + flag(result.isVerifiedUsingV3Scheme(), "3"),
                    String.join(",", issues));
        } catch (Exception error) {
            return "refused - " + error.getClass().getSimpleName();
        }
    }

    private static String flag(boolean set, String name) {
        return set ? name : "-";
    }
}
