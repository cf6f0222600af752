import Glibc
import Platform
import Support
import Testing

/// What lies outside of the repository in clear text, as docs/security.md has it.
@Suite struct ClearTextTests {
    private static let site = TestSite.shared {
        let site = try TestSite(initdb: ["--wal-segsize=1"])
        try site.cluster.psql("create table t as select n, md5(n::text) from generate_series(1, 1000) n")
        try site.archiveEverything()
        return site
    }

    /// A command whose umask takes nothing away.
    private func openHanded(_ arguments: [String]) throws -> (program: String, arguments: [String]) {
        let program = try Executables.directory.get() + "/tidemark-main"
        return ("/bin/sh", ["-c", "umask 0; exec \"$0\" \"$@\"", program] + arguments)
    }

    private func run(_ site: TestSite, _ arguments: [String], _ environment: [String: String] = [:]) throws -> Finished
    {
        let call = try openHanded(arguments)
        return try runAsServerUser(
            call.program, call.arguments,
            environment: ["TIDEMARK_CONFIG": site.configuration].merging(environment) { $1 }, expectSuccess: false)
    }

    /// Runs a command up to a gate, and lists there what is below a directory: modes, kinds and names.
    private func places(
        _ site: TestSite, _ arguments: [String], at gate: String, below directory: String
    ) throws -> [(mode: mode_t, isFolder: Bool, name: String)] {
        let call = try openHanded(arguments)
        let finished = try Gate(at: gate).run(
            call.program, call.arguments, environment: ["TIDEMARK_CONFIG": site.configuration],
            meanwhile: "find '\(directory)' -mindepth 1 -printf 'place %m %y %P\\n' >&2")
        #expect(finished.ending == .exited(0), "\(finished)")
        return finished.errors.split(separator: "\n").filter { $0.hasPrefix("place ") }.map { line in
            let parts = line.split(separator: " ", maxSplits: 3).map(String.init)
            return (mode_t(parts[1], radix: 8) ?? 0o7777, parts[2] == "d", parts[3])
        }
    }

    /// Files that somebody else could reach.
    private func open(_ directory: String) throws -> [String] {
        try Files.list(directory).sorted().flatMap { name -> [String] in
            let path = directory + "/" + name
            guard let status = try FileStatus(ofLinkItself: path), status.mode & 0o007 != 0 else { return [] }
            return status.kind == .directory ? try open(path) : [path]
        }
    }

    @Test func `what is kept in the state directory is closed to others, whatever the umask`() throws {
        let site = try Self.site.get()
        for arguments in [["backup"], ["segments"], ["check"], ["verify"]] {
            _ = try run(site, arguments)
        }
        let copy = site.scratch.file("copy")
        let killed = try run(
            site, ["recover", "--target", "latest", "--data-directory", copy, "--yes"],
            ["TIDEMARK_FAULT": "open:.recovery.signal.=kill"])
        #expect([.signalled(SIGKILL), .exited(137)].contains(killed.ending), "\(killed)")
        let state = site.scratch.file("state")
        #expect(try Files.list(state + "/main/recover").contains { $0.hasSuffix(".json") })
        #expect(try runAsServerUser("/usr/bin/find", [state, "-name", "*.catalog"], expectSuccess: true).output != "")
        #expect(try open(state) == [])
    }

    @Test func `a temporary cluster is closed to everybody else, and gone with its command`() throws {
        let site = try Self.site.get()
        if try !run(site, ["list"]).output.contains("full") { _ = try run(site, ["backup"]) }
        let scratch = site.scratch.file("state/scratch")
        let found = try places(site, ["drill"], at: "open:/scratch/*postmaster.pid", below: scratch)
        let top = found.filter { !$0.name.contains("/") }
        #expect(top.count == 1 && top.allSatisfy { $0.isFolder && $0.mode == 0o700 }, "\(top)")
        #expect(found.contains { $0.name.hasSuffix("/data/PG_VERSION") })
        #expect(try Files.list(scratch) == [])
    }

    @Test func `a segment that import has unpacked is closed to others, and gone with the command`() throws {
        let site = try Self.site.get()
        let archive = site.scratch.file("archive")
        try runAsServerUser(
            "/bin/sh",
            [
                "-c",
                "mkdir \"$1\" && for f in $(ls \"$0\"/pg_wal | grep -E '^[0-9A-F]{24}$' | head -1); do "
                    + "gzip -c \"$0/pg_wal/$f\" >\"$1/$f.gz\"; done", site.cluster.data, archive,
            ], expectSuccess: true)
        let state = site.scratch.file("state/main")
        let found = try places(site, ["import", archive], at: "write:/.import.", below: state)
            .filter { $0.name.hasPrefix(".import.") }
        #expect(found.filter(\.isFolder).count == 2 && found.filter(\.isFolder).allSatisfy { $0.mode == 0o750 })
        let files = found.filter { !$0.isFolder }
        #expect(files.count == 1 && files.allSatisfy { $0.mode == 0o640 }, "\(files)")
        #expect(try Files.list(state).filter { $0.hasPrefix(".import.") } == [])
    }
}
