import Platform
import Support
import Testing

/// What is there whatever has happened to a command, and what it needs to end its work.
extension FaultedSite {
    /// What a fault must not take away.
    func kept(_ before: Set<Substring>, _ old: String, _ said: String) throws {
        if command.arguments[0] != "remove", command.arguments[0] != "init" {
            let gone = try before.subtracting(contents())
            #expect(gone.isEmpty, "\(gone): \(said)")
        }
        guard command.testDescription == "recover in place" else { return }
        let places = try shell("ls -d \(data) \(data).before-* 2>/dev/null || true").split(separator: "\n")
        let whole = try places.filter { try files(of: String($0)) == old }
        #expect(whole.count == 1, "the old directory is \(whole) of \(places): \(said)")
    }

    /// The same command again, or the one that continues it.
    func again(_ said: String) throws {
        guard try !isDone() else { return }
        var arguments = arguments
        if command.isRecovery {
            let isUnderWay = try !shell("ls state/main/recover/*.json 2>/dev/null || true").isEmpty
            if isUnderWay { arguments = ["recover", "--resume", "--yes"] }
        }
        let finished = try call(arguments)
        guard case .exited(let status) = finished.ending, command.successes.contains(status) else {
            Issue.record("\(arguments): \(finished.ending) \(finished.errors)\nafter \(said)")
            return
        }
    }

    /// Whether only the report of the work was lost: it can't be done twice.
    private func isDone() throws -> Bool {
        switch command.testDescription {
        case "remove": try !site.backupLabels().contains(arguments[1])
        case "segments put-aside": try shell("find repository -path '*/aside/*/\(arguments[2]).zst'") != ""
        case "segments put-back": try shell("find repository -path '*/aside/*' -name '*.zst'") == ""
        case "recover in place", "recover --delta", "recover --resume":
            try shell(
                """
                test -z "$(ls state/main/recover/*.json 2>/dev/null)" && test -e $DATA/recovery.signal && echo done || true
                """) != ""
        default: false
        }
    }

    /// What is there at the end.
    func done(_ before: Set<Substring>, _ old: String, _ said: String) throws {
        try kept(before, old, said)
        guard !command.isReading else {
            #expect(try contents() == before, "\(said)")
            return
        }
        switch command.arguments[0] {
        case "remove": #expect(try site.backupLabels().count == 1, "\(said)")
        case "import": #expect(try call(["segments"]).ending == .exited(0), "\(said)")
        case "notify" where command.arguments.count > 1:
            let told = try shell("cat told 2>/dev/null || true")
            for event in ["backup_failure", "drill_failure"] { #expect(told.contains(event), "\(told): \(said)") }
            #expect(try shell("ls state/main/notify/queue/*.json 2>/dev/null || true") == "", "\(said)")
        case "recover":
            let accepted = try runAsServerUser(
                site.cluster.server.bin + "/pg_verifybackup", ["-n", data], expectSuccess: false)
            #expect(accepted.ending == .exited(0), "\(accepted.errors): \(said)")
            let names = try Files.list(data)
            #expect(names.contains("recovery.signal") && !names.contains("tidemark.restoring"), "\(names): \(said)")
            // The dead server's last commit is in no completed segment.
            #expect(try shell("find repository -name '*.partial*'") != "", "\(said)")
        default: break
        }
        try site.tidemark(["clean"], expectSuccess: true)
        #expect(try shell("find repository state -name '.*.tmp'") == "", "\(said)")
    }
}
