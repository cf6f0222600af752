import SQLite
import WAL

/// Values as the catalog's rows hold them. One that tidemark can't have written is damage, whatever SQLite says.
extension Statement {
    func timeline(_ column: Int32) throws(DatabaseError) -> TimelineID {
        guard let value = UInt32(exactly: integer(column)), value > 0 else {
            throw damage("\(integer(column)) is no timeline")
        }
        return TimelineID(value)
    }

    /// Of a segment.
    func number(_ column: Int32, _ segmentSize: UInt32) throws(DatabaseError) -> UInt64 {
        // Behind the last one there is room for none.
        guard let value = UInt64(exactly: integer(column)), value < UInt64.max / UInt64(segmentSize) else {
            throw damage("\(integer(column)) is no segment's number")
        }
        return value
    }

    func segment(_ timeline: Int32, _ number: Int32, _ size: UInt32) throws(DatabaseError) -> SegmentName {
        SegmentName(timeline: try self.timeline(timeline), number: try self.number(number, size), segmentSize: size)
    }

    /// How many, or how much, of something.
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
