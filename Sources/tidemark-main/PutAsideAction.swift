import Archiving
import BaseBackup
import Configuration
import DataDirectory
import Operations
import Platform
import Postgres
import Repository
import WAL

/// `tidemark segments put-aside NAME`.
enum PutAsideAction {
    static let options: [Grammar.Option] = [
        .init("following", "with put-aside and a segment: all later segments of its timeline as well"),
        .init("reason", value: "TEXT", "with put-aside: why, for the record"),
        .init("certain", "with put-aside: put it aside although no primary here can confirm that it is not needed"),
        .init("yes", letter: "y", "with put-aside and put-back: do not ask"),
        .init("dry-run", "with put-aside and put-back: say what would be moved, and move nothing"),
    ]

    private struct Document: Encodable {
        let name: String
        /// Where the objects are now; null in a dry run.
        let folder: String?
        let objects: [String]
    }

    static func subject(_ name: String) throws -> PutAside.Subject {
        guard let subject = PutAside.Subject(name) else {
            throw UsageError(
                "\"\(name)\" is not a segment, .partial, .backup or timeline",
                hint: "Name it as \"tidemark segments\" shows it; a timeline by its history file or number.")
        }
        return subject
    }

    static func run(_ invocation: Invocation, _ name: String) throws -> ExitStatus {
        let subject = try subject(name)
        let cluster = try invocation.cluster()
        let archive = try currentArchive(of: cluster)
        let aside = try PutAside(subject, following: invocation.arguments.has("following"), of: archive)
        func judge(_ aside: PutAside) throws {
            var server: LivingServer?
            var problem: String?
            do { server = try livingServer(cluster, archive.incarnation) } catch {
                let explained = error as? any Explained
                problem = [explained?.message ?? "\(error)", explained?.detail].compactMap(\.self).joined(
                    separator: ": ")
            }
            try PutAsideCheck(
                dataDirectory: cluster.dataDirectory, archive, server: server, problem: problem,
                isCertain: invocation.arguments.has("certain")
            ).refuse(aside)
        }
        try judge(aside)
        let names = aside.keys.map(\.name)
        var folder: String?
        if !invocation.arguments.has("dry-run") {
            let question =
                "\(objects(names)) will be put aside. "
                + "Recovery then doesn't use them, unless you ask for their timeline. Continue?"
            guard try invocation.confirm(question) else { return .interrupted }
            folder = try aside.carryOut(
                now: Moment(microseconds: Clock.now), reason: invocation.arguments.value("reason") ?? "", judge: judge
            ).description
        }
        if invocation.json {
            try invocation.print(
                json: Document(name: subject.name, folder: folder, objects: aside.keys.map(\.description)))
        } else if let folder {
            invocation.print("Put aside: \(objects(names)), now in \(folder).")
            invocation.print("\"tidemark segments put-back \(subject.name)\" brings them back.")
        } else {
            for key in aside.keys { invocation.print("would be put aside: \(key)") }
        }
        return .success
    }

    /// `3 objects (FIRST to LAST)`.
    static func objects(_ names: [String]) -> String {
        "\(names.count) \(names.count == 1 ? "object" : "objects")"
            + (names.isEmpty ? "" : " (\(names[0])" + (names.count > 1 ? " to \(names[names.count - 1])" : "") + ")")
    }

    /// The server on this data directory, if it takes writes; a crashed one's directory looks as if it did, so it is asked.
    private static func livingServer(_ cluster: ClusterConfiguration, _ incarnation: Incarnation) throws
        -> LivingServer?
    {
        let directory = DataDirectory(cluster.dataDirectory)
        guard try Files.exists(directory.path + "/global/pg_control") else { return nil }
        let control = try directory.controlFile()
        guard control.state == .inProduction, control.systemIdentifier == incarnation.systemIdentifier,
            try directory.runningServer() != nil
        else { return nil }
        let connection = try Connection(cluster.conninfo)
        guard try !connection.isStandby(), try connection.systemIdentifier() == incarnation.systemIdentifier
        else { return nil }
        return LivingServer(timeline: try connection.currentTimeline(), position: try connection.currentLSN())
    }
}

/// `tidemark segments put-back NAME`.
enum PutBackAction {
    private struct Document: Encodable {
        let name: String
        let folder: String
        let objects: [String]
        /// What stays where it is, because the same has been archived again.
        let staying: [String]
    }

    static func run(_ invocation: Invocation, _ name: String) throws -> ExitStatus {
        let subject = try PutAsideAction.subject(name)
        let cluster = try invocation.cluster()
        let archive = try currentArchive(of: cluster)
        let back = try PutBack(subject, of: archive)
        let names = back.objects.map(\.place.name)
        let isDryRun = invocation.arguments.has("dry-run")
        if !isDryRun {
            let question = "\(PutAsideAction.objects(names)) will be put back into the cluster's history. Continue?"
            guard try invocation.confirm(question) else { return .interrupted }
            // An expiration must not decide between what is there before and what is there afterwards.
            let lock = try BackupLock(archive)
            try withExtendedLifetime(lock) { try back.carryOut() }
        }
        if invocation.json {
            try invocation.print(
                json: Document(
                    name: subject.name, folder: back.folder.description,
                    objects: back.objects.map(\.place.description), staying: back.staying.map(\.key.description)))
            return .success
        }
        if isDryRun {
            for object in back.objects { invocation.print("would be put back: \(object.place)") }
        } else {
            invocation.print("Put back: \(PutAsideAction.objects(names)), from \(back.folder).")
        }
        for object in back.staying {
            invocation.print("stays put aside, as its place is taken: \(object.key)")
        }
        return .success
    }
}
