import SQLite
import WAL

/// Values in the catalog's rows. One that tidemark can't have written counts as damage, even if SQLite finds none.
extension Statement {
    func timeline(_ column: Int32) throws(DatabaseError) -> TimelineID {
        guard let value = UInt32(exactly: integer(column)), value > 0 else {
            throw damage("\(integer(column)) is no timeline")
        }
        return TimelineID(value)
    }

    /// The number of a segment.
    func number(_ column: Int32, _ segmentSize: UInt32) throws(DatabaseError) -> UInt64 {
        // The end of the last possible segment would overflow.
        guard let value = UInt64(exactly: integer(column)), value < UInt64.max / UInt64(segmentSize) else {
            throw damage("\(integer(column)) is no segment's number")
        }
        return value
    }

    func segment(_ timeline: Int32, _ number: Int32, _ size: UInt32) throws(DatabaseError) -> SegmentName {
        SegmentName(timeline: try self.timeline(timeline), number: try self.number(number, size), segmentSize: size)
    }

    /// A count or an amount.
    func count(_ column: Int32) throws(DatabaseError) -> Int64 {
        guard integer(column) >= 0 else { throw damage("\(integer(column)) is no count") }
        return integer(column)
    }

    func oneOf<Value: RawRepresentable<Int64>>(_ values: Value.Type, _ column: Int32) throws(DatabaseError) -> Value {
        guard let value = Value(rawValue: integer(column)) else {
            throw damage("\(integer(column)) is no \(values)".lowercased())
        }
        return value
    }
}
