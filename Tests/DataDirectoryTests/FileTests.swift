import DataDirectory
import Support
import Testing
import WAL

struct RelationFileNameTests {
    @Test(arguments: [
        ("16384", RelationFileName(fileNode: 16384) as RelationFileName?),
        ("16384_fsm", RelationFileName(fileNode: 16384, fork: .freeSpaceMap)),
        ("16384_vm.2", RelationFileName(fileNode: 16384, fork: .visibilityMap, segment: 2)),
        ("4294967295.1", RelationFileName(fileNode: .max, segment: 1)),
        ("16384_init", RelationFileName(fileNode: 16384, fork: .initialization)),
        ("t3_16390", RelationFileName(fileNode: 16390, temporaryBackend: 3)), ("pg_filenode.map", nil),
        ("16384.0", nil),
        ("016384", nil), ("16384_main", nil), ("4294967296", nil), ("", nil), ("0", nil), ("16384 ", nil), ("t_1", nil),
    ])
    func `relation files are recognised by their names`(text: String, name: RelationFileName?) {
        #expect(RelationFileName(text) == name)
        if let name { #expect(name.description == text) }
    }
}

struct BackupLabelFileTests {
    static let text = """
        START WAL LOCATION: 0/C000028 (file 00000001000000000000000C)
        CHECKPOINT LOCATION: 0/C000060
        BACKUP METHOD: streamed
        BACKUP FROM: primary
        START TIME: 2026-11-20 08:12:47 UTC
        LABEL: before: the migration
        START TIMELINE: 1

        """

    @Test func `a backup label is read and written as the server writes it`() throws {
        let label = try BackupLabelFile(parsing: Self.text)
        #expect(label.start == LSN("0/C000028"))
        #expect(label.startSegment.description == "00000001000000000000000C")
        #expect(label.label == "before: the migration")
        #expect(label.timeline == TimelineID(1))
        #expect(!label.fromStandby)
        #expect(label.text == Self.text)
    }

    @Test(arguments: ["", "START WAL LOCATION: x", "START WAL LOCATION: 0/1 (file 1)\nCHECKPOINT LOCATION: 0/1"])
    func `what isn't a backup label is refused`(text: String) {
        #expect(throws: (any Error).self) { try BackupLabelFile(parsing: text) }
    }

    @Test func `a tablespace map keeps odd paths`() throws {
        let links = [
            TablespaceLink(oid: 16400, location: "/mnt/a b"), TablespaceLink(oid: 16401, location: "/mnt/c\\d\ne"),
        ]
        #expect(try TablespaceMapFile(parsing: TablespaceMapFile(links).text).links == links)
    }
}

struct BackupExclusionTests {
    @Test(arguments: [
        ("postmaster.pid", "", true), ("postmaster.pid", "base", false), ("pgsql_tmp1234.0", "base/pgsql_tmp", true),
        ("pg_internal.init.99", "global", true), ("pg_control", "global", false), ("backup_label", "", true),
        ("postgresql.auto.conf", "", false), (".s.PGSQL.5432.lock", "", true),
    ])
    func `files of the running server are omitted`(name: String, directory: String, excluded: Bool) {
        #expect(BackupExclusions.excludes(name, in: directory) == excluded)
    }
}
