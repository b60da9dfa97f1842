import Files
import SystemPackage
package import Wire

/// The latest moment that is known to be past: the newest verified `created`, and this home's own last run.
///
/// A clock that runs a day or more before it would let expired bundles in and date our own ones wrongly, so that the run
/// stops. A `created` in the future never raises it: one client with a wrong clock must not stop a server.
package struct ClockFloor: Equatable {
    /// How far the clock may be behind the floor, and a `created` ahead of the clock, in seconds.
    static let tolerance: Int64 = 86_400
    /// How much the floor must rise to be worth a write, in seconds: an idle run writes nothing.
    static let step: Int64 = 3600

    private(set) var floor: Timestamp
    /// When the home was made: counts where nothing else is written down.
    private let made: Timestamp
    private let path: FilePath

    mutating func raise(to moment: Timestamp, now: Timestamp) {
        floor = max(floor, min(moment, now))
    }

    package func check(now: Timestamp) throws(MailboxError) {
        guard now.seconds >= floor.seconds - Self.tolerance else {
            throw MailboxError(
                .clock, "the clock says \(now.rfc3339), but this home has already seen \(floor.rfc3339)",
                hint: made.seconds - Self.tolerance > now.seconds
                    ? "set the clock; if it was wrong when this home was made and is right now, write {\"floor\":0} to \(path)"
                    : "set the clock; if it was wrong before and is right now, remove \(path)")
        }
    }

    package static func load(from home: Home) throws(MailboxError) -> ClockFloor {
        let path = home.clockPath
        guard try onDisk({ () throws(FileError) in try home.files.exists(path) }) else {
            return ClockFloor(floor: home.record.created, made: home.record.created, path: path)
        }
        let bytes = try onDisk { () throws(FileError) in try home.files.readFile(path, limit: 4096) }
        return try readingState(
            "clock.json", at: "\(path)", hint: "remove it, if the clock is right now; the next run writes it anew"
        ) { () throws(JSONError) in
            var fields = try ObjectReader(try StrictJSON.parse(bytes, maximumBytes: 4096), context: "clock.json")
            let floor = Timestamp(seconds: try fields.integer("floor"))
            try fields.finish()
            return ClockFloor(floor: floor, made: home.record.created, path: path)
        }
    }

    func save(to home: Home) throws(MailboxError) {
        let bytes = StrictJSON.serialize(["floor": .integer(floor.seconds)])
        try onDisk { () throws(FileError) in try home.files.writeFile(home.clockPath, bytes) }
    }
}
