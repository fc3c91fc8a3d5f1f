// Bouncy Castle reads what Ketgate writes: a task a line on standard input, "true" or why not a line on standard output.
//
//   request PKCS10                         its signature holds
//   certificate CERTIFICATE ISSUER         both signatures hold, and the key usage is as RFC 9881 asks
//   private PKCS8 SPKI                     the private key signs, and the public key verifies
//
// Values are base64.

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.security.PrivateKey;
import java.security.PublicKey;
import java.security.Security;
import java.security.Signature;
import java.util.Base64;
import org.bouncycastle.asn1.pkcs.PrivateKeyInfo;
import org.bouncycastle.asn1.x509.Extension;
import org.bouncycastle.asn1.x509.KeyUsage;
import org.bouncycastle.asn1.x509.SubjectPublicKeyInfo;
import org.bouncycastle.cert.X509CertificateHolder;
import org.bouncycastle.jce.provider.BouncyCastleProvider;
import org.bouncycastle.operator.ContentVerifierProvider;
import org.bouncycastle.operator.jcajce.JcaContentVerifierProviderBuilder;
import org.bouncycastle.pkcs.PKCS10CertificationRequest;

public final class Verify {
    private static final int MAY_NOT = KeyUsage.keyEncipherment | KeyUsage.dataEncipherment | KeyUsage.keyAgreement
            | KeyUsage.encipherOnly | KeyUsage.decipherOnly;

    public static void main(String[] arguments) throws Exception {
        Security.addProvider(new BouncyCastleProvider());
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            String[] words = line.split(" ");
            try {
                System.out.println(answer(words[0], bytes(words[1]), words.length > 2 ? bytes(words[2]) : null));
            } catch (Exception error) {
                System.out.println(String.valueOf(error).replace('\n', ' '));
            }
        }
    }

    private static boolean answer(String what, byte[] first, byte[] second) throws Exception {
        switch (what) {
            case "request":
                PKCS10CertificationRequest request = new PKCS10CertificationRequest(first);
                return request.isSignatureValid(verifier(request.getSubjectPublicKeyInfo()));
            case "certificate":
                X509CertificateHolder leaf = new X509CertificateHolder(first);
                X509CertificateHolder issuer = new X509CertificateHolder(second);
                ContentVerifierProvider above = verifier(issuer.getSubjectPublicKeyInfo());
                return leaf.isSignatureValid(above) && issuer.isSignatureValid(above)
                        && uses(leaf, KeyUsage.digitalSignature)
                        && uses(issuer, KeyUsage.keyCertSign | KeyUsage.cRLSign);
            case "private":
                return signs(PrivateKeyInfo.getInstance(first), SubjectPublicKeyInfo.getInstance(second));
            default:
                throw new IllegalArgumentException(what);
        }
    }

    private static boolean uses(X509CertificateHolder certificate, int wanted) {
        Extension extension = certificate.getExtension(Extension.keyUsage);
        KeyUsage usage = KeyUsage.getInstance(extension.getParsedValue());
        return extension.isCritical() && usage.hasUsages(wanted) && (usage.getPadBits() >= 0)
                && !usage.hasUsages(MAY_NOT);
    }

    private static boolean signs(PrivateKeyInfo described, SubjectPublicKeyInfo own) throws Exception {
        PrivateKey key = BouncyCastleProvider.getPrivateKey(described);
        PublicKey counterpart = BouncyCastleProvider.getPublicKey(own);
        String name = key.getAlgorithm().startsWith("EC") ? "SHA256withECDSA" : key.getAlgorithm();
        Signature signature = Signature.getInstance(name, "BC");
        signature.initSign(key);
        signature.update(new byte[] {1, 2, 3});
        byte[] made = signature.sign();
        signature.initVerify(counterpart);
        signature.update(new byte[] {1, 2, 3});
        return signature.verify(made);
    }

    private static ContentVerifierProvider verifier(SubjectPublicKeyInfo key) throws Exception {
        return new JcaContentVerifierProviderBuilder().setProvider("BC").build(key);
    }

    private static byte[] bytes(String text) {
        return Base64.getDecoder().decode(text);
    }
}
