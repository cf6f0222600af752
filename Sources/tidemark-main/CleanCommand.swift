import Archiving
import BaseBackup
import Configuration
import Glibc
import Platform
import Recovery
import Repository

enum CleanCommand: Command {
    static let grammar = Grammar(
        "clean", "remove what killed commands left behind",
        description: [
            "Removes from scratch_directory the temporary clusters of recover-table and drill whose process is gone, and stops "
                + "the servers that still run in them; and from the repository and the state directory the temporary files of "
                + "such processes. What belongs to a living process, to another user or to another program is never touched: a "
                + "temporary cluster's process holds a lock on it as long as it lives.",
            "Nothing depends on it: the next recover-table, drill or archive-push clears up its own kind, too.",
        ],
        options: [
            .init("dry-run", "say what would be removed, and remove nothing"),
            .init("json", "print JSON"),
        ],
        examples: [
            Grammar.Example("tidemark clean --dry-run", "look first"),
            Grammar.Example("tidemark clean", "then do it"),
        ])

    private struct Document: Encodable {
        let dryRun: Bool
        let scratchClusters: [String]
        let temporaries: [String]
    }

    static func run(_ invocation: Invocation) throws -> ExitStatus {
        let cluster = try invocation.cluster()
        let dryRun = invocation.arguments.has("dry-run")
        let scratch = try ScratchDirectory.reclaim(in: cluster.scratchDirectory, dryRun: dryRun)
        var temporaries: [String] = []
        for root in ["\(cluster.repository)/\(cluster.name)", cluster.state.path] {
            do throws(SystemError) {
                let held = try HeldDirectory(confining: root, followsLink: false)
                clean(
                    Place(".", in: held), except: cluster.scratchDirectory, dryRun: dryRun, invocation.log,
                    into: &temporaries)
            } catch  where [ENOENT, ENOTDIR, ELOOP].contains(error.code) {
                continue
            } catch { invocation.log(.warning, "\(error.message); it is passed over", hint: error.hint) }
        }
        temporaries += try removeStaleManifests(dryRun: dryRun)
        if invocation.json {
            try invocation.print(
                json: Document(dryRun: dryRun, scratchClusters: scratch, temporaries: temporaries))
            return .success
        }
        let gone = dryRun ? "Would remove" : "Removed"
        let lines =
            scratch.map { "\(gone) the temporary cluster \"\($0)\"" }
            + temporaries.map { "\(gone) the temporary file \"\($0)\"" }
        invocation.print(lines.isEmpty ? "There is nothing to clean." : lines.joined(separator: "\n"))
        return .success
    }

    /// Goes through the directories below a held one; symbolic links are not followed. One that can't be read is named, and
    /// passed over.
    private static func clean(
        _ directory: Place, except scratch: String, dryRun: Bool, _ log: Log, into found: inout [String]
    ) {
        do {
            guard directory.path != scratch, try FileStatus(ofLinkItself: directory)?.kind == .directory else { return }
            found += try removeStaleTemporaries(in: directory, dryRun: dryRun).map(\.path)
            for name in try Files.listIfPresent(directory).sorted() where !name.hasPrefix(".") {
                clean(directory.appending(name), except: scratch, dryRun: dryRun, log, into: &found)
            }
        } catch { log(.warning, "\(error.message); it is passed over", hint: error.hint) }
    }
}
