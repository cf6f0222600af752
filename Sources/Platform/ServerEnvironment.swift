import Glibc

/// The environment of servers that are started, and of programs that look at them: what a program needs to run, speak and tell
/// the time. Whatever else the caller has in his, secrets and libpq's settings above all, is no business of theirs.
public enum ServerEnvironment {
    private static let names: Set<String> = [
        "PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TZ", "TZDIR", "TMPDIR",
        // Where the programs of a server that somebody has built find their libraries and locales.
        "LD_LIBRARY_PATH", "LD_PRELOAD", "LOCPATH", "ICU_DATA",
    ]

    /// What there is of it in this process's environment.
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
