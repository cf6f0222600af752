import Platform

/// The values of `--tablespace-mapping`, in pg_basebackup's syntax (`tablespace_list_append`, src/bin/pg_basebackup):
/// in a path, `\\=` stands for an equals sign.
public enum TablespaceMapping {
    /// Nil unless there is exactly one equals sign between two paths.
    public static func parse(_ text: String) -> (old: String, new: String)? {
        var parts = [""]
        var rest = text.unicodeScalars[...]
        while let scalar = rest.popFirst() {
            if scalar == "\\", rest.first == "=" {
                parts[parts.count - 1] += "="
                rest.removeFirst()
            } else if scalar == "=" {
                parts.append("")
            } else {
                parts[parts.count - 1].unicodeScalars.append(scalar)
            }
        }
        return parts.count == 2 ? (parts[0], parts[1]) : nil
    }

    /// The option's value.
    public static func text(_ old: String, _ new: String) -> String {
        [old, new].map { $0.replacing("=", with: "\\=") }.joined(separator: "=")
    }

    /// The option's value, quoted for a shell, with a word where the user has to name a directory.
    public static func offered(_ location: String) -> String { shellQuoted(text(location, "DIRECTORY")) }
}
