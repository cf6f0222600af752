public import Platform
public import WAL

/// `backup_label`: tells a starting server that the directory is a copy, and from where WAL must be replayed
/// (`do_pg_backup_start`, src/backend/access/transam/xlog.c).
public struct BackupLabelFile: Equatable, Sendable {
    /// Where replay starts: the redo pointer of the backup's checkpoint.
    public let start: LSN
    /// The segment that holds `start`.
    public let startSegment: SegmentName
    public let checkpoint: LSN
    /// `streamed` in all versions since 15; `pg_start_backup` before.
    public let method: String
    public let fromStandby: Bool
    /// In the server's words: its own time zone, whole seconds.
    public let startTime: String
    public let label: String
    public let timeline: TimelineID

    /// Parses the text that pg_backup_stop() returned, or the file's.
    public init(parsing text: String) throws(Problem) {
        var fields: [Substring: Substring] = [:]
        for line in text.split(separator: "\n") {
            guard let colon = line.firstRange(of: ": ") else { continue }
            fields[line[..<colon.lowerBound]] = line[colon.upperBound...]
        }
        func field(_ name: Substring) throws(Problem) -> Substring {
            guard let value = fields[name] else { throw Problem("backup_label has no line \"\(name)\"") }
            return value
        }
        // `0/2000028 (file 000000010000000000000002)`
        let location = try field("START WAL LOCATION").split(separator: " ")
        guard location.count == 3, let start = LSN(String(location[0])),
            let segment = SegmentName(String(location[2].dropLast()))
        else { throw Problem("backup_label has no WAL location in its first line") }
        guard let checkpoint = LSN(String(try field("CHECKPOINT LOCATION"))) else {
            throw Problem("backup_label has no checkpoint location")
        }
        self.start = start
        startSegment = segment
        self.checkpoint = checkpoint
        method = String(try field("BACKUP METHOD"))
        fromStandby = try field("BACKUP FROM") == "standby"
        startTime = String(fields["START TIME"] ?? "")
        label = String(fields["LABEL"] ?? "")
        timeline = fields["START TIMELINE"].flatMap { UInt32($0) }.map { TimelineID($0) } ?? segment.timeline
    }

    public var text: String {
        """
        START WAL LOCATION: \(start.serverText) (file \(startSegment))
        CHECKPOINT LOCATION: \(checkpoint.serverText)
        BACKUP METHOD: \(method)
        BACKUP FROM: \(fromStandby ? "standby" : "primary")
        START TIME: \(startTime)
        LABEL: \(label)
        START TIMELINE: \(timeline)

        """
    }
}

extension LSN {
    /// `0/2000028`: the low half without leading zeros, as servers before 18 write it into backup_label.
    var serverText: String {
        let high = String(rawValue >> 32, radix: 16, uppercase: true)
        return high + "/" + String(rawValue & 0xFFFF_FFFF, radix: 16, uppercase: true)
    }
}

/// `tablespace_map`: lines `<oid> <path>`, from which a server recreates the links in `pg_tblspc` when it starts on a
/// copy (`read_tablespace_map`, src/backend/access/transam/xlogrecovery.c).
public struct TablespaceMapFile: Equatable, Sendable {
    public var links: [TablespaceLink]

    public init(_ links: [TablespaceLink]) { self.links = links }

    /// Newlines, carriage returns and backslashes in a path are preceded by a backslash.
    public init(parsing text: String) throws(Problem) {
        links = []
        var line: [UInt8] = []
        var isEscaped = false
        func add() throws(Problem) {
            guard !line.isEmpty else { return }
            let parts = line.split(separator: UInt8(ascii: " "), maxSplits: 1)
            guard parts.count == 2, let oid = UInt32(String(decoding: parts[0], as: UTF8.self)) else {
                throw Problem("tablespace_map has a line without a tablespace's number and path")
            }
            links.append(TablespaceLink(oid: oid, location: String(decoding: parts[1], as: UTF8.self)))
            line = []
        }
        for byte in text.utf8 {
            if isEscaped {
                line.append(byte)
                isEscaped = false
            } else if byte == UInt8(ascii: "\\") {
                isEscaped = true
            } else if byte == UInt8(ascii: "\n") || byte == UInt8(ascii: "\r") {
                try add()
            } else {
                line.append(byte)
            }
        }
        try add()
    }

    public var text: String {
        links.map { link in
            var path = ""
            for character in link.location.unicodeScalars {
                if character == "\n" || character == "\r" || character == "\\" { path += "\\" }
                path.unicodeScalars.append(character)
            }
            return "\(link.oid) \(path)\n"
        }.joined()
    }
}
