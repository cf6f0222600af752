import Glibc
public import Platform

/// A secret from a file or the environment. Its description is masked, so that it doesn't appear in messages.
public struct Secret: CustomStringConvertible {
    let text: String
    public var description: String { "…" }

    /// - Parameters:
    ///   - file: a setting's value; it takes precedence over the environment.
    ///   - variable: an environment variable.
    /// - Returns: nil when neither exists.
    init?(file: String?, variable: String) throws {
        if let file {
            text = try Secret.read(file)
        } else if let value = getenv(variable), value[0] != 0 {
            text = String(cString: value)
        } else {
            return nil
        }
    }

    /// The file's content without the line's end.
    static func read(_ path: String) throws -> String {
        if let problem = try objection(to: path) { throw problem }
        var text = try Files.readText(path, limit: 64 << 10)
        while let last = text.last, last.isWhitespace { text.removeLast() }
        guard !text.isEmpty else { throw Problem("secret file \"\(path)\" is empty") }
        return text
    }

    /// Why the file is unfit for a secret: others may read or change it. A group may read it, so that root can own it.
    public static func objection(to path: String) throws(SystemError) -> Problem? {
        let status = try FileStatus(of: path)
        guard status.kind == .regular else { return Problem("secret file \"\(path)\" is not a regular file") }
        guard status.owner == geteuid() || status.owner == 0 else {
            return Problem(
                "secret file \"\(path)\" belongs to another user",
                hint: "It must belong to root or to the user who runs tidemark.")
        }
        guard status.mode & 0o027 == 0 else {
            return Problem(
                "secret file \"\(path)\" is open to others",
                detail: "Its mode is \(octal(status.mode)).",
                hint: "Run \"chmod 0600 \(shellQuoted(path))\", or 0640 when a group must read it.")
        }
        return nil
    }
}

/// A mode as chmod takes it: `0640`.
func octal(_ mode: mode_t) -> String { padded(mode, to: 4, radix: 8) }
