import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.io.StringWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import javax.tools.JavaCompiler;
import javax.tools.StandardJavaFileManager;
import javax.tools.StandardLocation;
import javax.tools.ToolProvider;

/** A compiler that stays: each line is a request's number and a folder whose Main.java to compile. It answers
 * messages, then that number and a status. */
public class Compiler {
    public static void main(String[] arguments) throws Exception {
        PrintStream answer = System.out;
        System.setOut(System.err);
        JavaCompiler compiler = ToolProvider.getSystemJavaCompiler();
        List<String> options = List.of("-proc:none", "-nowarn", "-Xlint:none", "-encoding", "UTF-8");
        BufferedReader folders = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        // One file manager for all: it has read the library's index, which takes longer than most programs.
        StandardJavaFileManager files = compiler.getStandardFileManager(null, null, StandardCharsets.UTF_8);
        for (String line; (line = folders.readLine()) != null; ) {
            String[] request = line.split(" ", 2);
            Path folder = Path.of(request.length < 2 ? "/" : request[1]);
            StringWriter messages = new StringWriter();
            boolean done;
            try {
                files.setLocationFromPaths(StandardLocation.CLASS_OUTPUT, List.of(folder));
                files.setLocationFromPaths(StandardLocation.CLASS_PATH, List.of(folder));
                done = compiler.getTask(messages, files, null, options, null,
                        files.getJavaFileObjects(folder.resolve("Main.java"))).call();
            } catch (Throwable error) {
                messages.write("the compiler failed: " + error);
                done = false;
            }
            answer.print(messages.toString().replace("\0", "") + "\n" + request[0] + " " + (done ? 0 : 1) + "\0");
            answer.flush();
        }
    }
}
