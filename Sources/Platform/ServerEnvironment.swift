import Glibc

/// The environment of servers and server programs that tidemark starts: what a program needs for running, for messages
/// and for the time zone. The rest of the caller's environment, above all secrets and libpq's settings, is not passed
/// on.
public enum ServerEnvironment {
    private static let names: Set<String> = [
        "PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TZ", "TZDIR", "TMPDIR",
        // Where the programs of a self-built server find their libraries and locales.
        "LD_LIBRARY_PATH", "LD_PRELOAD", "LOCPATH", "ICU_DATA",
    ]

    /// These variables in this process's environment.
    public static var own: [String: String] {
        var variables: [String: String] = [:]
        var next = environ
        while let entry = next.pointee {
            let text = String(cString: entry)
            if let sign = text.firstIndex(of: "=") {
                let name = String(text[..<sign])
                if names.contains(name) || name.hasPrefix("LC_") {
                    variables[name] = String(text[text.index(after: sign)...])
                }
            }
            next += 1
        }
        return variables
    }
}
