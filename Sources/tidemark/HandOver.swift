import ArchiveCommandLine
import Glibc
import Platform

/// Executes `tidemark-main`, the executable with all commands that PostgreSQL doesn't run for each segment.
enum HandOver {
    /// Searches beside this executable, with links resolved, then where packages install it.
    static func run(_ line: [String]) -> Int32 {
        let log = Log()
        do {
            let directory = Files.parent(try Files.readLink("/proc/self/exe"))
            let candidates = [
                "\(directory)/tidemark-main", "\(directory)/../lib/tidemark/tidemark-main",
                "\(directory)/../libexec/tidemark/tidemark-main",
            ]
            var arguments: [UnsafeMutablePointer<CChar>?] = line.map { strdup($0) } + [nil]
            for candidate in candidates {
                do throws(SystemError) {
                    _ = try retrying(.spawn, candidate) { execve(candidate, &arguments, environ) }
                } catch {
                    guard error.code == ENOENT || error.code == ENOTDIR else { throw error }
                }
            }
            throw Problem(
                "could not find \"tidemark-main\"",
                detail:
                    "It is not next to \"\(directory)/tidemark\", nor in ../lib/tidemark or ../libexec/tidemark from there.",
                hint: "Install both executables; they are built together.")
        } catch {
            log(.error, error)
            return RestoreCall.isMeant(line.dropFirst(), isKnown: false) ? 200 : 1
        }
    }
}
