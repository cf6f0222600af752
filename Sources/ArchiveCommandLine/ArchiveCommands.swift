import Archiving
import Configuration
import DataDirectory
import Glibc
import Platform
import Repository
import WAL

/// The commands that PostgreSQL runs for every WAL file, and at the end of a recovery: `archive-push`, `archive-get`
/// and `recovery-end`. Both executables have them, with the same exit statuses.
public enum ArchiveCommands {
    /// Runs the command if it is one of these.
    ///
    /// It is the process's only work: signals, the umask and the user are changed permanently.
    ///
    /// - Parameter line: the command line, with the program's name in front.
    /// - Returns: the exit status; nil for other commands, such as a request for help.
    public static func run(_ line: [String]) -> Int32? {
        let rest = Array(line.dropFirst())
        // Help is only printed without a segment's name: with one, exit status 0 would mean "delivered".
        let isOwn = [Grammar.archivePush, .archiveGet, .recoveryEnd].contains { $0.command == rest.first }
        if isOwn, rest.dropFirst().contains(where: { $0 == "--help" || $0 == "-h" }) {
            guard !rest.dropFirst().contains(where: { !$0.hasPrefix("-") }) else {
                Log()(
                    .error,
                    UsageError(
                        "--help cannot be combined with other arguments",
                        hint: "Run \"tidemark \(rest.first ?? "") --help\" for help, or leave it out."))
                return rest.contains("archive-get") ? 200 : 2
            }
            return nil
        }
        // PostgreSQL takes 1 to 125 of a restore_command for "there is no such segment" and ends the recovery: a
        // mistake in an archive-get command line must not return these.
        if rest.first?.hasPrefix("-") == true, rest.contains("archive-get") {
            Log()(
                .error,
                UsageError(
                    "option \"\(rest[0])\" precedes the command",
                    hint: "Options follow the command: tidemark archive-get \(rest[0]) …."))
            return 200
        }
        if isOwn, rest.first != Grammar.archiveGet.command, RestoreCall.isMeant(rest.dropFirst(), isKnown: true) {
            Log()(
                .error,
                UsageError(
                    "\(rest[0]) is no command for restore_command", hint: "Use \"tidemark archive-get %f %p\"."))
            return 200
        }
        switch rest.first {
        case "archive-push": return push(rest.dropFirst())
        case "archive-get": return get(rest.dropFirst())
        case "recovery-end": return endRecovery(rest.dropFirst())
        // Run by archive-get itself, with its own arguments.
        case prefetchCommand: return prefetch(rest.dropFirst())
        default: return nil
        }
    }

    /// Makes either executable a prefetcher; the arguments of `archive-get` follow.
    private static let prefetchCommand = "archive-prefetch"

    /// 0: stored and durable. Anything else, up to 125: not stored.
    private static func push(_ line: ArraySlice<String>) -> Int32 {
        serve(line, by: .archivePush) { call in
            let warning = call.log
            let push = Push(
                into: call.repository, cluster: call.cluster.name, dataDirectory: call.cluster.dataDirectory,
                caller: call.caller, level: Int(call.cluster.compressLevel),
                acceptDiscontinuity: call.arguments.has("accept-discontinuity"),
                lookAhead: call.cluster.archiveJobs > 1
                    ? LookAhead(jobs: call.cluster.archiveJobs, state: call.cluster.state) : nil,
                clock: call.clock,
                warn: { warning(.warning, $0) })
            let path = call.arguments.words[0]
            let outcome: Push.Outcome
            do { outcome = try push(path) } catch {
                PushFailure.note(path, error, in: call.cluster.state)
                throw error
            }
            takeOutRecoverySettings(call)
            call.log(.debug, outcome == .stored ? "archived \"\(path)\"" : "\"\(path)\" is archived already")
            return 0
        } failure: {
            $0 is UsageError || $0 is SettingsMistake ? 2 : 1
        }
    }

    /// 0: delivered. 1: known not to be in the archive. 200: anything else, so that PostgreSQL stops.
    private static func get(_ line: ArraySlice<String>) -> Int32 {
        serve(line, by: .archiveGet) { call in
            let fetch = Fetch(
                from: call.repository, cluster: call.cluster.name, dataDirectory: call.cluster.dataDirectory,
                caller: call.caller, putAside: try call.putAside(), form: call.form, prefetch: call.prefetch(line),
                clock: call.clock)
            let words = call.arguments.words
            let patience = call.cluster.getRetryTimeout
            let outcome = try fetch(words[0], to: words[1], patience: patience) { failure in
                call.log(.warning, failure)
                let limit = durationText(milliseconds: patience)
                call.log(.log, "fetching \"\(words[0])\" is tried again for up to \(limit)")
            }
            call.log(
                .debug, outcome == .delivered ? "fetched \"\(words[0])\"" : "\"\(words[0])\" is not in the archive")
            return outcome == .delivered ? 0 : 1
        } failure: { _ in
            200
        }
    }

