import java.io.BufferedReader;
import java.io.FileInputStream;
import java.io.InputStreamReader;
import java.net.URL;
import java.security.KeyStore;
import java.security.cert.Certificate;
import java.security.cert.CertificateFactory;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import javax.net.ssl.HttpsURLConnection;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;

/** Reads lines "id host address port", asks each by HTTPS as Java does by default, writes "id ok" or "id CLASS text". */
public class Client {
    public static void main(String[] arguments) throws Exception {
        KeyStore store = KeyStore.getInstance(KeyStore.getDefaultType());
        store.load(null, null);
        try (FileInputStream in = new FileInputStream(arguments[0])) {
            int number = 0;
            for (Certificate each : CertificateFactory.getInstance("X.509").generateCertificates(in)) {
                store.setCertificateEntry("root" + number++, each);
            }
        }
        TrustManagerFactory trust = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        trust.init(store);
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(null, trust.getTrustManagers(), null);
        HttpsURLConnection.setDefaultSSLSocketFactory(context.getSocketFactory());
        ExecutorService pool = Executors.newFixedThreadPool(4);
        List<Future<String>> answers = new ArrayList<>();
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            String[] spot = line.split(" ");
            answers.add(pool.submit(() -> spot[0] + " " + asked(spot[1], spot[3])));
        }
        for (Future<String> answer : answers) {
            System.out.println(answer.get());
        }
        pool.shutdown();
    }

    private static String asked(String host, String port) {
        try {
            HttpsURLConnection connection = (HttpsURLConnection) new URL("https://" + host + ":" + port + "/").openConnection();
            connection.setConnectTimeout(5000);
            connection.setReadTimeout(5000);
            connection.getResponseCode();
            connection.disconnect();
            return "ok";
        } catch (Exception error) {
            String text = String.valueOf(error.getMessage()).split("\n")[0];
            return error.getClass().getSimpleName() + " " + text;
        }
    }
}
