// Talks to the server with the HTTP client of the JDK, which asks to upgrade each plain connection to HTTP/2 (h2c).
// Usage: java JavaClient.java BASE_URL MODEL. Prints one line for each step; test_java.py compares them.
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.util.regex.Pattern;

class JavaClient {
    static final HttpClient CLIENT = HttpClient.newBuilder().version(HttpClient.Version.HTTP_2).build();
    static final Pattern CONTENT = Pattern.compile("\"content\":\"([^\"]*)\"");
    static final Pattern MESSAGE = Pattern.compile("\"message\":\"([^\"]*)\"");
    static String baseUrl;
    static String model;

    static HttpRequest chat(String fields) {
        String body = "{\"model\":\"" + model + "\",\"max_tokens\":4096," + fields
            + ",\"messages\":[{\"role\":\"user\",\"content\":\"What is the capital of France?\"}]}";
        return HttpRequest.newBuilder(URI.create(baseUrl + "/chat/completions"))
            .header("Content-Type", "application/json")
            .POST(HttpRequest.BodyPublishers.ofString(body))
            .build();
    }

    // Returns the first groups of all matches, joined.
    static String joined(Pattern pattern, String text) {
        StringBuilder found = new StringBuilder();
        pattern.matcher(text).results().forEach(match -> found.append(match.group(1)));
        return found.toString();
    }

    public static void main(String[] arguments) throws Exception {
        baseUrl = arguments[0];
        model = arguments[1];
        HttpRequest models = HttpRequest.newBuilder(URI.create(baseUrl + "/models")).build();
        System.out.println("models " + CLIENT.send(models, BodyHandlers.ofString()).statusCode());

        HttpResponse<String> whole = CLIENT.send(chat("\"temperature\":0"), BodyHandlers.ofString());
        System.out.println("whole " + whole.statusCode() + " " + whole.version() + " " + joined(CONTENT, whole.body()));

        StringBuilder text = new StringBuilder();
        CLIENT.send(chat("\"temperature\":0,\"stream\":true"), BodyHandlers.ofLines()).body()
            .forEach(line -> text.append(joined(CONTENT, line)));
        System.out.println("stream " + text);

        HttpResponse<String> refused = CLIENT.send(chat("\"temperature\":3"), BodyHandlers.ofString());
        System.out.println("error " + refused.statusCode() + " " + joined(MESSAGE, refused.body()));
    }
}
