// Bouncy Castle's composite signatures: a task a line on standard input, an answer a line on standard output.
//
//   verify NAME SPKI SIGNATURE MESSAGE CONTEXT     "true" or "false"
//   sign NAME PKCS8 MESSAGE CONTEXT                the signature
//
// Values are base64, and "-" where they are empty.

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.security.KeyFactory;
import java.security.Security;
import java.security.Signature;
import java.security.spec.PKCS8EncodedKeySpec;
import java.security.spec.X509EncodedKeySpec;
import java.util.Base64;
import org.bouncycastle.jcajce.spec.ContextParameterSpec;
import org.bouncycastle.jce.provider.BouncyCastleProvider;

public final class Composites {
    public static void main(String[] arguments) throws Exception {
        Security.addProvider(new BouncyCastleProvider());
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            String[] words = line.split(" ");
            try {
                System.out.println(words[0].equals("sign") ? sign(words) : verify(words));
            } catch (Exception error) {
                System.out.println(String.valueOf(error).replace('\n', ' '));
            }
        }
    }

    private static String verify(String[] words) throws Exception {
        Signature signature = Signature.getInstance(words[1], "BC");
        signature.initVerify(factory(words[1]).generatePublic(new X509EncodedKeySpec(bytes(words[2]))));
        setContext(signature, bytes(words[5]));
        signature.update(bytes(words[4]));
        return String.valueOf(signature.verify(bytes(words[3])));
    }

    private static String sign(String[] words) throws Exception {
        Signature signature = Signature.getInstance(words[1], "BC");
        signature.initSign(factory(words[1]).generatePrivate(new PKCS8EncodedKeySpec(bytes(words[2]))));
        setContext(signature, bytes(words[4]));
        signature.update(bytes(words[3]));
        return Base64.getEncoder().encodeToString(signature.sign());
    }

    // Before it is initialised it would be taken for signing.
    private static void setContext(Signature signature, byte[] context) throws Exception {
        if (context.length > 0) signature.setParameter(new ContextParameterSpec(context));
    }

    private static KeyFactory factory(String name) throws Exception {
        return KeyFactory.getInstance(name, "BC");
    }

    private static byte[] bytes(String text) {
        return text.equals("-") ? new byte[0] : Base64.getDecoder().decode(text);
    }
}
