package import Federation
import Files
package import Mailbox
import SystemPackage
package import Wire

/// The hospital's own record of the rounds it trained: `history/rounds.jsonl`, one line a round. Nothing depends on it.
package enum ClientHistory {
    package struct Line: Sendable {
        package let time: Timestamp
        package let session: RandomID
        package let metrics: UpdateMetrics

        package var json: JSONValue {
            ["time": .string(time.rfc3339), "session": .string(session.hex), "metrics": metrics.json]
        }
    }

    private static let maximumBytes = 64 << 20
    private static func path(_ home: Home) -> FilePath { home.history.appending("rounds.jsonl") }

    static func append(_ metrics: UpdateMetrics, session: RandomID, time: Timestamp, to home: Home) throws {
        let line = StrictJSON.serialize(Line(time: time, session: session, metrics: metrics).json)
        let (whole, torn) = try content(of: home)
        guard torn.isEmpty else { return try home.files.writeFile(path(home), whole + line) }
        try home.files.appendFile(path(home), line)
    }

    /// The whole lines, and what a kill left of one behind them.
    private static func content(of home: Home) throws -> (whole: ArraySlice<UInt8>, torn: ArraySlice<UInt8>) {
        guard try home.files.exists(path(home)) else { return ([], []) }
        let bytes = try home.files.readFile(path(home), limit: maximumBytes)
        let end = bytes.lastIndex(of: UInt8(ascii: "\n")).map { $0 + 1 } ?? 0
        return (bytes[..<end], bytes[end...])
    }

    /// A last line that a kill tore is left out, and so is a line that stands there twice.
    ///
    /// - Throws: ``ClientError`` `.damaged` for any other line that cannot be read: less than the whole is not the history.
    package static func load(from home: Home) throws -> [Line] {
        var lines: [Line] = []
        for (index, text) in try content(of: home).whole.split(separator: UInt8(ascii: "\n")).enumerated() {
            let line: Line
            do { line = try Line(parsing: text) } catch {
                throw ClientError(
                    .damaged, "\(path(home)): line \(index + 1) cannot be read: \(error)",
                    hint: "restore it from a backup, or move it away; nothing depends on it")
            }
            lines.removeAll { $0.session == line.session && $0.metrics.round == line.metrics.round }
            lines.append(line)
        }
        return lines
    }
}

extension ClientHistory.Line {
    fileprivate init(parsing text: ArraySlice<UInt8>) throws {
        let value = try StrictJSON.parse(Array(text), maximumBytes: 1 << 20)
        var object = try ObjectReader(value, context: "rounds.jsonl")
        guard let time = Timestamp(rfc3339: try object.string("time")) else {
            throw object.problem("time", "must be a UTC time")
        }
        self.time = time
        session = try object.randomID("session")
        metrics = try UpdateMetrics(json: try object.value("metrics"), context: "rounds.jsonl")
    }
}