    /// Reads neither configuration nor repository, which could delay a server that is about to open.
    private static func endRecovery(_ line: ArraySlice<String>) -> Int32 {
        signal(SIGPIPE, SIG_IGN)
        signal(SIGXFSZ, SIG_IGN)
        let log = Log()
        do {
            let arguments = try Arguments(line, by: .recoveryEnd)
            let directory = DataDirectory(arguments.value("data-directory") ?? ".")
            if let names = try RecoveryRecord.takeOut(of: directory, includingInherited: true) {
                log(
                    .log, "the recovery is over; its settings were removed from postgresql.auto.conf",
                    detail: words(names))
            }
            return 0
        } catch {
            log(.error, error)
            return error is UsageError ? 2 : 1
        }
    }

    private static func words(_ names: [String]) -> String {
        names.isEmpty ? "None were left." : "They are " + names.joined(separator: ", ") + "."
    }

    /// If recovery-end wasn't run, because this program was missing or the server was started without its signal file,
    /// the first push does its work. Errors here must not make a push fail.
    private static func takeOutRecoverySettings(_ call: Call) {
        do {
            guard let names = try RecoveryRecord.takeOut(of: DataDirectory(call.cluster.dataDirectory)) else { return }
            call.log(.log, "removed a finished recovery's settings from postgresql.auto.conf", detail: words(names))
        } catch {
            call.log(.warning, error)
        }
    }

    private static func prefetch(_ line: ArraySlice<String>) -> Int32 {
        serve(line, by: .archiveGet) { call in
            guard let prefetch = call.prefetch(line) else { return 0 }
            let fetch = Fetch(
                from: call.repository, cluster: call.cluster.name, dataDirectory: call.cluster.dataDirectory,
                caller: call.caller, putAside: try call.putAside(), form: call.form, prefetch: prefetch,
                clock: call.clock)
            try fetch.runPrefetcher()
            return 0
        } failure: { _ in
            200
        }
    }

    private struct Call {
        let arguments: Arguments
        let cluster: ClusterConfiguration
        let repository: Repository
        let log: Log
        let clock: PhaseClock
        let caller: ArchiveCaller

        /// The timeline of `--put-aside`.
        func putAside() throws -> TimelineID? {
            try arguments.integer("put-aside", in: 1...Int(UInt32.max)).map { TimelineID(UInt32($0)) }
        }

        var form: SegmentForm { arguments.has("confine-tablespaces") ? .confined : .asArchived }

        func prefetch(_ line: ArraySlice<String>) -> Prefetch? {
            guard cluster.prefetchSegments > 0 else { return nil }
            return Prefetch(
                segments: cluster.prefetchSegments, spoolSize: cluster.spoolSize, spool: cluster.state.spool
            ) { [line = Array(line)] in try startDetached("/proc/self/exe", [prefetchCommand] + line) }
        }
    }

    private static func serve(
        _ line: ArraySlice<String>, by grammar: Grammar, _ body: (Call) throws -> Int32, failure: (any Error) -> Int32
    ) -> Int32 {
        // Neither a closed log pipe nor a file size limit may end this process with a signal: PostgreSQL takes that for
        // more than a failed command.
        signal(SIGPIPE, SIG_IGN)
        signal(SIGXFSZ, SIG_IGN)
        // PostgreSQL's own umask would hide the repository from the group.
        umask(0o027)
        // PostgreSQL runs its commands in its data directory, and is their parent.
        let server = getppid()
        let caller = ArchiveCaller(in: ".") { getppid() == server }
        var log = Log()
        do {
            let clock = PhaseClock()
            let arguments = try Arguments(line, by: grammar)
            let configuration = try Configuration(
                reading: Configuration.path(flag: arguments.value("config")), flags: arguments.settings,
                forArchiving: true)
            let cluster = try configuration.servedCluster(
                named: arguments.value("cluster"), calledBy: caller,
                file: grammar.command == Grammar.archivePush.command ? arguments.words.first : nil)
            configuration.completeOffers(for: cluster, arguments)
            log.follow(cluster, verbose: arguments.has("verbose"))
            let repository = cluster.openRepository()
            try giveUpRoot(for: cluster, repository)
            let status = try body(
                Call(
                    arguments: arguments, cluster: cluster, repository: repository, log: log, clock: clock,
                    caller: caller))
            if arguments.has("timing") { reportTiming(clock, log) }
            return status
        } catch {
            log(.error, error)
            return failure(error)
        }
    }

    /// Root becomes the repository's owner, so that PostgreSQL's user can read and continue what root stores by hand.
    private static func giveUpRoot(for cluster: ClusterConfiguration, _ repository: Repository) throws {
        guard geteuid() == 0, let owner = try repository.localDirectory?.status(of: cluster.name), owner.owner != 0
        else { return }
        _ = try retrying(.kernel, "user \(owner.owner)") {
            setgroups(0, nil) == 0 && setgid(owner.group) == 0 ? setuid(owner.owner) : -1
        }
    }

    private static func reportTiming(_ clock: PhaseClock, _ log: Log) {
        var usage = rusage()
        getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
        func milliseconds(_ time: timeval) -> String {
            "\(time.tv_sec * 1000 + time.tv_usec / 1000).\(time.tv_usec % 1000 / 100) ms"
        }
        log(
            .log, "timing: \(clock.description)",
            detail: "CPU: user \(milliseconds(usage.ru_utime)), system \(milliseconds(usage.ru_stime)). "
                + "Peak memory: \(usage.ru_maxrss) kB.")
    }
}
